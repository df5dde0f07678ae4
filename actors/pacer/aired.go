package pacer

import (
	"fmt"
	"slices"
	"time"

	"conga/actors/eventlog"
	"conga/actors/pacer/place"
	"conga/messages"
)

// Aired is a song that was on, and what the log knows of its being given out.
type Aired struct {
	place.Started        // Played: also of the song that is still on
	Event         uint64 // its SongStarted; 0: that was folded away
	On            bool   // it is still on
	Why           string // it ended early; else empty
	// Missed are stretches of its frames that nobody was sent, because the server did not run or came too late for them.
	// Unsure are those of which the log does not say it: the server broke down meanwhile.
	Missed, Unsure []Frames
}

// Frames is a stretch of a song's frames: from First up to, but not including, End.
type Frames struct{ First, End int64 }

// Heard returns which of the song's frames were to be heard from `from` on and before `to`, both in unix microseconds: whole
// chunks, by when they begin, in order, without Missed.
func (a Aired) Heard(from, to int64) (parts []Frames) {
	at := a.chunksBefore(from)
	end := a.chunksBefore(to)
	for _, missed := range a.Missed {
		if missed.First >= end {
			break
		}
		if missed.First > at {
			parts = append(parts, Frames{at, missed.First})
		}
		at = max(at, missed.End)
	}
	if at < end {
		parts = append(parts, Frames{at, end})
	}
	return parts
}

// chunksBefore is how many of the frames that were given out are in chunks that begin before the time at.
func (a Aired) chunksBefore(at int64) int64 {
	if at <= a.PlayAt {
		return 0
	}
	per := int64(a.PerChunk)
	frames := a.FramesIn(at - a.PlayAt) // rounded
	first := max(0, frames/per-1) * per
	for first < a.Played && a.Until(first) < at {
		first += per
	}
	return min(first, a.Played)
}

// AiredIn returns the songs of which something was to be heard from `from` on and before `to`, in the order of their numbers.
// The song that is on has been given out so far as it was at now.
func AiredIn(log *eventlog.Log, from, to, now time.Time) ([]Aired, error) {
	state, seq, err := eventlog.Begin(log, Actor, place.State{})
	if err != nil {
		return nil, err
	}
	a := airing{from: from.UnixMicro(), to: to.UnixMicro()}
	for _, song := range state.Recent {
		a.on = &Aired{Started: song}
		a.add()
	}
	if state.Song != nil {
		a.on = &Aired{Started: *state.Song}
	}
	for r, err := range log.Pick(seq, tellsOfAir) {
		if err != nil {
			return nil, err
		}
		state = state.Apply(r.Event)
		switch event := r.Event.(type) {
		case *messages.BroadcastOpened:
			before, err := log.MarkAt(r.Seq - 1)
			if err != nil {
				return nil, fmt.Errorf("the time before event %d: %w", r.Seq, err)
			}
			a.opened(before.Time, r.Time.UnixMicro())
		case *messages.BroadcastClosed:
			a.closed = event.GetNext()
		case *messages.SongStarted:
			a.begin(*state.Song, r)
		case *messages.SongEnded:
			if event.GetHeard() != messages.Heard_HEARD_NOTHING && len(state.Recent) > 0 {
				a.end(state.Recent[len(state.Recent)-1], event)
			}
		}
	}
	a.stillOn(now.UnixMicro())
	return a.songs, nil
}

// tellsOfAir says whether it follows from events of that type what was given out.
func tellsOfAir(kind string) bool {
	switch kind {
	case "BroadcastOpened", "BroadcastClosed", "SongStarted", "SongEnded":
		return true
	}
	return false
}

// airing gathers the songs, event by event.
type airing struct {
	from, to int64
	songs    []Aired
	on       *Aired
	// gap is the frames of the song that is on that nobody was sent, or, if it is unsure, perhaps not all of them. Its end is
	// estimated until the song has ended.
	gap     Frames
	unsure  bool
	resumed bool   // the server has started again since the song began
	closed  uint64 // the server has stopped in order, before this number; 0: it has not
}

// tooOld is how many of the song's frames nobody needs any more at that time.
func tooOld(song place.Started, at int64) int64 {
	return song.Given(at - messages.Window.Microseconds() - 1)
}

// begin takes the song that event r began. After the server was down, that may be in the past: then its first chunks are
// too old for anybody to need them.
func (a *airing) begin(song place.Started, r eventlog.Record) {
	a.on = &Aired{Started: song, Event: r.Seq}
	a.gap, a.unsure, a.resumed = Frames{0, tooOld(song, r.Time.UnixMicro())}, false, false
}

// opened takes a start of the server at `again`. What it gave out before is certain up to where it stopped in order, or,
// if it did not, up to its last event, at `last`. From now on it gives out, once more, what is not too old.
func (a *airing) opened(last, again int64) {
	closed := a.closed
	a.closed = 0
	if a.on == nil {
		return
	}
	a.settle(a.gap.End)
	given := a.on.Given(last)
	if closed > 0 {
		given = a.before(closed)
	}
	a.gap, a.unsure, a.resumed = Frames{given, tooOld(a.on.Started, again)}, closed == 0, true
}

// before is how many frames the song's chunks have before that number.
func (a *airing) before(number uint64) int64 {
	return min(int64(max(number, a.on.Number+1)-a.on.Number-1)*int64(a.on.PerChunk), a.on.Frames)
}

func (a *airing) settle(end int64) {
	gap := Frames{a.gap.First, end}
	switch {
	case gap.First >= gap.End:
	case a.unsure:
		a.on.Unsure = append(a.on.Unsure, gap)
	default:
		a.on.Missed = append(a.on.Missed, gap)
	}
	a.gap, a.unsure = Frames{}, false
}

func (a *airing) end(song place.Started, event *messages.SongEnded) {
	if a.on == nil || a.on.Number != song.Number {
		return
	}
	a.on.Started, a.on.Why = song, event.GetReason()
	switch {
	case event.GetSum() != "":
		a.settle(event.GetLate())
	case a.resumed: // its file was not there any more when the server started again
		a.settle(song.Played)
	default:
		a.settle(a.gap.End)
	}
	a.add()
}

// stillOn takes the song that is on at the end of the log.
func (a *airing) stillOn(now int64) {
	if a.on == nil {
		return
	}
	a.on.On = true
	a.on.Played = a.on.Given(now)
	if a.closed > 0 {
		a.on.Played = min(a.on.Played, a.before(a.closed))
	}
	a.settle(a.gap.End)
	a.add()
}

// add takes the song that was on, if any of it was to be heard in the time.
func (a *airing) add() {
	song := *a.on
	a.on = nil
	for _, out := range []*[]Frames{&song.Missed, &song.Unsure} {
		for i := range *out {
			(*out)[i].End = min((*out)[i].End, song.Played)
		}
		*out = slices.DeleteFunc(*out, func(f Frames) bool { return f.First >= f.End })
	}
	if len(song.Heard(a.from, a.to)) > 0 {
		a.songs = append(a.songs, song)
	}
}
