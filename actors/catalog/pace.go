package catalog

import (
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

const (
	// rarely is how much longer than a look the time between two looks is, at least.
	rarely = 10
	// soon is how long a file may still have to rest that Ready waits for.
	soon = time.Second
)

// lookIn has the next look begin after d, or earlier if that was agreed before.
func (c *catalog) lookIn(d time.Duration) {
	now := time.Now()
	due := now.Add(d)
	if due.Before(c.earliest) {
		due = c.earliest
	}
	switch {
	case c.looking: // learn sets the timer
		c.again = true
		return
	case c.timer != nil && c.due.Before(due):
		return
	case c.timer != nil:
		c.timer.Stop()
	}
	c.generation++
	word, tell := wake{c, c.generation}, c.tell
	c.due = due
	c.timer = time.AfterFunc(due.Sub(now), func() { tell(word) })
}

// look sends a goroutine to look, which comes back with a looked.
func (c *catalog) look() {
	c.timer, c.looking, c.again, c.lines = nil, true, false, 0
	ctx, cfg, seen, watch, state := c.ctx, c.cfg, c.seen, c.watch, c.keeper.State()
	at := folder{cfg.Dir, cfg.Settle, c.live.Looks == 0, cfg.canConvert(), c.folders, state.Folders, watch.add, cfg.Elsewhere}
	root := c.tell
	tell := func(report proto.Message) {
		taken := make(chan struct{})
		root(news{c, report, taken})
		select { // one batch at a time: what was read does not pile up
		case <-taken:
		case <-ctx.Done():
		}
	}
	go func() {
		if lost := cfg.lostSongs(state); lost != nil {
			tell(lost)
		}
		watch.begin(len(seen))
		saw := look(ctx, at, seen, time.Now(), func(report *messages.ReportSongs) { tell(report) })
		if ctx.Err() == nil {
			root(looked{c, saw, watch.end()})
		}
	}()
}

// learn notes what a look has seen, says what the operator must know, and agrees on the next look.
func (c *catalog) learn(msg looked) {
	saw := msg.saw
	c.looking, c.seen, c.folders = false, saw.files, saw.folders
	c.sawBrought()
	// On a busy machine a look takes long; that is no reason to look less often than usual.
	c.earliest = time.Now().Add(min(rarely*saw.took, c.cfg.Poll))
	if saw.away != "" {
		c.goneAway(saw.away)
	}
	c.sayProblem(saw)
	c.sayChanges()
	c.sayUnmade()
	if c.live.Looks == 0 {
		c.sayRefused()
	}
	c.makeNext()
	c.live.Watched, c.live.Resting = msg.watched, saw.rests
	c.live.Looks++
	if !c.ready && (saw.next == 0 || saw.next > soon) {
		c.ready = true
		if c.cfg.Ready != nil {
			c.cfg.Ready()
		}
	}

	wait := c.cfg.Poll
	switch {
	case c.again:
		wait = min(c.cfg.Settle, wait)
	case saw.away != "" || saw.err != nil:
		wait = min(time.Second, wait) // someone who puts the disk back wants music soon
	}
	if saw.next > 0 {
		wait = min(saw.next, wait)
	}
	c.lookIn(wait)
}

// goneAway keeps what is known of a folder of which nothing can be seen.
func (c *catalog) goneAway(why string) {
	if c.keeper.State().Songs.Len() > 0 {
		c.commit(&messages.ReportSongs{Away: why})
		return
	}
	report := &messages.ReportSongs{} // files that could not be played are not reported as gone
	for refused := range c.keeper.State().Rejected.All() {
		report.Gone = append(report.Gone, refused.Name)
	}
	for part := range parts(report) {
		c.commit(part)
	}
	c.seen = nil
}
