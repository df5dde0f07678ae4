package player

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"conga/messages"
)

// A ReplayGain tag makes a song louder or quieter by so many decibels, and changes nothing else. A recording, and a
// listener that does not want it, get the song as it is.
func TestPlayer_ReplayGain(t *testing.T) {
	song := load(t, "bach.mp3", 44100, 2)
	const wait = 3 * time.Second
	loud := func(t *testing.T, gain, peak int32, off, records bool) (rms float64) {
		recorded := filepath.Join(t.TempDir(), "recorded.wav")
		synctest.Test(t, func(t *testing.T) {
			heard := &tape{}
			var out Output = heard
			if records {
				out = &wav{path: recorded}
			}
			cfg := testConfig(t, &facts{}, out, nil)
			cfg.AsItIs = off
			items := broadcast(t, cfg.Now()+wait.Microseconds(), song)
			items[0].Change.GainMb, items[0].Change.PeakPermille = gain, peak
			source := &script{items: items, now: cfg.Now, lead: 2 * time.Second}
			cfg.Open = func() Source { return source }
			e := start(cfg, func(reason string) { t.Error(reason) })
			time.Sleep(wait + 1500*time.Millisecond)
			e.stop()
			all := heard.pcm()
			if records {
				b, err := os.ReadFile(recorded)
				if err != nil {
					t.Fatal(err)
				}
				all = toSamples(b[44:])
			}
			pcm := left(all)
			for _, s := range pcm {
				rms += s * s
			}
			rms = math.Sqrt(rms / float64(len(pcm)))
		})
		return rms
	}
	plain, kept := loud(t, 0, 0, false, false), loud(t, 0, 0, false, true)
	for _, c := range []struct {
		name         string
		gain, peak   int32
		off, records bool
		want         float64 // decibels
	}{
		{"quieter", -650, 900, false, false, -6.5},
		{"louder", 300, 250, false, false, 3},
		{"louder, but its peak is near", 900, 500, false, false, 6.02},
		{"louder, and nobody knows its peak", 900, 0, false, false, 0},
		{"a lie", -1 << 30, 1, false, false, -30},
		{"not wanted", -650, 900, true, false, 0},
		{"a recording", -650, 900, false, true, 0},
	} {
		as := plain
		if c.records {
			as = kept
		}
		got := 20 * math.Log10(loud(t, c.gain, c.peak, c.off, c.records)/as)
		if math.Abs(got-c.want) > 0.2 {
			t.Errorf("%s: %.2f dB, want %.2f", c.name, got, c.want)
		}
	}
}

// Whatever gain a peer claims, the samples stay within their bounds and keep their signs. If the peak is true, no sample
// is cut off.
func TestLevel_Property_NeverClips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		song := &messages.SongChange{GainMb: rapid.Int32().Draw(t, "gain"), PeakPermille: rapid.Int32().Draw(t, "peak")}
		pcm := rapid.SliceOfN(rapid.Int16(), 1, 50).Draw(t, "pcm")
		peak := 0.0
		for _, s := range pcm {
			peak = max(peak, math.Abs(float64(s))/32768)
		}
		honest := rapid.Bool().Draw(t, "honest")
		if honest {
			song.PeakPermille = int32(math.Ceil(peak * 1000))
		}
		factor := level(song)
		if factor <= 0 || math.IsNaN(factor) || math.IsInf(factor, 0) {
			t.Fatalf("%v gives %v", song, factor)
		}
		louder := append([]int16{}, pcm...)
		scale(louder, factor)
		for i, s := range pcm {
			exact := float64(s) * factor
			if int(s)*int(louder[i]) < 0 || honest && math.Abs(exact-float64(louder[i])) > 1 {
				t.Fatalf("%d times %v is %d", s, factor, louder[i])
			}
		}
	})
}
