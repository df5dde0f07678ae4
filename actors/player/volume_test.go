package player

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

// Each song is announced once, when it is heard, not when it arrives.
func TestPlayer_Turned(t *testing.T) {
	a, b := load(t, "bach.mp3", 44100, 1), load(t, "pachelbel.mp3", 44100, 1)
	for _, out := range []Output{&tape{}, none{}} {
		synctest.Test(t, func(t *testing.T) {
			const wait = 3 * time.Second
			cfg := testConfig(t, &facts{}, out, nil)
			begin := cfg.Now() + wait.Microseconds()
			source := &script{items: broadcast(t, begin, a, b), now: cfg.Now, lead: 2 * time.Second}
			cfg.Open = func() Source { return source }
			type turn struct {
				song string
				late time.Duration
			}
			turns := make(chan turn, 8)
			cfg.Turned = func(song *messages.SongChange) {
				turns <- turn{song.GetSong(), time.Duration(cfg.Now()-song.GetPlayAtUnixUs()) * time.Microsecond}
			}
			e := start(cfg, func(reason string) { t.Error(reason) })
			time.Sleep(wait + 2500*time.Millisecond)
			e.stop()
			close(turns)
			for _, want := range []string{"bach.mp3", "pachelbel.mp3"} {
				got := <-turns
				if got.song != want || got.late < 0 || got.late > 2*beatEvery {
					t.Errorf("%s: told %s, %v after it began", out.Name(), got.song, got.late)
				}
			}
			if more, is := <-turns; is {
				t.Errorf("%s: told %v, too", out.Name(), more)
			}
		})
	}
}

// If a listener turns the music down, the same music is quieter, and the meter shows that. A recording stays as the song
// is.
func TestPlayer_Volume(t *testing.T) {
	song := load(t, "bach.mp3", 44100, 2)
	const wait = 3 * time.Second
	play := func(t *testing.T, output Output, gain float64) (heard []float64, live Live) {
		synctest.Test(t, func(t *testing.T) {
			out := &tape{}
			cfg := testConfig(t, &facts{}, out, nil)
			source := &script{items: broadcast(t, cfg.Now()+wait.Microseconds(), song), now: cfg.Now, lead: 2 * time.Second}
			cfg.Open = func() Source { return source }
			e := start(cfg, func(reason string) { t.Error(reason) })
			_, e.deck.keeps = output.(*wav)
			e.deck.setGain(gain)
			time.Sleep(wait + 1500*time.Millisecond)
			synctest.Wait()
			live = e.deck.live()
			e.stop()
			heard = left(out.pcm())
		})
		return heard, live
	}
	loud := func(pcm []float64) (sum float64) {
		for _, s := range pcm {
			sum += s * s
		}
		return math.Sqrt(sum / float64(len(pcm)))
	}
	full, live := play(t, &tape{}, 1)
	if live.Levels[0] <= 0 || live.Levels[0] > 1 || live.Levels[1] <= 0 {
		t.Errorf("music is heard, the meter shows %v", live.Levels)
	}
	half, quieter := play(t, &tape{}, 0.5)
	if ratio := loud(half) / loud(full); ratio < 0.49 || ratio > 0.51 {
		t.Errorf("at half the gain it is %.3f times as loud", ratio)
	}
	if ratio := quieter.Levels[0] / live.Levels[0]; ratio < 0.4 || ratio > 0.6 {
		t.Errorf("the meter shows %v instead of %v", quieter.Levels, live.Levels)
	}
	mute, silent := play(t, &tape{}, 0)
	if loud(mute) != 0 || silent.Levels != [2]float64{} || silent.Underruns != 0 {
		t.Errorf("mute is %.3f loud, %+v", loud(mute), silent)
	}
	kept, _ := play(t, &wav{}, 0.5)
	if loud(kept) != loud(full) {
		t.Errorf("a recording is %.3f times as loud", loud(kept)/loud(full))
	}
}

// A step of the volume is spread over its block.
func TestVolume_NoClick(t *testing.T) {
	v := volume{wanted: 1} // mute
	block := make([]byte, blockFrames*bytesPerFrame)
	for i := range block {
		if i%2 == 1 {
			block[i] = 0x40
		}
	}
	v.apply(block)
	before := int16(0x4000)
	for i, s := range toSamples(block) {
		if step := before - s; step < 0 || step > 0x4000/blockFrames+2 {
			t.Fatalf("sample %d: from %d to %d", i, before, s)
		}
		before = s
	}
	v.apply(block)
	if pcm := toSamples(block); pcm[0] != 0 || pcm[len(pcm)-1] != 0 {
		t.Error("afterwards it is not mute")
	}
}
