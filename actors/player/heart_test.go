package player

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// stalling is an Output that takes nothing for some time.
type stalling struct {
	tape
	from, to time.Time
}

func (o *stalling) Run(ctx context.Context, feed Feed) error {
	return pace(ctx, feed, func([]byte) {
		if now := time.Now(); !now.Before(o.from) && now.Before(o.to) {
			time.Sleep(o.to.Sub(now))
		}
	})
}

// If there was silence because the program did not run, that is the reason given, whatever else it looks like. No other
// silence has that reason.
func TestPlayer_ProgramStopped(t *testing.T) {
	const noChunk, stalled = "no chunk arrived in time", "the device stood still"
	bach := load(t, "bach.mp3", 44100, 12)
	for _, c := range []struct {
		name    string
		device  time.Duration // takes nothing for so long, from two seconds on
		late    time.Duration // the items from there on come so much later
		stopped time.Duration // the heart does not beat, from there on
		want    string
	}{
		{"the device stands still", 5 * time.Second, 0, 0, stalled},
		{"all stands still for long", 5 * time.Second, 0, 5 * time.Second, "this program did not run for 5."},
		{"no music comes", 0, 2 * time.Second, 0, noChunk},
		{"all stands still for a moment, and the music comes a moment after that", 1200 * time.Millisecond, 1300 * time.Millisecond, 1200 * time.Millisecond, "this program did not run for 1."},
		{"it did not run for a moment, and later no music comes", 0, 2 * time.Second, 100 * time.Millisecond, noChunk},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				stop := begin.Add(3 * time.Second) // the music begins after one
				beats := make(chan time.Time)
				done := make(chan struct{})
				defer close(done)
				go func() {
					for tick := time.NewTicker(beatEvery); ; {
						select {
						case <-done:
							return
						case now := <-tick.C:
							if now.Before(stop) || !now.Before(stop.Add(c.stopped)) {
								select {
								case beats <- now:
								case <-done:
								}
							}
						}
					}
				}()
				_, live, f := play(t, 11*time.Second, func(at int64) []*messages.Item { return broadcast(t, at, bach) },
					func(cfg *Config, s *script) {
						cfg.beats = beats
						cfg.decoder = func() frameDecoder { return clicks{} }
						cfg.Output = &stalling{from: stop, to: stop.Add(c.device)}
						s.lead = 0
						for _, item := range s.items {
							s.late[item.Number] = -800 * time.Millisecond
							if at := time.UnixMicro(item.PlayAt()); at.After(stop) && at.Before(stop.Add(c.late)) {
								s.late[item.Number] = stop.Add(c.late).Sub(at)
							}
						}
					})
				got := of[*messages.PlayerUnderran](f)
				if len(got) == 0 || !strings.HasPrefix(got[0].GetCause(), c.want) || !strings.HasPrefix(live.LastCause, c.want) {
					t.Errorf("%+v: %v", live, got)
				}
			})
		})
	}
}

// Music that has arrived is not missing: if it was not decoded in time, that is the reason.
func TestDeck_WhyNothingPlays(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 6)
	for arrived, want := range map[int]string{2: "", 12: tooSlow} { // the song change and one chunk; and a second more
		now, got := int64(1_000_000_000), []string(nil)
		items := broadcast(t, now, bach)
		d := newDeck(func() int64 { return now }, func(proto.Message) {}, func(_ int64, seen string) string {
			got = append(got, seen)
			return seen
		})
		d.local = d.now
		d.connect(null{}.Name(), 0, false, "", 0)
		for _, item := range items[:arrived] {
			d.received(item)
		}
		pcm := make([]int16, 2*samples*expectedFrames(items[1]))
		d.push(&chunk{item: items[1], due: items[1].PlayAt(), rate: bach.rate, pcm: pcm})
		d.waitsFrom = now - patienceUs // it begins with what it has
		for block := make([]byte, blockFrames*bytesPerFrame); now < 1_000_200_000; now += 10_000 {
			d.fill(block, 0)
		}
		if len(got) != 1 || got[0] != want {
			t.Errorf("%d items are here: %q, want %q", arrived, got, want)
		}
	}
}

func TestHeart(t *testing.T) {
	const s = time.Second
	var h heart
	for at := time.Duration(0); at <= 2*s; at += beatEvery {
		h.beat(at)
	}
	for _, c := range []struct {
		name      string
		due, now  time.Duration
		want      time.Duration
		beatAfter bool
	}{
		{"it beats", 2 * s, 2*s + 200*time.Millisecond, 0, false},
		{"asked before it beats again", 4 * s, 5 * s, 3 * s, true},
		{"due before it stopped", 1900 * time.Millisecond, 5 * s, 0, true},
		{"due when it went on", 5200 * time.Millisecond, 5200 * time.Millisecond, 3 * s, true},
		{"due later", 5800 * time.Millisecond, 5300 * time.Millisecond, 0, true},
	} {
		if got := h.missed(c.due, c.now); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if c.beatAfter {
			h.beat(c.now)
		}
	}
}
