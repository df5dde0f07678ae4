package main

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"conga/actors"

	"pgregory.net/rapid"
)

// Whatever the plan: as many failures as asked for; nobody is hit who is not there or sleeps;
// after each outage all are asked whether they hear, with no failure under way; who comes,
// comes after that; and two slow lines have the chain for themselves.
func TestSchedule_Outages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plan{
			nodes: rapid.IntRange(2, 60).Draw(t, "nodes"), failures: rapid.IntRange(1, 40).Draw(t, "failures"),
			longest: time.Duration(rapid.IntRange(4, 600).Draw(t, "longest")) * time.Second,
			seed:    rapid.Uint64().Draw(t, "seed"), kinds: append(kindsIn(outages), failureKill, failureHalf, failureServer),
		}
		if rapid.Bool().Draw(t, "one kind") {
			p.kinds = []failure{rapid.SampledFrom(kindsIn(outages)).Draw(t, "kind")}
		}
		acts := p.schedule()
		if !reflect.DeepEqual(acts, p.schedule()) {
			t.Fatal("the same plan is two schedules")
		}
		free := map[int]time.Duration{} // from when on each may be hit
		for n := 1; n <= p.nodes; n++ {
			free[n] = 0
		}
		failures, left, under, quiet := 0, p.nodes, time.Duration(0), time.Duration(0)
		var inRound []failure
		for _, a := range acts {
			switch a.kind {
			case listen:
				if a.at < under {
					t.Fatalf("%v: a failure lasts until %v", a, under)
				}
				if slices.Contains(inRound, failureSlowPair) && len(inRound) > 1 {
					t.Fatalf("%v together", inRound)
				}
				inRound, quiet = nil, a.at+mendedWithin+listenFor
				continue
			case join:
				if len(inRound) > 0 || a.at < quiet {
					t.Fatalf("%v comes in the dark", a)
				}
				left++
				free[a.nodes[0]] = a.at + grownUp
				continue
			}
			failures++
			inRound, under = append(inRound, a.kind), max(under, a.ends())
			if a.at < quiet || !slices.Contains(p.kinds, a.kind) || a.lasts > max(p.longest, longFrom) {
				t.Fatalf("%v: too early, too long, or not asked for", a)
			}
			for _, n := range a.nodes {
				from, there := free[n]
				if !there || a.at < from {
					t.Fatalf("%v: n%d is not there, sleeps, or has just come", a, n)
				}
				if free[n] = a.at + a.lasts; !a.kind.hurts() {
					left--
					delete(free, n)
				}
			}
		}
		if failures != p.failures || left != p.nodes || len(inRound) > 0 {
			t.Fatalf("%d failures, %d left, nobody asked after %v; want %d and %d", failures, left, inRound, p.failures, p.nodes)
		}
	})
}

func TestSchedule_EveryOutage(t *testing.T) {
	p := plan{nodes: 30, failures: 60, longest: longestLongest, seed: 1, kinds: append(kindsIn(outages), failureKill, failureServer)}
	seen, mixed, row, half, brief, cable, longest := map[failure]bool{}, 0, false, false, false, false, time.Duration(0)
	inRound := 0
	for _, a := range p.schedule() {
		seen[a.kind] = true
		longest = max(longest, a.lasts)
		brief = brief || a.kind.outage() && a.lasts <= withinWindow
		cable = cable || a.cable
		row = row || a.kind == failureAsleep && len(a.nodes) > 1 && len(a.nodes) < 5
		half = half || a.kind == failureAsleep && len(a.nodes) > 10
		if inRound++; a.kind == listen || a.kind == join {
			inRound = 0
		}
		mixed = max(mixed, inRound)
	}
	for _, kind := range p.kinds {
		if !seen[kind] {
			t.Errorf("no %s", kind)
		}
	}
	if !row || !half || !brief || !cable || mixed < 3 || longest < 5*time.Minute {
		t.Errorf("a row %v, half %v, within the window %v, the server's cable %v, together %d, longest %v", row, half, brief, cable, mixed, longest)
	}
}

// What an outage excuses, and what it does not.
func TestRound_Forgives(t *testing.T) {
	awake, slept, slow := &participant{}, &participant{}, &participant{}
	missed := forgiven{underruns: 2, lost: 30}
	for _, c := range []struct {
		name        string
		acts        []act
		asleep      time.Duration
		awake, hurt forgiven
	}{
		{"the server for a moment", []act{{kind: failureAway, lasts: 8 * time.Second}}, 0, forgiven{underruns: 2}, forgiven{underruns: 2}},
		{"all cables for long", []act{{kind: failureDark, lasts: 10 * time.Second}}, 0, missed, missed},
		{"two one after the other", []act{{kind: failureAway, lasts: 5 * time.Second}, {kind: failureDark, lasts: 5 * time.Second}}, 0, missed, missed},
		{"asleep", []act{{kind: failureAsleep, lasts: time.Minute}}, time.Minute, forgiven{}, missed},
		{"a nap", []act{{kind: failureAsleep, lasts: 4 * time.Second}, {kind: failureKill}}, 4 * time.Second, forgiven{}, forgiven{underruns: 2}},
		{"two slow lines", []act{{kind: failureSlowPair, lasts: time.Minute}}, 0, forgiven{}, forgiven{}},
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
	t.Setenv(asConga, "1")
	var out, progress bytes.Buffer
	code := run(t.Context(), []string{
		"chaos", "--nodes", "6", "--processes", "1", "--failures", "2", "--seed", "6", "--spin", "1",
		"--kinds", "away,dark", "--longest", "4s", "--songs", cutSongs(t, shortSongs),
	}, strings.NewReader(""), &out, &progress)
	t.Logf("%s\n%s", progress.String(), out.String())
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	if !strings.Contains(out.String(), "last to end") || !strings.Contains(progress.String(), "everybody has music") {
		t.Error("the outages are not in the table")
	}
}
