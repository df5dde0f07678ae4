package player

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
	"conga/messages/raced"
)

// songs are the three of the house: 44.1, 48 and 44.1 kHz, the last with a variable bitrate.
func songs(t testing.TB) []recording {
	seconds := raced.Size(0, 2.5) // the same seams, less between them
	return []recording{
		load(t, "bach.mp3", 44100, seconds),
		load(t, "beethoven.mp3", 48000, seconds),
		load(t, "pachelbel.mp3", 44100, seconds),
	}
}

func TestPlayer_ThreeSongsBackToBack(t *testing.T) {
	all := songs(t)
	var want []float64
	var seams []int
	length := time.Duration(0)
	for _, r := range all {
		want = append(want, reference(r.pcm(t), r.rate)...)
		length += messages.FrameOffset(int64(len(r.frames)), int32(r.rate))
		seams = append(seams, int(math.Round(length.Seconds()*outputRate)))
	}
	synctest.Test(t, func(t *testing.T) {
		const wait = 3 * time.Second
		out, f := &tape{}, &facts{}
		cfg := testConfig(t, f, out, nil)
		source := &script{items: broadcast(t, cfg.Now()+wait.Microseconds(), all...), now: cfg.Now, lead: 2 * time.Second}
		cfg.Open = func() Source { return source }
		e := start(cfg, func(reason string) { t.Error(reason) })
		time.Sleep(wait + length - 50*time.Millisecond)
		synctest.Wait()
		live := e.deck.live()
		e.stop()

		heard := left(out.pcm())
		start := int(wait.Seconds() * outputRate)
		for i, s := range heard[:start-outputRate/1000] {
			if s != 0 {
				t.Fatalf("frame %d is heard before the song begins at %d", i, start)
			}
		}
		begin := 0
		for i, end := range seams {
			// The middle second of each song, and the one around each seam, are where they belong.
			for _, at := range []int{(begin+end)/2 - outputRate/2, end - outputRate} {
				n := outputRate
				lag, c := align(want[at:at+n], heard, start+at, 60)
				if off := lag - (start + at); c < 0.95 || off > 44 || off < -44 {
					t.Errorf("%s at %d: off by %d frames, correlation %.4f", all[i].name, at, off, c)
				}
			}
			if i < len(seams)-1 {
				a, b := start+end-4410, start+end+4410
				if c := correlation(want[end-4410:end+4410], heard[a:b]); c < 0.95 {
					t.Errorf("around the end of %s: correlation %.4f", all[i].name, c)
				}
			}
			begin = end
		}
		played := min(len(heard)-start, len(want))
		if c := correlation(want[:played], heard[start:]); c < 0.95 {
			t.Errorf("correlation over all %.4f", c)
		}
		if live.Underruns+live.Holes+live.DecodeErrors+live.Jumps != 0 || live.SilentMs != 0 {
			t.Errorf("not clean: %+v", live)
		}
		if got := of[*messages.SongHeard](f); len(got) != 2 || got[0].GetSong() != "bach.mp3" ||
			got[0].GetChunks() != uint64((len(all[0].frames)+3)/4) {
			t.Errorf("songs heard: %v", got)
		}
		if live.Song != "pachelbel.mp3" || live.HeardNumber == 0 {
			t.Errorf("heard now: %+v", live)
		}
	})
}

// play plays the items for `length` from one second from now and returns what was heard.
func play(t *testing.T, length time.Duration, items func(playAt int64) []*messages.Item, change func(*Config, *script)) (pcm []int16, live Live, f *facts) {
	t.Helper()
	out := &tape{}
	f = &facts{}
	cfg := testConfig(t, f, out, nil)
	source := &script{items: items(cfg.Now() + 1_000_000), now: cfg.Now, lead: 800 * time.Millisecond, late: map[uint64]time.Duration{}}
	cfg.Open = func() Source { return source }
	if change != nil {
		change(&cfg, source)
	}
	e := start(cfg, func(reason string) { t.Error(reason) })
	time.Sleep(time.Second + length)
	synctest.Wait()
	live = e.deck.live()
	e.stop()
	return out.pcm(), live, f
}

// without leaves the items with these numbers out.
func without(items []*messages.Item, first, last uint64) []*messages.Item {
	var kept []*messages.Item
	for _, item := range items {
		if item.Number < first || item.Number > last {
			kept = append(kept, item)
		}
	}
	return kept
}

func TestPlayer_Hole(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 5)
	want := left(bach.pcm(t))
	synctest.Test(t, func(t *testing.T) {
		pcm, live, f := play(t, 4*time.Second, func(at int64) []*messages.Item {
			return without(broadcast(t, at, bach), 12, 14) // number 1 is the change, 12 the 11th chunk
		}, nil)
		heard := left(pcm)[outputRate:]
		chunk := 4 * samples
		hole, back := 10*chunk, 13*chunk
		if n := longestSilence(heard[:back+chunk]); n < 3*chunk-100 || n > 4*chunk {
			t.Errorf("%d frames of silence for a hole of %d", n, 3*chunk)
		}
		// Two chunks behind the hole the reservoir is full again, and it is in time.
		for _, at := range []int{hole - 8000, back + chunk} {
			if c := correlation(want[at:at+8000], heard[at:at+8000]); c < 0.99 {
				t.Errorf("at %d: correlation %.4f", at, c)
			}
		}
		if live.Holes != 1 || live.Underruns != 0 || live.DecodeErrors != 0 || live.SilentMs < 300 || live.SilentMs > 320 {
			t.Errorf("%+v", live)
		}
		if got := of[*messages.PlayerUnderran](f); len(got) != 0 {
			t.Errorf("a hole is no underrun: %v", got)
		}
	})
}

