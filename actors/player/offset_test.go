package player

import (
	"maps"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages/chance"
)

// shelf is Offsets in memory.
type shelf struct {
	mu  sync.Mutex
	all map[string]time.Duration
}

func (s *shelf) Of(device string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[device]
}

func (s *shelf) Keep(device string, offset time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[device] = offset
}

// An offset moves the sound at once, in one step. The next one begins where the last one ended.
func TestPlayer_Offset(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 6)
	want := left(bach.pcm(t))
	synctest.Test(t, func(t *testing.T) {
		out, f, kept := &tape{}, &facts{}, &shelf{all: map[string]time.Duration{"tape": 30 * time.Millisecond, "other": time.Second}}
		cfg := testConfig(t, f, out, nil)
		cfg.Offsets = kept
		source := &script{items: broadcast(t, cfg.Now()+1_000_000, bach), now: cfg.Now, lead: 2 * time.Second}
		cfg.Open = func() Source { return source }
		e := start(cfg, func(reason string) { t.Error(reason) })
		defer e.stop()
		time.Sleep(2 * time.Second)
		if now := e.changeOffset(func(now time.Duration) time.Duration { return now + 20*time.Millisecond }); now.Offset != 50*time.Millisecond || now.Device != "tape" {
			t.Errorf("%+v", now)
		}
		time.Sleep(1500 * time.Millisecond)
		e.changeOffset(func(time.Duration) time.Duration { return -10 * time.Millisecond })
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		heard := left(out.pcm())
		for at, ms := range map[float64]float64{0.5: 30, 1.2: 50, 2.2: 50, 2.7: -10, 3.7: -10} { // seconds into the song
			from := int(at * outputRate)
			lag, c := align(want[from:from+outputRate/5], heard, outputRate+from, 4410)
			if early := float64(outputRate+from-lag) / outputRate * 1000; c < 0.99 || math.Abs(early-ms) > 0.2 {
				t.Errorf("%.1f s into the song it is %.2f ms early, want %.0f (correlation %.3f)", at, early, ms, c)
			}
		}
		live := e.deck.live()
		if live.Steps != 2 || live.Jumps+live.Underruns != 0 || live.SilentMs != 0 || live.OffsetUs != -10_000 {
			t.Errorf("%+v", live)
		}
		// A larger one is a cut, which counts as no failure. None is larger than MaxOffset.
		now := e.changeOffset(func(time.Duration) time.Duration { return time.Hour })
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		if live := e.deck.live(); now.Offset != MaxOffset || live.Jumps != 1 || live.Underruns != 0 {
			t.Errorf("%v %+v", now, live)
		}
		if want := map[string]time.Duration{"tape": MaxOffset, "other": time.Second}; !maps.Equal(kept.all, want) {
			t.Errorf("kept %v", kept.all)
		}
		// Another device has its own offset. A device that nobody hears has none.
		e.Plays("new")
		if now := e.changeOffset(nil); now.Device != "new" || now.Offset != 0 {
			t.Errorf("%+v", now)
		}
		e.deck.connect("null", 0, false, "", 0)
		if now := e.changeOffset(func(time.Duration) time.Duration { return time.Millisecond }); now.Device != "" || len(kept.all) != 2 {
			t.Errorf("%+v, kept %v", now, kept.all)
		}
	})
}

// A second after the last turn the sound is where it should be, however often somebody turns it.
func TestPlayer_Offset_Anyhow(t *testing.T) {
	r := rand.New(rand.NewPCG(chance.Seed(t), 0))
	bach := load(t, "bach.mp3", 44100, 12)
	want := left(bach.pcm(t))
	synctest.Test(t, func(t *testing.T) {
		out, f := &tape{}, &facts{}
		cfg := testConfig(t, f, out, nil)
		source := &script{items: broadcast(t, cfg.Now()+1_000_000, bach), now: cfg.Now, lead: 2 * time.Second}
		cfg.Open = func() Source { return source }
		e := start(cfg, func(reason string) { t.Error(reason) })
		defer e.stop()
		time.Sleep(time.Second)
		for began := time.Now(); time.Since(began) < 8*time.Second; {
			time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
			e.changeOffset(func(time.Duration) time.Duration { return time.Duration(r.IntN(200_000)-100_000) * time.Microsecond })
		}
		e.changeOffset(func(time.Duration) time.Duration { return 7 * time.Millisecond })
		time.Sleep(2 * time.Second)
		synctest.Wait()
		heard := left(out.pcm())
		end := len(heard) - outputRate/2
		at := end - outputRate + outputRate*7/1000
		lag, c := align(want[at:at+outputRate/5], heard, end, 441)
		if off := float64(end-lag) / outputRate * 1000; c < 0.99 || math.Abs(off) > 0.2 {
			t.Errorf("%.2f ms off (correlation %.3f) %+v", off, c, e.deck.live())
		}
	})
}
