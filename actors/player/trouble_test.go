package player

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"conga/messages"
	"conga/messages/raced"
)

func broadcastOf(t *testing.T, r recording) func(int64) []*messages.Item {
	return func(at int64) []*messages.Item { return broadcast(t, at, r) }
}

func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func fellSilent(f *facts) (reasons []string) {
	for _, m := range of[*messages.PlayerFellSilent](f) {
		reasons = append(reasons, m.GetReason())
	}
	return reasons
}

// corrupted is the item with its frames changed.
func corrupted(item *messages.Item, change func([]byte) []byte) *messages.Item {
	c := messages.NewChunk(item.Number, item.FirstFrame, change(bytes.Clone(item.Frames)))
	c.Song = item.Song
	return c
}

func TestPlayer_CorruptFrames(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 6)
	want := left(bach.pcm(t))
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
	}{
		{"a broken second header", func(b []byte) []byte { b[len(bach.frames[40])] = 0; return b }},
		{"a cut last frame", func(b []byte) []byte { return b[:len(b)-100] }},
		{"noise for music", func(b []byte) []byte {
			r := rand.New(rand.NewPCG(1, 2))
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			return b
		}},
		{"another sample rate", func(b []byte) []byte { b[2] = b[2]&^0x0c | 0x04; return b }},
		{"MPEG-2", func(b []byte) []byte { b[1] &^= 0x08; return b }},
		{"an ID3 tag of 256 MiB", func(b []byte) []byte { return append([]byte("ID3\x03\x00\x00\x7f\x7f\x7f\x7f"), b...) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pcm, live, _ := play(t, 4*time.Second, func(at int64) []*messages.Item {
					items := broadcast(t, at, bach)
					items[11] = corrupted(items[11], c.change)
					return items
				}, nil)
				heard := left(pcm)[outputRate:]
				from := 12 * 4 * samples // two chunks on the reservoir is whole again
				if r := correlation(want[from:from+80000], heard[from:from+80000]); r < 0.99 {
					t.Errorf("behind it: correlation %.4f, the time has shifted", r)
				}
				if live.DecodeErrors == 0 || live.Underruns != 0 || live.Jumps != 0 {
					t.Errorf("%+v", live)
				}
			})
		})
	}
}

func TestPlayer_LyingChunks(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 5)
	want := left(bach.pcm(t))
	lies := []struct {
		name string
		song *messages.SongChange
	}{
		{"no song", nil},
		{"no rate", &messages.SongChange{Number: 3}},
		{"an odd rate", &messages.SongChange{Number: 3, SampleRate: 7}},
		{"due in a thousand years", &messages.SongChange{Number: 3, SampleRate: 44100, PlayAtUnixUs: math.MaxInt64}},
		{"due before all time", &messages.SongChange{Number: 3, SampleRate: 44100, PlayAtUnixUs: math.MinInt64}},
	}
	synctest.Test(t, func(t *testing.T) {
		pcm, live, _ := play(t, 4*time.Second, func(at int64) []*messages.Item {
			items := broadcast(t, at, bach)
			for _, lie := range lies {
				liar := *items[10]
				liar.Song = lie.song
				items = append(items, &liar)
			}
			// They come in the middle, with numbers of their own.
			mixed := append([]*messages.Item(nil), items[:10]...)
			mixed = append(mixed, items[len(items)-len(lies):]...)
			return append(mixed, items[10:len(items)-len(lies)]...)
		}, func(_ *Config, s *script) {
			for i, item := range s.items {
				if !timed(item) { // the script itself asks when an item is due
					s.items[i].Song = &messages.SongChange{PlayAtUnixUs: math.MaxInt64, SampleRate: 44100}
				}
			}
		})
		heard := left(pcm)[outputRate:]
		if c := correlation(want[80000:150000], heard[80000:150000]); c < 0.99 {
			t.Errorf("correlation %.4f", c)
		}
		if live.DecodeErrors < len(lies) || live.BufferedMs > maxStrayUs/1000 {
			t.Errorf("%+v", live)
		}
	})
	d := decoder{make: goMP3}
	for _, lie := range lies {
		item := messages.NewChunk(1, 0, bach.frames[0])
		item.Song = lie.song
		if c, err := d.decode(item, time.Now().UnixMicro()); c != nil || !errors.Is(err, errImplausible) {
			t.Errorf("%s: %v, %v", lie.name, c, err)
		}
	}
}

// panicky panics at every fifth frame.
type panicky struct {
	frameDecoder
	n *int
}

func (p panicky) Decode(frame, sound []byte) error {
	if *p.n++; *p.n%5 == 0 {
		panic("index out of range")
	}
	return p.frameDecoder.Decode(frame, sound)
}

