package main

import (
	"cmp"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func allKinds() (kinds []failure) {
	for _, b := range usual {
		kinds = append(kinds, b.kind)
	}
	return kinds
}

func TestSchedule_SameSeed(t *testing.T) {
	p := plan{nodes: 200, failures: 1000, over: 300 * time.Second, seed: 1, kinds: allKinds()}
	if !reflect.DeepEqual(p.schedule(), p.schedule()) {
		t.Error("the same plan is two schedules")
	}
	other := p
	other.seed = 2
	if reflect.DeepEqual(p.schedule(), other.schedule()) {
		t.Error("two seeds are the same schedule")
	}
}

// Whatever the plan: nobody is hit before it has come or after it has gone, as many
// come as go, and failures that use up the slack are apart.
func TestSchedule_Sound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plan{
			nodes: rapid.IntRange(2, 60).Draw(t, "nodes"), failures: rapid.IntRange(1, 80).Draw(t, "failures"),
			over: time.Duration(rapid.IntRange(0, 30).Draw(t, "seconds")) * time.Second,
			seed: rapid.Uint64().Draw(t, "seed"), kinds: allKinds(),
		}
		if rapid.Bool().Draw(t, "one kind") {
			p.kinds = []failure{rapid.SampledFrom(p.kinds).Draw(t, "kind")}
		}
		came, gone, awake := map[int]time.Duration{}, map[int]bool{}, map[int]time.Duration{}
		for n := 1; n <= p.nodes; n++ {
			came[n] = -grownUp
		}
		failures, quiet := 0, time.Duration(0)
		acts := p.schedule()
		if !slices.IsSortedFunc(acts, func(a, b act) int { return cmp.Compare(a.at, b.at) }) {
			t.Fatal("not in the order of time")
		}
		for _, a := range acts {
			if a.kind == join {
				came[a.nodes[0]] = a.at
				continue
			}
			failures++
			if !slices.Contains(p.kinds, a.kind) {
				t.Fatalf("%v was not asked for", a)
			}
			for _, n := range a.nodes {
				since, has := came[n]
				if !has || gone[n] || a.at < since+grownUp || a.at < awake[n] {
					t.Fatalf("%v: n%d is not there, or not yet", a, n)
				}
				gone[n] = !a.kind.hurts()
			}
			if a.kind.hurts() {
				awake[a.nodes[0]] = a.at + a.lasts
			}
			if a.kind.silent() {
				if a.at < quiet {
					t.Fatalf("%v: too near to the one before", a)
				}
				quiet = a.at + apart
			}
		}
		left := 0
		for n := range came {
			if !gone[n] {
				left++
			}
		}
		if failures != p.failures || left != p.nodes {
			t.Fatalf("%d failures, %d left; want %d and %d", failures, left, p.failures, p.nodes)
		}
	})
}

func TestSchedule_EveryKind(t *testing.T) {
	seen := map[failure]int{}
	for _, a := range (plan{nodes: 20, failures: 60, over: 30 * time.Second, seed: 1, kinds: allKinds()}).schedule() {
		seen[a.kind]++
	}
	for _, kind := range allKinds() {
		if seen[kind] == 0 {
			t.Errorf("no %s among %v", kind, seen)
		}
	}
}
