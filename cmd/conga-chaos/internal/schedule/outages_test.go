package schedule

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever the plan: as many failures as asked for; nobody is hit who is not there or sleeps;
// after each outage all are asked whether they hear, with no failure under way; who comes,
// comes after that; and two slow lines have the chain for themselves.
func TestSchedule_Outages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Plan{
			Nodes: rapid.IntRange(2, 60).Draw(t, "nodes"), Failures: rapid.IntRange(1, 40).Draw(t, "failures"),
			Longest: time.Duration(rapid.IntRange(4, 600).Draw(t, "longest")) * time.Second,
			Seed:    rapid.Uint64().Draw(t, "seed"), Kinds: append(KindsIn(Outages), Kill, Half, Server),
		}
		if rapid.Bool().Draw(t, "one kind") {
			p.Kinds = []Kind{rapid.SampledFrom(KindsIn(Outages)).Draw(t, "kind")}
		}
		acts := p.Acts()
		if !reflect.DeepEqual(acts, p.Acts()) {
			t.Fatal("the same plan is two schedules")
		}
		free := map[int]time.Duration{} // from when on each may be hit
		for n := 1; n <= p.Nodes; n++ {
			free[n] = 0
		}
		failures, left, under, quiet := 0, p.Nodes, time.Duration(0), time.Duration(0)
		var inRound []Kind
		for _, a := range acts {
			switch a.Kind {
			case Listen:
				if a.At < under {
					t.Fatalf("%v: a failure lasts until %v", a, under)
				}
				if slices.Contains(inRound, SlowPair) && len(inRound) > 1 {
					t.Fatalf("%v together", inRound)
				}
				inRound, quiet = nil, a.At+MendedWithin+ListenFor
				continue
			case Join:
				if len(inRound) > 0 || a.At < quiet {
					t.Fatalf("%v comes in the dark", a)
				}
				left++
				free[a.Nodes[0]] = a.At + grownUp
				continue
			}
			failures++
			inRound, under = append(inRound, a.Kind), max(under, a.Ends())
			if a.At < quiet || !slices.Contains(p.Kinds, a.Kind) || a.Lasts > max(p.Longest, longFrom) {
				t.Fatalf("%v: too early, too long, or not asked for", a)
			}
			for _, n := range a.Nodes {
				from, there := free[n]
				if !there || a.At < from {
					t.Fatalf("%v: n%d is not there, sleeps, or has just come", a, n)
				}
				if free[n] = a.At + a.Lasts; !a.Kind.Hurts() {
					left--
					delete(free, n)
				}
			}
		}
		if failures != p.Failures || left != p.Nodes || len(inRound) > 0 {
			t.Fatalf("%d failures, %d left, nobody asked after %v; want %d and %d", failures, left, inRound, p.Failures, p.Nodes)
		}
	})
}

func TestSchedule_EveryOutage(t *testing.T) {
	p := Plan{Nodes: 30, Failures: 60, Longest: LongestLongest, Seed: 1, Kinds: append(KindsIn(Outages), Kill, Server)}
	seen, mixed, row, half, brief, cable, longest := map[Kind]bool{}, 0, false, false, false, false, time.Duration(0)
	inRound := 0
	for _, a := range p.Acts() {
		seen[a.Kind] = true
		longest = max(longest, a.Lasts)
		brief = brief || a.Kind.Outage() && a.Lasts <= WithinWindow
		cable = cable || a.Cable
		row = row || a.Kind == Asleep && len(a.Nodes) > 1 && len(a.Nodes) < 5
		half = half || a.Kind == Asleep && len(a.Nodes) > 10
		if inRound++; a.Kind == Listen || a.Kind == Join {
			inRound = 0
		}
		mixed = max(mixed, inRound)
	}
	for _, kind := range p.Kinds {
		if !seen[kind] {
			t.Errorf("no %s", kind)
		}
	}
	if !row || !half || !brief || !cable || mixed < 3 || longest < 5*time.Minute {
		t.Errorf("a row %v, half %v, within the window %v, the server's cable %v, together %d, longest %v", row, half, brief, cable, mixed, longest)
	}
}