func TestPlayer_DecoderPanics(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 5)
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		n := 0
		_, live, _ := play(t, 4*time.Second, broadcastOf(t, bach), func(cfg *Config, _ *script) {
			cfg.Log = logTo(&said)
			cfg.decoder = func() frameDecoder { return panicky{goMP3(), &n} }
		})
		if n := strings.Count(said.String(), "the mp3 decoder failed"); n != 1 {
			t.Errorf("said %d times: %s", n, &said)
		}
		if live.DecodeErrors < 10 || live.Underruns != 0 || live.HeardNumber < 30 {
			t.Errorf("%+v", live)
		}
	})
}

// clicks decodes every frame to one click at its begin: cheap, and its time can be read.
type clicks struct{}

func (clicks) Decode(_, sound []byte) error {
	clear(sound)
	sound[1], sound[3] = 0x50, 0x50
	return nil
}

// TestPlayer_ClocksApart: the server's clock runs at another speed than the output.
func TestPlayer_ClocksApart(t *testing.T) {
	minutes := raced.Size(3, 1)
	frame := load(t, "bach.mp3", 44100, 1).frames[5]
	for _, ppm := range raced.Size([]int64{-200, 200}, []int64{200}) {
		synctest.Test(t, func(t *testing.T) {
			t0 := time.Now()
			now := func() int64 {
				us := time.Since(t0).Microseconds()
				return t0.UnixMicro() + us + us*ppm/1_000_000
			}
			r := recording{name: "clicks", rate: 44100}
			for range minutes * 60 * 44100 / samples {
				r.frames = append(r.frames, frame)
			}
			playAt := now() + 1_000_000
			pcm, live, _ := play(t, time.Duration(minutes)*time.Minute-5*time.Second, func(int64) []*messages.Item { return broadcast(t, playAt, r) },
				func(cfg *Config, s *script) {
					cfg.Now, s.now = now, now
					cfg.decoder = func() frameDecoder { return clicks{} }
				})
			heard, found, worst := left(pcm), 0, 0.0
			for i := 1; i < len(heard)-1; i++ {
				if heard[i] < 8000 || heard[i] < heard[i-1] || heard[i] <= heard[i+1] {
					continue
				}
				us := int64(i) * 1_000_000 / outputRate
				at := float64(t0.UnixMicro() + us + us*ppm/1_000_000) // on the server's clock
				apart := samples * 1e6 / 44100.0
				worst = max(worst, math.Abs(math.Remainder(at-float64(playAt), apart))) // from the nearest click's time
				found++
			}
			if want := (minutes*60-6)*44100/samples - live.Steps; found < want { // a click in a crossfade is not so loud
				t.Errorf("%+d ppm: %d clicks, want %d", ppm, found, want)
			}
			if worst > 2000 {
				t.Errorf("%+d ppm: off by up to %.0f µs", ppm, worst)
			}
			if live.Jumps != 0 || live.Underruns != 0 || math.Abs(float64(live.ErrorUs)) > 600 {
				t.Errorf("%+d ppm: %+v", ppm, live)
			}
		})
	}
}

// TestPlayer_ClockJumps: a new estimate of the server's clock differs from the old one. A large difference is a cut, a
// small one a step without silence. Either way the player is not wrong for a minute.
func TestPlayer_ClockJumps(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 12)
	want := left(bach.pcm(t))
	jumps := []int64{-300_000, -20_000, 4_000, 60_000, -60_000, -4_000, 20_000, 300_000}
	for _, jump := range raced.Size(jumps, jumps[:2]) {
		synctest.Test(t, func(t *testing.T) {
			change := time.Now().Add(3 * time.Second)
			now := func() int64 {
				us := time.Now().UnixMicro()
				if time.Now().After(change) {
					us += jump
				}
				return us
			}
			pcm, live, _ := play(t, 10*time.Second, broadcastOf(t, bach), func(cfg *Config, s *script) { cfg.Now, s.now = now, now })
			heard := left(pcm)[outputRate:]
			at, shift := 5*outputRate, int(-jump*outputRate/1_000_000)
			if lag, c := align(want[at:at+20000], heard, at+shift, 44); c < 0.99 || lag < at+shift-44 || lag > at+shift+44 {
				t.Errorf("jump of %d ms: off by %d frames, correlation %.4f", jump/1000, lag-at-shift, c)
			}
			cut := jump < -jumpUs || jump > jumpUs
			if live.Jumps > 0 != cut || live.Steps > 0 == cut || !cut && live.Underruns+int(live.SilentMs) > 0 {
				t.Errorf("jump of %d ms: %+v", jump/1000, live)
			}
		})
	}
}

