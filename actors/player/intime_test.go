package player

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

// If a listener cannot be in time, it is told once, and what to do. A short trouble is not told.
func TestTiming(t *testing.T) {
	type moment struct{ seconds, errorUs, clockUs float64 }
	for name, c := range map[string]struct {
		is   moment
		says string
	}{
		"in time":                  {moment{0.01, 15_000, 1000}, ""},
		"the network is bad":       {moment{0.01, 0, 30_000}, "server's clock"},
		"the machine is busy":      {moment{0.3, -30_000, 0}, "too busy"},
		"the device is not honest": {moment{0.01, 25_000, 0}, "does not say when it plays"},
	} {
		var w timing
		var told []string
		run := func(m moment, length float64) {
			for s := 0.0; s < length; s += m.seconds {
				if reason := w.watch(m.seconds, 1e6, m.errorUs, m.clockUs); reason != "" {
					told = append(told, reason)
				}
			}
		}
		run(c.is, 5)
		if len(told) > 0 {
			t.Errorf("%s: told after five seconds: %q", name, told)
		}
		run(c.is, 300)
		if n := len(told); c.says == "" && n > 0 || c.says != "" && (n != 1 || !strings.Contains(told[0], c.says)) {
			t.Errorf("%s: %q", name, told)
		}
		before := len(told)
		run(moment{0.01, 0, 0}, 200)
		run(c.is, 30)
		if len(told) != 2*before {
			t.Errorf("%s, once more after a while: %q", name, told)
		}
	}
}

// Each move of the sound is logged with its cause, at most one in ten seconds. The others are counted.
func TestPlayer_Stepped(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 20)
	synctest.Test(t, func(t *testing.T) {
		out, f := &tape{}, &facts{}
		ahead := time.Duration(0)
		cfg := testConfig(t, f, out, nil)
		cfg.Now = func() int64 { return time.Now().Add(ahead).UnixMicro() }
		source := &script{items: broadcast(t, cfg.Now()+1_000_000, bach), now: cfg.Now, lead: 2 * time.Second}
		cfg.Open = func() Source { return source }
		e := start(cfg, func(reason string) { t.Error(reason) })
		set := func(ms time.Duration) {
			e.changeOffset(func(time.Duration) time.Duration { return ms * time.Millisecond })
			time.Sleep(time.Second)
		}
		time.Sleep(3 * time.Second)
		for _, ms := range []time.Duration{20, 10, 30} {
			set(ms)
		}
		time.Sleep(9 * time.Second)
		set(25)
		e.stop()
		told := of[*messages.PlayerStepped](f)
		if len(told) != 2 || told[0].GetUs() != 20_000 || told[0].GetTimes() != 1 || told[1].GetUs() != -5000 || told[1].GetTimes() != 3 ||
			told[0].GetCause() != messages.PlayerStepped_CAUSE_OFFSET || told[0].GetCut() {
			t.Errorf("%v", told)
		}
	})
}

// The log distinguishes a corrected clock from a device that is not where it said.
func TestDeck_WhyMoved(t *testing.T) {
	d := newDeck(nil, nil, nil)
	d.steer.ageS = 60
	d.timing.aheadUs, d.ahead = 1_000_000, 1_018_000
	if got := d.whyMoved(20_000); got != messages.PlayerStepped_CAUSE_CLOCK {
		t.Error(got)
	}
	d.ahead = 1_000_400
	if got := d.whyMoved(20_000); got != messages.PlayerStepped_CAUSE_DEVICE {
		t.Error(got)
	}
	d.steer.ageS = 1
	if got := d.whyMoved(2000); got != messages.PlayerStepped_CAUSE_START {
		t.Error(got)
	}
}
