package crowd

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var origin = time.Unix(0, 0)

func TestHops(t *testing.T) {
	from := map[uint64]time.Time{1: origin, 2: origin.Add(time.Second), 9: origin}
	to := map[uint64]time.Time{1: origin.Add(70 * time.Microsecond), 2: origin.Add(time.Second + 90*time.Microsecond), 3: origin}
	hops := Hops(from, to)
	slices.Sort(hops)
	if !slices.Equal(hops, []float64{70, 90}) { // of 3 and 9 nobody knows how long they took
		t.Errorf("%v us", hops)
	}
}

// A burst is found among music at its own pace, wherever it is.
func TestDensest_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at, now, number := map[uint64]time.Time{}, origin, uint64(1)
		add := func(n int, pause time.Duration) (first, last uint64) {
			first = number
			for range n {
				now = now.Add(pause)
				at[number] = now
				number++
			}
			return first, number - 1
		}
		add(rapid.IntRange(0, 20).Draw(t, "before"), 104*time.Millisecond)
		n := rapid.IntRange(2, 80).Draw(t, "burst")
		first, last := add(n, time.Duration(rapid.IntRange(0, 5000).Draw(t, "us"))*time.Microsecond)
		add(rapid.IntRange(0, 20).Draw(t, "after"), 104*time.Millisecond)
		got := densest(at, n)
		if len(got) != n || at[got[n-1]].Sub(at[got[0]]) > at[last].Sub(at[first]) {
			t.Fatalf("the burst was %d to %d, found is %v", first, last, got)
		}
		if densest(at, len(at)+1) != nil {
			t.Fatal("more chunks are found than came")
		}
	})
}

// No two listeners have one address, and none has the server's.
func TestHouse(t *testing.T) {
	seen := map[string]uint32{"127.0.0.1": 0}
	for n := range uint32(70_000) {
		at := house(n)
		if other, has := seen[at]; has {
			t.Fatalf("listeners %d and %d are both at %s", other, n, at)
		}
		seen[at] = n
	}
}
