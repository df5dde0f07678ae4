package machine

import (
	"testing"

	"conga/messages"
)

func TestMargin(t *testing.T) {
	const second = 1_000_000
	for _, c := range []struct {
		name    string
		arrived [][2]int64 // to be heard, at
		lowest  float64    // ms; 0: not known
	}{
		{"nothing", nil, 0},
		{"a newcomer's first items", [][2]int64{{100, 90}, {second, 95}, {2*second + 89, 96}}, 0},
		{"the first that was sent after it came", [][2]int64{{100, 90}, {2*second + 90, 100_090}}, 1900},
		{"the least of all", [][2]int64{{second, second}, {4 * second, 3 * second}, {5 * second, 5*second - 1000}, {7 * second, 5 * second}}, 1},
		{"too late", [][2]int64{{second, second}, {4 * second, 4*second + 2000}}, -2},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := margin{}
			for _, a := range c.arrived {
				m.arrived(&messages.Item{Song: &messages.SongChange{SampleRate: 44100, PlayAtUnixUs: a[0]}}, a[1])
			}
			switch got := m.lowestMs(); {
			case got == nil && c.lowest != 0:
				t.Errorf("not known, want %v ms", c.lowest)
			case got != nil && *got != c.lowest:
				t.Errorf("%v ms, want %v (0: not known)", *got, c.lowest)
			}
		})
	}
}