// broken is a Source that fails in the way it is told.
type broken func() (*messages.Item, error)

func (b broken) Next(context.Context) (*messages.Item, error) { return b() }

func TestPlayer_ReopensItsSource(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 4)
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		_, live, _ := play(t, 2*time.Second, broadcastOf(t, bach), func(cfg *Config, s *script) {
			cfg.Open = func() Source {
				if opened++; opened < 4 {
					return broken(func() (*messages.Item, error) { return nil, errors.New("fell out") })
				}
				return s
			}
		})
		if live.Reopened != 3 || live.HeardNumber < 15 || live.Underruns != 0 {
			t.Errorf("%+v", live)
		}
	})
}

func TestPlayer_Restart(t *testing.T) {
	system := actor.NewActorSystemWithConfig(actor.Configure(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) })))
	opened := make(chan int, 9)
	tries := 0
	cfg := testConfig(t, &facts{}, null{}, nil)
	cfg.Open = func() Source {
		tries++
		opened <- tries
		if tries < 3 {
			return broken(func() (*messages.Item, error) { panic("the window is broken") })
		}
		return &script{now: cfg.Now}
	}
	pid := system.Root.Spawn(Props(cfg))
	for want := 1; want <= 3; want++ {
		if got := <-opened; got != want {
			t.Fatalf("opened %d times, want %d", got, want)
		}
	}
	reply := make(chan messages.View, 1)
	system.Root.Send(pid, &messages.Look{Reply: reply})
	if view := <-reply; view.Actor != Actor || view.Live.(Live).Output == "" && view.Live.(Live).Underruns != 0 {
		t.Errorf("%+v", view)
	}
	if err := system.Root.PoisonFuture(pid).Wait(); err != nil {
		t.Error(err)
	}
}

// TestPlayer_FillNeverPanics: a panic of the player must not end the output's goroutine.
func TestPlayer_FillNeverPanics(t *testing.T) {
	failed := make(chan string, 1)
	cfg := testConfig(t, &facts{}, &tape{}, &script{})
	calls := 0
	cfg.Now = func() int64 {
		if calls++; calls > 3 {
			panic("no clock")
		}
		return time.Now().UnixMicro()
	}
	e := start(cfg, func(reason string) { failed <- reason })
	if reason := <-failed; !strings.Contains(reason, "no clock") {
		t.Error(reason)
	}
	e.stop()
}

func FuzzDecode(f *testing.F) {
	bach := load(f, "bach.mp3", 44100, 1)
	f.Add(bytes.Join(bach.frames[:4], nil), int64(0), int32(44100), int32(4))
	f.Add([]byte("ID3\x03\x00\x00\x7f\x7f\x7f\x7f"), int64(9), int32(48000), int32(16))
	d := decoder{make: goMP3}
	number := uint64(0)
	f.Fuzz(func(t *testing.T, frames []byte, first int64, rate, per int32) {
		number++
		item := messages.NewChunk(number, first, frames)
		item.Song = &messages.SongChange{Number: 1, SampleRate: rate, FramesPerChunk: per, PlayAtUnixUs: 1}
		c, err := d.decode(item, 1)
		if c == nil && err == nil {
			t.Fatal("neither sound nor error")
		}
		if c != nil && (len(c.pcm)%(2*samples) != 0 || len(c.pcm) == 0 || len(c.pcm) > 16*2*samples) {
			t.Fatalf("%d samples", len(c.pcm))
		}
	})
}

// standing is an output that stands still once, as a stopped process does.
type standing struct {
	null
	after, lasts time.Duration
}

func (o standing) Run(ctx context.Context, feed Feed) error {
	stops := time.Now().Add(o.after)
	return pace(ctx, feed, func([]byte) {
		if o.lasts > 0 && time.Now().After(stops) {
			time.Sleep(o.lasts)
			o.lasts = 0
		}
	})
}

// If the output stands still for six seconds, the player counts one silence of six seconds, not of twelve.
func TestPlayer_StoodStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const still = 6 * time.Second
		_, live, _ := play(t, 12*time.Second, func(playAt int64) []*messages.Item {
			return broadcast(t, playAt, load(t, "bach.mp3", 44100, 20))
		}, func(cfg *Config, _ *script) { cfg.Output = standing{after: 3 * time.Second, lasts: still} })
		silent := time.Duration(live.SilentMs) * time.Millisecond
		if live.Underruns != 1 || silent < still-200*time.Millisecond || silent > still+200*time.Millisecond {
			t.Errorf("%d silences of %v together, want one of %v", live.Underruns, silent, still)
		}
	})
}
