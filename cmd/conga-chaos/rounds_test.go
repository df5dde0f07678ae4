package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"conga/actors"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/congatest"
)

// What an outage excuses, and what it does not.
func TestRound_Forgives(t *testing.T) {
	awake, slept, slow := &participant{}, &participant{}, &participant{}
	missed := forgiven{underruns: 2, lost: 30}
	for _, c := range []struct {
		name        string
		acts        []schedule.Act
		asleep      time.Duration
		awake, hurt forgiven
	}{
		{"the server for a moment", []schedule.Act{{Kind: schedule.Away, Lasts: 8 * time.Second}}, 0, forgiven{underruns: 2}, forgiven{underruns: 2}},
		{"all cables for long", []schedule.Act{{Kind: schedule.Dark, Lasts: 10 * time.Second}}, 0, missed, missed},
		{"two one after the other", []schedule.Act{{Kind: schedule.Away, Lasts: 5 * time.Second}, {Kind: schedule.Dark, Lasts: 5 * time.Second}}, 0, missed, missed},
		{"asleep", []schedule.Act{{Kind: schedule.Asleep, Lasts: time.Minute}}, time.Minute, forgiven{}, missed},
		{"a nap", []schedule.Act{{Kind: schedule.Asleep, Lasts: 4 * time.Second}, {Kind: schedule.Kill}}, 4 * time.Second, forgiven{}, forgiven{underruns: 2}},
		{"two slow lines", []schedule.Act{{Kind: schedule.SlowPair, Lasts: time.Minute}}, 0, forgiven{}, forgiven{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := round{acts: c.acts, asleep: map[*participant]time.Duration{slept: c.asleep}, slow: map[*participant]bool{slow: true}}
			if got := r.forgives(slow, missed); got.underruns != missed.underruns || got.lost != c.awake.lost {
				t.Errorf("whose line is slow is forgiven %v", got)
			}
			if got := r.forgives(awake, missed); got != c.awake {
				t.Errorf("who was awake is forgiven %v, want %v", got, c.awake)
			}
			if got := r.forgives(slept, missed); got != c.hurt {
				t.Errorf("who was hit is forgiven %v, want %v", got, c.hurt)
			}
		})
	}
}

// Who does not hear five seconds after an outage is named.
func TestRound_Troubles(t *testing.T) {
	heard := func(items, silent int64, upstream string) hearing {
		return hearing{actors.Receipt{Name: "n", Heard: items, SilentMs: silent}, upstream}
	}
	for _, c := range []struct {
		name        string
		first, then hearing
		says        string // empty: all is well
	}{
		{"well", heard(10, 500, "server"), heard(19, 500, "server"), ""},
		{"mute", hearing{}, heard(19, 0, "server"), "does not answer"},
		{"no items", heard(10, 0, "n2"), heard(11, 0, "n2"), "hears 1 items"},
		{"too late", heard(10, 0, "n2"), heard(19, 900, "n2"), "nothing to play for 900 ms"},
	} {
		got := strings.Join(deafness("n1", c.first, c.then), "; ")
		if (got != "") != (c.says != "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q, want %q", c.name, got, c.says)
		}
	}
	all := map[*participant]hearing{}
	var who []*participant
	for _, edge := range []string{"n1 server", "n2 n1", "n3 n4", "n4 n3", "n5 n3", "n6 "} {
		name, above, _ := strings.Cut(edge, " ")
		c := &participant{name: name}
		who, all[c] = append(who, c), heard(1, 0, above)
	}
	got := strings.Join(astray(who, all), "; ")
	for _, lost := range []string{"n3 < n4 < n3", "n4 < n3 < n4", "n5 < n3 < n4 < n3", "n6 < "} {
		if !strings.Contains(got, lost) {
			t.Errorf("%q is not in %q", lost, got)
		}
	}
	if strings.Count(got, "no path") != 4 {
		t.Error(got)
	}
}

// One short outage of the server and one of all cables, with real processes and cables.
func TestChaos_ShortOutages(t *testing.T) {
	var out, progress bytes.Buffer
	code := chaosProgram().Run(t.Context(), []string{
		"--conga", builtConga(t), "--nodes", "6", "--processes", "1", "--failures", "2", "--seed", "6", "--spin", "1",
		"--kinds", "away,dark", "--longest", "4s", "--songs", congatest.Songs(t, congatest.Short),
	}, strings.NewReader(""), &out, &progress)
	t.Logf("%s\n%s", progress.String(), out.String())
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	if !strings.Contains(out.String(), "last to end") || !strings.Contains(progress.String(), "everybody has music") {
		t.Error("the outages are not in the table")
	}
}
