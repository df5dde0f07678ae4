package schedule

import (
	"cmp"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSchedule_SameSeed(t *testing.T) {
	p := Plan{Nodes: 200, Failures: 1000, Over: 300 * time.Second, Seed: 1, Kinds: KindsIn(Usual)}
	if !reflect.DeepEqual(p.Acts(), p.Acts()) {
		t.Error("the same plan is two schedules")
	}
	other := p
	other.Seed = 2
	if reflect.DeepEqual(p.Acts(), other.Acts()) {
		t.Error("two seeds are the same schedule")
	}
}

// Whatever the plan: nobody is hit before it has come or after it has gone, as many
// come as go, and failures that use up the slack are apart.
func TestSchedule_Sound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Plan{
			Nodes: rapid.IntRange(2, 60).Draw(t, "nodes"), Failures: rapid.IntRange(1, 80).Draw(t, "failures"),
			Over: time.Duration(rapid.IntRange(0, 30).Draw(t, "seconds")) * time.Second,
			Seed: rapid.Uint64().Draw(t, "seed"), Kinds: KindsIn(Usual),
		}
		if rapid.Bool().Draw(t, "one kind") {
			p.Kinds = []Kind{rapid.SampledFrom(p.Kinds).Draw(t, "kind")}
		}
		came, gone, awake := map[int]time.Duration{}, map[int]bool{}, map[int]time.Duration{}
		for n := 1; n <= p.Nodes; n++ {
			came[n] = -grownUp
		}
		failures, quiet := 0, time.Duration(0)
		acts := p.Acts()
		if !slices.IsSortedFunc(acts, func(a, b Act) int { return cmp.Compare(a.At, b.At) }) {
			t.Fatal("not in the order of time")
		}
		for _, a := range acts {
			if a.Kind == Join {
				came[a.Nodes[0]] = a.At
				continue
			}
			failures++
			if !slices.Contains(p.Kinds, a.Kind) {
				t.Fatalf("%v was not asked for", a)
			}
			for _, n := range a.Nodes {
				since, has := came[n]
				if !has || gone[n] || a.At < since+grownUp || a.At < awake[n] {
					t.Fatalf("%v: n%d is not there, or not yet", a, n)
				}
				gone[n] = !a.Kind.Hurts()
			}
			if a.Kind.Hurts() {
				awake[a.Nodes[0]] = a.At + a.Lasts
			}
			if a.Kind.silent() {
				if a.At < quiet {
					t.Fatalf("%v: too near to the one before", a)
				}
				quiet = a.At + apart
			}
		}
		left := 0
		for n := range came {
			if !gone[n] {
				left++
			}
		}
		if failures != p.Failures || left != p.Nodes {
			t.Fatalf("%d failures, %d left; want %d and %d", failures, left, p.Failures, p.Nodes)
		}
	})
}

func TestSchedule_EveryKind(t *testing.T) {
	seen := map[Kind]int{}
	for _, a := range (Plan{Nodes: 20, Failures: 60, Over: 30 * time.Second, Seed: 1, Kinds: KindsIn(Usual)}).Acts() {
		seen[a.Kind]++
	}
	for _, kind := range KindsIn(Usual) {
		if seen[kind] == 0 {
			t.Errorf("no %s among %v", kind, seen)
		}
	}
}