func TestPlayer_NoNoiseAfterHole(t *testing.T) {
	r := load(t, "pachelbel.mp3", 44100, 8)
	want := left(r.pcm(t))
	synctest.Test(t, func(t *testing.T) {
		pcm, _, _ := play(t, 7*time.Second, func(at int64) []*messages.Item {
			return without(broadcast(t, at, r), 30, 31)
		}, nil)
		heard := left(pcm)[outputRate:]
		from, to := 30*4*samples, 31*4*samples
		if a, b := peak(heard[from:to]), peak(want[from:to]); a > 1.5*b {
			t.Errorf("peak %.0f behind the hole, the song has %.0f", a, b)
		}
	})
}

//go:norace
func peak(pcm []float64) (most float64) {
	for _, s := range pcm {
		most = max(most, math.Abs(s))
	}
	return most
}

func TestPlayer_LateChunk(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 5)
	want := left(bach.pcm(t))
	synctest.Test(t, func(t *testing.T) {
		pcm, live, f := play(t, 4*time.Second, func(at int64) []*messages.Item { return broadcast(t, at, bach) },
			func(_ *Config, s *script) { s.late[12] = 1000 * time.Millisecond })
		heard := left(pcm)[outputRate:]
		if c := correlation(want[70000:150000], heard[70000:150000]); c < 0.99 {
			t.Errorf("behind the silence: correlation %.4f, it is not in time", c)
		}
		got := of[*messages.PlayerUnderran](f)
		if live.Underruns != 1 || len(got) != 1 {
			t.Fatalf("%d underruns, %v", live.Underruns, got)
		}
		if u := got[0]; u.GetCause() != "no chunk arrived in time" || u.GetSong() != "bach.mp3" || u.GetNumber() != 11 ||
			u.GetMissingUs() < 190_000 || u.GetMissingUs() > 220_000 {
			t.Errorf("%v", u)
		}
	})
}

func TestPlayer_BroadcastEnds(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 2)
	synctest.Test(t, func(t *testing.T) {
		_, live, f := play(t, 60*time.Second, func(at int64) []*messages.Item { return broadcast(t, at, bach) }, nil)
		got := of[*messages.PlayerUnderran](f)
		if live.Underruns != 1 || len(got) != 2 {
			t.Fatalf("%+v: one silence is one underrun, said while it lasts, and at the end: %v", live, got)
		}
		for i, atLeast := range []int64{sayAfterUs, 57_000_000} {
			if u := got[i]; !u.GetGoesOn() || u.GetMissingUs() < atLeast || u.GetAtUnixUs() != got[0].GetAtUnixUs() {
				t.Errorf("said %v", u)
			}
		}
		if live.BufferedMs != 0 {
			t.Errorf("%d ms buffered of nothing", live.BufferedMs)
		}
	})
}

// A long silence is said while it goes on, and how long it was when it is over.
func TestPlayer_LongSilence(t *testing.T) {
	const silent = 10 * time.Second
	bach := load(t, "bach.mp3", 44100, 16)
	synctest.Test(t, func(t *testing.T) {
		_, live, f := play(t, 15*time.Second, func(at int64) []*messages.Item { return broadcast(t, at, bach) },
			func(_ *Config, s *script) {
				first := s.items[20].PlayAt()
				for _, item := range s.items[20:] { // all of ten seconds come at their end
					if late := first + silent.Microseconds() - item.PlayAt(); late > 0 {
						s.late[item.Number] = s.lead + time.Duration(late)*time.Microsecond
					}
				}
			})
		got := of[*messages.PlayerUnderran](f)
		if live.Underruns != 1 || len(got) != 2 || !got[0].GetGoesOn() || got[0].GetMissingUs() > sayAfterUs+100_000 {
			t.Fatalf("%+v: %v", live, got)
		}
		long := silent.Microseconds()
		if u := got[1]; u.GetGoesOn() || u.GetAtUnixUs() != got[0].GetAtUnixUs() || u.GetMissingUs() < long-200_000 || u.GetMissingUs() > long+200_000 {
			t.Errorf("said %v", u)
		}
		if got := live.SilentMs * 1000; got < long-200_000 || got > long+200_000 {
			t.Errorf("%+v", live)
		}
	})
}

func TestPlayer_JoinsInMidSong(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 12)
	want := left(bach.pcm(t))
	synctest.Test(t, func(t *testing.T) {
		// Due ten seconds ago; the preroll of 300 ms comes at once.
		pcm, live, _ := play(t, 500*time.Millisecond, func(at int64) []*messages.Item {
			items := broadcast(t, at-10_000_000, bach)
			return without(items, 0, uint64((9_000_000-Preroll.Microseconds())*44100/1e6/(4*samples))+1)
		}, nil)
		heard, at := left(pcm), 9*outputRate
		if c := correlation(want[at+500:at+20000], heard[500:]); c < 0.99 {
			t.Errorf("correlation %.4f: it does not begin in time", c)
		}
		if live.Underruns != 0 || live.Holes != 0 {
			t.Errorf("%+v", live)
		}
	})
}

func TestPlayer_BufferedCountsWhatIsReceived(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 5)
	synctest.Test(t, func(t *testing.T) {
		_, live, _ := play(t, 2*time.Second, func(at int64) []*messages.Item { return broadcast(t, at, bach) },
			func(_ *Config, s *script) { s.lead = 1500 * time.Millisecond })
		if live.BufferedMs < 1450 || live.BufferedMs > 1650 {
			t.Errorf("%d ms buffered, 1500 were received in advance", live.BufferedMs)
		}
	})
}
