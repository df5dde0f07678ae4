package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/pacer"
	"conga/actors/pacer/place"
	"conga/cmd/internal/logbook"
	"conga/messages"
	"conga/transport/web"
)

const (
	// pastAhead is how much music of the past a player gets at once. The rest comes at the speed of the music.
	pastAhead = 4 * time.Second
	// lookForMore is how often a player that has come close to the present looks whether there is more.
	lookForMore = 500 * time.Millisecond
)

// past plays what was broadcast, from the log and the songs.
type past struct {
	log    *eventlog.Log
	open   pacer.Opener
	place  func() place.State
	now    func() time.Time
	logger *slog.Logger
}

func newPast(s *actors.Server, o ServerOptions, log *eventlog.Log, now func() time.Time) *past {
	return &past{log: log, open: actors.SongsIn(o.Songs, o.Converted, o.Elsewhere), place: s.Place, now: now, logger: o.Logger}
}

// songBegins means the beginning of the song that is heard.
const songBegins = "song"

// Open returns the music from a moment on: a time, or songBegins.
func (p *past) Open(moment string) (web.Cursor, error) {
	now := p.now()
	at, err := p.moment(moment, now)
	if err != nil {
		return nil, err
	}
	if begins, err := p.begins(); err != nil {
		return nil, err
	} else if at.Before(begins) {
		return nil, fmt.Errorf("the log knows what was played only from %s on", begins.In(now.Location()).Format(time.RFC3339))
	}
	if at.After(now) {
		return nil, fmt.Errorf("%s has not come yet", moment)
	}
	songs, err := pacer.AiredIn(p.log, at, now.Add(time.Microsecond), now)
	if err != nil {
		return nil, err
	}
	if len(songs) == 0 {
		return nil, errors.New("nothing has been played since then")
	}
	next, stop := iter.Pull(p.from(at))
	return &pastCursor{next: next, stop: stop, now: p.now, began: now}, nil
}

func (p *past) moment(text string, now time.Time) (time.Time, error) {
	if text != songBegins {
		return logbook.When(text, now)
	}
	state, begins := p.place(), int64(0)
	if state.Song != nil {
		state.Recent = append(slices.Clip(state.Recent), *state.Song)
	}
	for _, song := range state.Recent {
		if song.PlayAt <= now.UnixMicro() {
			begins = song.PlayAt
		}
	}
	if begins == 0 {
		return now, errors.New("no song is on")
	}
	return time.UnixMicro(begins), nil
}

// begins is from when on the log knows what was played.
func (p *past) begins() (time.Time, error) {
	mark, err := p.log.MarkAt(p.log.Base())
	return time.UnixMicro(mark.Time), err
}

// from yields what was given out to be heard from the time at on, up to now and for ever: nil where there is no more yet.
// Songs that cannot be made again are left out; the first is told, because a guest may ask for thousands of them.
func (p *past) from(at time.Time) iter.Seq[*messages.Item] {
	return func(yield func(*messages.Item) bool) {
		told := false
		for number := uint64(0); ; {
			for number > 0 && !p.begun(number) { // else the whole log would be read again and again
				if !yield(nil) {
					return
				}
			}
			now := p.now()
			songs, err := pacer.AiredIn(p.log, at, now, now)
			if err != nil {
				p.logger.Warn("the past cannot be played on", "reason", err)
				return
			}
			played := false
			for _, song := range songs {
				if song.Number < number {
					continue
				}
				more, err := p.song(song, at, yield)
				if err != nil && !told {
					told = true
					p.logger.Warn("a song of the past cannot be played again", "song", song.Name, "reason", err)
				}
				if !more {
					return
				}
				number, played = song.Number+1, true
			}
			if !played && !yield(nil) {
				return
			}
		}
	}
}

// begun says whether a song with that number, or a higher one, has begun.
func (p *past) begun(number uint64) bool {
	state := p.place()
	return state.Next > number || state.Song != nil && state.Song.Number >= number
}

// song yields the song's items; of one that is still on, as they are given out. more is false when no more are wanted, err why
// the song cannot be made again.
func (p *past) song(song pacer.Aired, at time.Time, yield func(*messages.Item) bool) (more bool, err error) {
	whole := song.Started
	if song.On {
		whole.Played = whole.Frames
	}
	given := song.Played
	for item, err := range pacer.Again(whole, p.open) {
		if err != nil {
			return true, err
		}
		for song.On && item.Change == nil && item.FirstFrame >= given {
			before := given
			if given, song.On = p.given(song); given == before && song.On && !yield(nil) {
				return false, nil
			}
		}
		switch {
		case item.Change == nil && item.FirstFrame >= given:
			return true, nil // it was skipped
		case item.Change == nil && (item.PlayAt() < at.UnixMicro() || unsent(song, item.FirstFrame)):
		case !yield(item):
			return false, nil
		}
	}
	return true, nil
}

func unsent(song pacer.Aired, frame int64) bool {
	for _, m := range song.Missed {
		if m.First <= frame && frame < m.End {
			return true
		}
	}
	return false
}

// given is how many of the song's frames were given out so far, and whether it is on.
func (p *past) given(song pacer.Aired) (frames int64, on bool) {
	state := p.place()
	if state.Song != nil && state.Song.Number == song.Number {
		return state.Song.Given(p.now().UnixMicro()), true
	}
	for _, s := range state.Recent {
		if s.Number == song.Number {
			return s.Played, false
		}
	}
	now := p.now()
	songs, err := pacer.AiredIn(p.log, time.UnixMicro(song.PlayAt), now, now)
	if err != nil || len(songs) == 0 || songs[0].Number != song.Number {
		return 0, false
	}
	return songs[0].Played, false
}

// pastCursor gives the music at its speed. It belongs to one goroutine.
type pastCursor struct {
	next  func() (*messages.Item, bool)
	stop  func()
	now   func() time.Time
	began time.Time
	lasts time.Duration  // all that was given
	item  *messages.Item // the next; nil: it is not known yet
}

var errPastOver = errors.New("the past cannot be played on")

// Next waits until the next item is due.
func (c *pastCursor) Next(ctx context.Context) (*messages.Item, error) {
	for c.item == nil {
		item, more := c.next()
		if !more {
			return nil, errPastOver
		}
		if c.item = item; item == nil {
			if err := wait(ctx, lookForMore); err != nil {
				return nil, err
			}
		}
	}
	if err := wait(ctx, c.began.Add(c.lasts-pastAhead).Sub(c.now())); err != nil {
		return nil, err
	}
	item := c.item
	c.item = nil
	c.lasts += duration(item)
	return item, nil
}

// duration is how long the item is heard.
func duration(item *messages.Item) time.Duration {
	if item.Change != nil {
		return 0
	}
	rate := item.Song.GetSampleRate()
	frames := min(int64(item.Song.GetFramesPerChunk()), item.Song.GetFrames()-item.FirstFrame)
	return messages.FrameOffset(frames, rate)
}

func wait(ctx context.Context, lasts time.Duration) error {
	if lasts <= 0 {
		return nil // also when ctx is over: what is there is given
	}
	timer := time.NewTimer(lasts)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends it.
func (c *pastCursor) Close() { c.stop() }
