package messages

import (
	"math"
	"testing"
)

// A time arrives as it was said, to the millisecond.
func TestTime(t *testing.T) {
	for _, us := range []int64{1, 999, 1000, 1_700_000_000_123_456} {
		if got, want := ParseTime(AppendTime(nil, us)), us/1000*1000; got != want {
			t.Errorf("%d arrives as %d", us, got)
		}
	}
	for _, none := range [][]byte{nil, AppendTime(nil, -1), AppendTime(nil, math.MaxInt64), {0x80}} {
		if got := ParseTime(none); got != 0 {
			t.Errorf("%x is %d", none, got)
		}
	}
}

// Whatever a peer sends is a moment that can be reckoned with.
func FuzzParseTime(f *testing.F) {
	f.Add(AppendTime(nil, 1_700_000_000_123_456))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, p []byte) {
		us := ParseTime(p)
		if us < 0 || us > 1000<<48 {
			t.Fatalf("%x is %d", p, us)
		}
		if again := ParseTime(AppendTime(nil, us)); again != us {
			t.Fatalf("%d arrives as %d", us, again)
		}
	})
}
