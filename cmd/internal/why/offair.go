package why

import (
	"cmp"
	"fmt"
	"time"

	"conga/actors/eventlog"
	"conga/messages"
)

// offAirLeast is the shortest time without music that is told.
const offAirLeast = 500 * time.Millisecond

// offAir is a time for which the server had no music to send.
type offAir struct {
	after    string // the song before it; empty: not known
	from, to time.Time
	goesOn   bool // to is now
	reason   string
}

// gaps finds, in a server's events, the ends of songs that no other song followed at once.
type gaps struct {
	ended *eventlog.Record // the last end of a song, until another starts
	vain  *eventlog.Record // the last song after it that could not even begin

	stopped bool // the server was, after it
}

// add takes the next event, and returns from when to when nothing was heard before it. Both are zero if
// there was no such time.
func (g *gaps) add(r eventlog.Record) (from, to time.Time) {
	switch e := r.Event.(type) {
	case *messages.SongEnded:
		if e.GetHeard() == messages.Heard_HEARD_NOTHING {
			g.vain = &r
		} else {
			*g = gaps{ended: &r}
		}
	case *messages.BroadcastClosed:
		g.stopped = true
	case *messages.SongStarted:
		if from, to = g.over(), time.UnixMicro(e.GetPlayAtUnixUs()); from.IsZero() || to.Sub(from) < offAirLeast {
			*g = gaps{}
			return time.Time{}, time.Time{}
		}
	}
	return from, to
}

// over is when the last sample of the last song was heard; zero: no song has ended, or another has started.
func (g *gaps) over() time.Time {
	if g.ended == nil {
		return time.Time{}
	}
	return time.UnixMicro(g.ended.Event.(*messages.SongEnded).GetNextPlayAtUnixUs())
}

// offAir finds when nothing was broadcast, as far as the story goes back.
func (t *teller) offAir() (all []offAir) {
	var g gaps
	for _, r := range t.Server {
		if from, to := g.add(r); !from.IsZero() {
			all = append(all, t.silentFrom(&g, from, to))
			g = gaps{}
		}
	}
	from := g.over()
	if on := t.State.Pacer; on.Song != nil {
		return all
	} else if from.IsZero() && on.NextPlayAt > 0 { // its beginning is before the story
		from = time.UnixMicro(on.NextPlayAt)
	}
	if !from.IsZero() && t.Now.Sub(from) >= offAirLeast {
		silent := t.silentFrom(&g, from, t.Now)
		silent.goesOn = true
		all = append(all, silent)
	}
	return all
}

func (t *teller) silentFrom(g *gaps, from, to time.Time) offAir {
	silent := offAir{from: from, to: to}
	if g.ended != nil {
		silent.after = g.ended.Event.(*messages.SongEnded).GetSong()
	}
	for _, a := range t.absences() {
		if a.from.Before(to) && from.Before(a.to) {
			silent.reason = a.reason
		}
	}
	if g.stopped {
		silent.reason = cmp.Or(silent.reason, "the server was stopped")
	}
	if g.vain != nil {
		e := g.vain.Event.(*messages.SongEnded)
		silent.reason = cmp.Or(silent.reason, fmt.Sprintf("%s could not be played%s", e.GetSong(), because(e.GetReason())))
	}
	return silent
}

// absence is a time for which the songs folder was away.
type absence struct {
	from, to time.Time
	goesOn   bool // to is now
	reason   string
}

const folderAway = "the songs folder was away"

func (t *teller) absences() (all []absence) {
	on := func() *absence {
		if n := len(all); n > 0 && all[n-1].goesOn {
			return &all[n-1]
		}
		return nil
	}
	for _, r := range t.Server {
		switch e := r.Event.(type) {
		case *messages.SongsAway:
			if on() == nil && e.GetFolder() == "" {
				all = append(all, absence{from: r.Time, to: t.Now, goesOn: true, reason: folderAway + parens(e.GetReason())})
			}
		case *messages.SongsBack:
			if e.GetFolder() != "" {
				continue
			}
			if a := on(); a != nil {
				a.to, a.goesOn = r.Time, false
			} else {
				all = append(all, absence{from: t.begins(), to: r.Time, reason: folderAway})
			}
		}
	}
	if reason := t.State.Catalog.Away; reason != "" && on() == nil {
		all = append(all, absence{from: t.begins(), to: t.Now, goesOn: true, reason: folderAway + parens(reason)})
	}
	return all
}

// broadcast tells when nobody could hear anything, and why.
func (t *teller) broadcast() {
	t.quiet = t.offAir()
	for _, s := range t.quiet {
		if t.subjects != nil && !t.wasThere(s.to) {
			continue
		}
		if s.goesOn {
			t.say(s.from, "since %s nothing is broadcast%s.", t.clock(s.from), because(s.reason))
		} else {
			t.say(s.from, "from %s to %s nothing was broadcast%s.", t.clock(s.from), t.clock(s.to), because(s.reason))
		}
	}
	if t.subjects != nil {
		return
	}
	for _, a := range t.absences() {
		if a.goesOn {
			t.say(a.from, "%s; it is not back yet.", a.reason)
		} else {
			t.say(a.from, "%s until %s.", a.reason, t.clock(a.to))
		}
	}
}

// wasThere says whether one of the story's listeners had come by then.
func (t *teller) wasThere(by time.Time) bool {
	for id := range t.subjects {
		if t.lived(id).Before(by) {
			return true
		}
	}
	return false
}

// unsent is how much of a listener's silence lies in times when nothing was broadcast, and the song
// before the first of them.
func (t *teller) unsent(s *silence) (sum time.Duration, after string) {
	end := s.at.Add(s.length)
	for _, q := range t.quiet {
		from, to := latest(s.at, q.from), end
		if q.to.Before(end) {
			to = q.to
		}
		if d := to.Sub(from); d > 0 {
			sum += d
			after = cmp.Or(after, q.after)
		}
	}
	return sum, after
}
