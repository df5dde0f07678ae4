package player

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"conga/messages/chance"
	"conga/messages/raced"
)

// Clicks in noise, with an echo, are measured to a part of a millisecond. Noise alone, and clicks at any time, are not
// measured.
func TestClicksIn(t *testing.T) {
	r := rand.New(rand.NewPCG(chance.Seed(t), 0))
	room := func(noise float64, when func(second int) float64) recordedSound {
		s := recordedSound{pcm: make([]float64, 9*outputRate), beganUs: 1e15 + float64(r.IntN(1_000_000))}
		for i := range s.pcm {
			s.pcm[i] = r.NormFloat64() * noise
		}
		for second := range 10 {
			at := int((float64(second)*1e6 + when(second) - math.Mod(s.beganUs, 1e6)) * framesPerUs)
			for i, c := range click() {
				for delay, level := range map[int]float64{0: 0.05, 700: 0.02, 1500: 0.01} {
					if n := at + i + delay; n >= 0 && n < len(s.pcm) {
						s.pcm[n] += float64(c) * level
					}
				}
			}
		}
		return s
	}
	all := []float64{-400_000, 200, 37_000}
	for _, late := range raced.Size(all, all[:1]) {
		got, err := clicksIn(room(200, func(int) float64 { return late }))
		if off := got.Late.Seconds()*1e6 - late; err != nil || math.Abs(off) > 100 || got.Spread > 100*time.Microsecond || got.Clicks < 7 {
			t.Errorf("%.0f µs late: %+v %v", late, got, err)
		}
	}
	if got, err := clicksIn(room(200, func(int) float64 { return -1e9 })); err == nil || !strings.Contains(err.Error(), "hears 0 clicks") {
		t.Errorf("a noise: %+v %v", got, err)
	}
	if got, err := clicksIn(room(200, func(int) float64 { return r.Float64()*800_000 - 400_000 })); err == nil {
		t.Errorf("clicks at any time: %+v", got)
	}
	if _, err := clicksIn(recordedSound{}); err == nil {
		t.Error("nothing")
	}
}

// A known offset is measured within a millisecond. The microphone is the monitor of a private PulseAudio's sink. A
// monitor that the user does not name is no microphone.
func TestMeasure(t *testing.T) {
	needPulse(t)
	run, stop := pulse(t, t.TempDir())
	run()
	defer stop()
	kept := &shelf{all: map[string]time.Duration{}}
	cfg := testConfig(t, &facts{}, newSpeaker(), nil)
	cfg.Offsets, cfg.Samples = kept, ClickSamples
	cfg.Open = func() Source { return Clicks(cfg.Now) }
	e := start(cfg, func(reason string) { t.Error(reason) })
	defer e.stop()
	if got, err := Measure(t.Context(), cfg.Now); err == nil || !strings.Contains(err.Error(), "no microphone") {
		t.Errorf("a monitor was taken for a microphone: %+v %v", got, err)
	}
	t.Setenv("PULSE_SOURCE", "conga.monitor")
	until(t, func() error {
		if now := e.changeOffset(nil); now.Device != "conga" {
			return fmt.Errorf("%+v plays", now)
		}
		return nil
	})
	for _, ms := range []float64{0, 37, -12} {
		e.changeOffset(func(time.Duration) time.Duration { return time.Duration(ms * 1e6) })
		var got Arrival
		var err error
		for range 3 { // on a busy machine the sound server itself stumbles
			if got, err = Measure(t.Context(), cfg.Now); err == nil && math.Abs(got.Late.Seconds()*1000+ms) <= 1 {
				break
			}
		}
		t.Logf("offset %g ms: %+v %v", ms, got, err)
		if err != nil || math.Abs(got.Late.Seconds()*1000+ms) > 1 {
			t.Errorf("offset %g ms: %+v %v", ms, got, err)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Measure(over, cfg.Now); err == nil {
		t.Error("it does not end")
	}
}
