package catalog

import (
	"maps"
	"slices"
	"strings"
	"time"

	"conga/messages"
)

const (
	// sayEvery is the shortest time between two lines about changes.
	sayEvery = 5 * time.Second
	// mostWarnings is how many files one look names that are left out.
	mostWarnings = 20
)

// sum is what has changed since it was said last.
type sum struct{ added, changed, removed int }

// warn names a file that is left out, once for each reason.
func (c *catalog) warn(refused *messages.RejectedSong) {
	if refused.GetReason() == needsFFmpeg {
		c.unmade[refused.GetName()] = true // all at once, see sayUnmade
		return
	}
	if c.warned[refused.GetName()] == refused.GetReason() {
		return
	}
	c.warned[refused.GetName()] = refused.GetReason()
	switch c.lines++; {
	case c.lines <= mostWarnings:
		c.cfg.Logger.Warn("file left out", "file", refused.GetName(), "reason", refused.GetReason())
	case c.lines == mostWarnings+1:
		c.cfg.Logger.Warn("more files left out; `conga dump --key state` lists all of them under catalog.rejected")
	}
}

// sayFolder names a subfolder that cannot be seen.
func (c *catalog) sayFolder(away *messages.SongsAway) {
	if away.GetFolder() == "" {
		return
	}
	if c.lines++; c.lines <= mostWarnings {
		c.cfg.Logger.Warn("a subfolder cannot be read; its songs and the requests for them wait for it", "folder", away.GetFolder(), "reason", away.GetReason())
	}
}

// sayChanges says how many songs have come and gone, all at once.
func (c *catalog) sayChanges() {
	if c.sum == (sum{}) || time.Since(c.said) < sayEvery {
		return
	}
	if songs := c.keeper.State().Songs.Len(); c.sum == (sum{added: songs}) {
		c.cfg.Logger.Info("the songs folder has songs", "folder", c.cfg.Dir, "songs", songs)
	} else {
		c.cfg.Logger.Info("the songs folder has changed", "folder", c.cfg.Dir, "songs", songs,
			"added", c.sum.added, "changed", c.sum.changed, "removed", c.sum.removed)
	}
	c.sum, c.said = sum{}, time.Now()
}

// sayProblem says what is wrong with the folder as a whole, once, and when it is over.
func (c *catalog) sayProblem(saw sighting) {
	problem, known := "", c.keeper.State().Songs.Len()
	switch {
	case saw.err != nil:
		problem = "the songs folder cannot be read: " + cause(saw.err) + "; waiting for it"
	case saw.away != "" && known > 0:
		problem = saw.away + "; its songs and the requests for them wait for it (--songs DIR names another)"
	case saw.away != "":
		problem = saw.away + "; waiting for it"
	case known == 0 && saw.rests > 0:
		return // not known yet
	case known == 0:
		problem = "no songs in the songs folder; waiting for some to be put there"
	}
	if problem == c.live.Problem {
		return
	}
	switch {
	case problem == "":
		c.cfg.Logger.Info("the songs folder has songs again", "folder", c.cfg.Dir, "songs", known)
	case saw.err != nil || saw.away != "":
		c.cfg.Logger.Error(problem, "folder", c.cfg.Dir)
	default:
		c.cfg.Logger.Warn(problem, "folder", c.cfg.Dir)
	}
	c.live.Problem = problem
}

// sayRefused names the files that ffmpeg has refused at an earlier start.
func (c *catalog) sayRefused() {
	for refused := range c.keeper.State().Rejected.All() {
		if refused.FileBytes > 0 {
			c.warn(&messages.RejectedSong{Name: refused.Name, Reason: refused.Reason})
		}
	}
}

// sayUnmade says how many files could be played if there were an ffmpeg, once for each number.
func (c *catalog) sayUnmade() {
	n := len(c.unmade)
	if n == c.saidUnmade {
		return
	}
	c.saidUnmade = n
	if n == 0 {
		return
	}
	const few = 3
	names := slices.Sorted(maps.Keys(c.unmade))
	if n > few {
		names = append(names[:few], "…")
	}
	c.cfg.Logger.Warn("files that are not mp3 are left out, because ffmpeg is not installed: install it (apt install ffmpeg, brew install ffmpeg) and start conga again",
		"files", n, "such as", strings.Join(names, ", "))
}
