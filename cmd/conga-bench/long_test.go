package main

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever the longest chain is, the search finds it in a few tries, to closeEnough.
func TestNextLength_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		longest := rapid.IntRange(0, mostLong).Draw(t, "longest")
		good, bad, tries := 0, mostLong+1, 0
		for next := nextLength(good, bad); next > 0; next = nextLength(good, bad) {
			if tries++; tries > 12 || next <= good || next >= bad {
				t.Fatalf("try %d is %d, between %d and %d", tries, next, good, bad)
			}
			if next <= longest {
				good = next
			} else {
				bad = next
			}
		}
		if good > longest || longest-good >= closeEnough {
			t.Fatalf("%d is found, %d would play", good, longest)
		}
	})
}
