package web

import (
	"bytes"
	"testing"
	"testing/iotest"
	"time"
)

// Each byte of a body extends its deadline: a slow sender is cut off, a long body is not. whole is called after the last
// byte.
func TestPaced(t *testing.T) {
	start := time.Now()
	var deadlines []time.Duration
	whole := 0
	p := &paced{
		body: iotest.OneByteReader(bytes.NewReader(make([]byte, 3*slowest))), left: 3 * slowest, start: start, whole: func() { whole++ },
		deadline: func(at time.Time) error {
			deadlines = append(deadlines, at.Sub(start))
			return nil
		},
	}
	b := make([]byte, 10)
	for i := range 3 * slowest {
		if whole != 0 {
			t.Fatalf("after %d bytes it counts as whole", i)
		}
		if _, err := p.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	if whole != 1 {
		t.Errorf("the end was told of %d times", whole)
	}
	if deadlines[0] != pause || deadlines[2*slowest] != pause+2*time.Second {
		t.Errorf("first %v, then %v", deadlines[0], deadlines[2*slowest])
	}
}

// Whoever brings a file is told what happens to it.
func TestInLine(t *testing.T) {
	for place, want := range map[int]string{0: "", 1: "is checked", 2: "second in line to be checked", 21: "21st in line to be checked"} {
		if got := inLine(place); got != want {
			t.Errorf("place %d: %q, want %q", place, got, want)
		}
	}
}
