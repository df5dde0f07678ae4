package main

import (
	"strings"
	"testing"
	"time"

	"conga/actors"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/messages"
)

// joined is somebody who did join.
type joined struct{ target }

// One bad receipt among many good ones must not go unseen.
func TestOutcome_Bad(t *testing.T) {
	ms := 1500.0
	sum := messages.SongSum{Song: "bach.mp3", First: 2, Chunks: 300, SHA256: "abc"}
	other := sum
	other.SHA256 = "abd"
	for _, c := range []struct {
		name   string
		spoil  func(a *experiment, c *participant)
		reason string // empty: all is well
	}{
		{"all is well", func(*experiment, *participant) {}, ""},
		{"lost", func(_ *experiment, c *participant) { c.proof.Lost = 1 }, "lost 1"},
		{"twice", func(_ *experiment, c *participant) { c.proof.Twice = 1 }, "twice 1"},
		{"underrun", func(_ *experiment, c *participant) { c.proof.Underruns = 1 }, "underruns 1"},
		{"unproved", func(_ *experiment, c *participant) { c.proof.Unproved = 1 }, "unproved 1"},
		{"a lie", func(_ *experiment, c *participant) { c.proof.Lies = 1 }, "lies 1"},
		{"another song", func(_ *experiment, c *participant) { c.proof.Songs = append(c.proof.Songs, other) }, "1 of 2"},
		{"deaf", func(_ *experiment, c *participant) { c.deaf = true }, "hears nothing"},
		{"it was killed later", func(_ *experiment, c *participant) { c.gone, c.proof.Lost = true, 1 }, "lost 1"},
		{"it was frozen", func(_ *experiment, c *participant) { c.disturbed, c.proof.Lost = true, 1 }, ""},
		{"a fault", func(a *experiment, _ *participant) { a.fault("%s could not join", "n9") }, "could not join"},
		{"nobody", func(a *experiment, _ *participant) { a.all = nil }, "no listener is left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &experiment{}
			for n := 1; n <= 3; n++ {
				a.all = append(a.all, &participant{name: schedule.Label(n), target: joined{}, proof: &actors.Receipt{
					Name: schedule.Label(n), Heard: 400, LowestMarginMs: &ms, Songs: []messages.SongSum{sum},
				}})
			}
			c.spoil(a, a.all[1])
			o := a.outcome([]messages.SongSum{sum})
			var text strings.Builder
			o.show(&text)
			if (len(o.bad) > 0) != (c.reason != "") || c.reason != "" && !strings.Contains(text.String(), c.reason) {
				t.Errorf("want %q, got %v in\n%s", c.reason, o.bad, text.String())
			}
		})
	}
}

func TestOutcome_Splices(t *testing.T) {
	start := time.Now()
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	a := &experiment{
		counts: map[schedule.Kind]*count{schedule.Kill: {1, 1}, schedule.Freeze: {1, 1}},
		hits:   map[string][]hit{"n1": {{schedule.Freeze, at(1)}, {schedule.Kill, at(8)}}},
		all: []*participant{{target: joined{}, found: []search{
			{"n1", at(2), 5 * time.Millisecond},  // after the freeze
			{"n1", at(9), 7 * time.Millisecond},  // after the kill
			{"n2", at(9), 11 * time.Millisecond}, // nobody hit it
		}}},
	}
	o := a.outcome(nil)
	for kind, want := range map[schedule.Kind]time.Duration{
		schedule.Freeze: messages.SilenceIsDeath + 5*time.Millisecond, schedule.Kill: 7 * time.Millisecond, unprovoked: 11 * time.Millisecond,
	} {
		if got := o.splices[kind]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
}

func TestPercentile(t *testing.T) {
	three := []time.Duration{1, 2, 3}
	for p, want := range map[int]time.Duration{0: 1, 50: 2, 99: 3, 100: 3} {
		if got := percentile(three, max(1, p)); got != want {
			t.Errorf("p%d of %v: %v, want %v", p, three, got, want)
		}
	}
	if got := percentile(nil, 50); got != 0 {
		t.Error(got)
	}
}
