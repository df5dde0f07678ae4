package player

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/window"
	"conga/messages"
)

// A player that does not decode counts the same as one that does.
func TestNone_SameBooksAsNull(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 2)
	canon := load(t, "beethoven.mp3", 48000, 2)
	const lead, from, to = 2 * time.Second, 8, 14 // chunks in the middle of the first song
	for _, c := range []struct {
		name      string
		spoil     func(s *script)
		underruns int
		holes     int
		missing   time.Duration // of the first underrun, at least
	}{
		{"all in time", func(*script) {}, 0, 0, 0},
		{"late, but before its time", func(s *script) {
			for n := uint64(from); n < to; n++ {
				s.late[n] = lead - 500*time.Millisecond
			}
		}, 0, 0, 0},
		{"six chunks too late", func(s *script) {
			for n := uint64(from); n < to; n++ {
				s.late[n] = lead + time.Second
			}
		}, 1, 0, 600 * time.Millisecond},
		{"six chunks lost", func(s *script) {
			s.items = slices.Concat(s.items[:from-1], s.items[to-1:])
		}, 0, 1, 0},
		{"nothing comes any more", func(s *script) { s.items = s.items[:to] }, 1, 0, 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, kind := range []struct {
				Output
				follows bool
			}{{null{}, false}, {none{}, false}, {none{}, true}} {
				output := kind.Output
				synctest.Test(t, func(t *testing.T) {
					now := func() int64 { return time.Now().UnixMicro() }
					s := &script{now: now, lead: lead, late: map[uint64]time.Duration{}}
					s.items = broadcast(t, now()+lead.Microseconds(), bach, canon)
					c.spoil(s)
					f := &facts{}
					source := Source(s)
					if kind.follows {
						source = pushed{s}
					}
					e := start(testConfig(t, f, output, source), func(reason string) { t.Error(reason) })
					defer e.stop()
					wait := 5 * time.Second
					if c.missing > 4*time.Second {
						wait = 9 * time.Second
					}
					time.Sleep(wait)
					synctest.Wait()
					live := e.deck.live()
					if live.Underruns != c.underruns || live.Holes != c.holes {
						t.Errorf("%s: %d underruns, %d holes: %+v", output.Name(), live.Underruns, live.Holes, live)
					}
					if said := of[*messages.PlayerUnderran](f); len(said) != c.underruns {
						t.Errorf("%s: said %v", output.Name(), said)
					} else if len(said) > 0 && time.Duration(said[0].GetMissingUs())*time.Microsecond < c.missing {
						t.Errorf("%s: said %v, want at least %v", output.Name(), said, c.missing)
					}
					heard := of[*messages.SongHeard](f)
					if c.missing < 4*time.Second && (len(heard) != 1 || heard[0].GetSong() != "bach.mp3" || live.Song != "beethoven.mp3") {
						t.Errorf("%s: heard %v, now %q", output.Name(), heard, live.Song)
					}
				})
			}
		})
	}
}

// pushed gives items as the goroutine does that brings them.
type pushed struct{ *script }

func (p pushed) Follow(ctx context.Context, _ <-chan time.Time, direct func(item *messages.Item, more bool) bool) (*messages.Item, error) {
	for {
		if item, err := p.Next(ctx); err != nil || !direct(item, false) {
			return item, err
		}
	}
}

// An item is in the books when the goroutine that brings it goes on, and nobody was woken for it. If that breaks, the
// player fails, and not whoever brings the music.
func TestNone_Follows(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 4)
	synctest.Test(t, func(t *testing.T) {
		now := func() int64 { return time.Now().UnixMicro() }
		w, failed := window.New(), ""
		cfg := testConfig(t, &facts{}, none{}, w.Open(1))
		e := start(cfg, func(reason string) { failed = reason })
		defer e.stop()
		synctest.Wait()
		for _, item := range broadcast(t, now()+time.Second.Microseconds(), bach) {
			if err := w.Append(item); err != nil {
				t.Fatal(err)
			}
			e.deck.mu.Lock()
			end := e.deck.endUs
			e.deck.mu.Unlock()
			if item.Change == nil && end <= item.PlayAt() {
				t.Fatalf("item %d is not in the books", item.Number)
			}
		}
		keepTime := func(now func() int64) {
			e.deck.mu.Lock()
			defer e.deck.mu.Unlock()
			e.deck.now = now
		}
		keepTime(func() int64 { panic("broken") })
		last := *w.Last()
		last.Number++
		if err := w.Append(&last); err != nil || !strings.Contains(failed, "broken") {
			t.Errorf("the player has not failed, but %q: %v", failed, err)
		}
		keepTime(now)
	})
}

// A newcomer's first chunks may be over already. They are no underruns.
func TestNone_Newcomer(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 4)
	synctest.Test(t, func(t *testing.T) {
		now := func() int64 { return time.Now().UnixMicro() }
		s := &script{now: now, lead: 2 * time.Second, items: broadcast(t, now()-time.Second.Microseconds(), bach)}
		e := start(testConfig(t, &facts{}, none{}, s), func(reason string) { t.Error(reason) })
		defer e.stop()
		time.Sleep(2 * time.Second)
		if live := e.deck.live(); live.Underruns != 0 || live.HeardNumber == 0 {
			t.Errorf("%+v", live)
		}
	})
}

// A peer may lie about a chunk's time.
func TestNone_StrayTime(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 4)
	synctest.Test(t, func(t *testing.T) {
		now := func() int64 { return time.Now().UnixMicro() }
		items := broadcast(t, now()+time.Second.Microseconds(), bach)
		stray := broadcast(t, now()+time.Hour.Microseconds(), bach)[3]
		e := start(testConfig(t, &facts{}, none{}, &script{
			now: now, lead: 2 * time.Second, items: slices.Concat([]*messages.Item{stray}, items),
		}), func(reason string) { t.Error(reason) })
		defer e.stop()
		time.Sleep(3 * time.Second)
		if live := e.deck.live(); live.Underruns != 0 || live.HeardNumber < 10 {
			t.Errorf("%+v", live)
		}
	})
}

// Hundreds of players that nobody hears are in one process: each has one goroutine, and no room for a decoder.
func TestNone_OneGoroutine(t *testing.T) {
	const players = 50
	synctest.Test(t, func(t *testing.T) {
		now := func() int64 { return time.Now().UnixMicro() }
		before := inBubbles()
		for range players {
			e := start(testConfig(t, &facts{}, none{}, &script{now: now, lead: time.Second}), func(reason string) { t.Error(reason) })
			defer e.stop()
			if e.items != nil {
				t.Error("it has a queue for a decoder")
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := inBubbles() - before; n != players {
			t.Errorf("%d players have %d goroutines", players, n)
		}
	})
}

// inBubbles counts the goroutines in virtual time: other tests' may still end.
func inBubbles() int {
	stacks := make([]byte, 4<<20)
	return bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte(", synctest bubble "))
}
