package requester

import (
	"testing"

	"pgregory.net/rapid"
)

// The estimate is at most half of the best round trip off, however the network behaves;
// and when a machine has slept it follows at once.
func TestSamples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s samples
		local := rapid.Int64Range(1, 1<<50).Draw(t, "local")
		ahead := rapid.Int64Range(-1<<50, 1<<50).Draw(t, "ahead")
		var trips []int64
		for range rapid.IntRange(1, 40).Draw(t, "pings") {
			local += rapid.Int64Range(1_000, 5_000_000).Draw(t, "passes")
			if rapid.IntRange(0, 9).Draw(t, "sleeps") == 0 {
				slept := rapid.Int64Range(10_000_000, 1<<40).Draw(t, "slept")
				ahead += slept // the monotonic clock stood still
				trips = nil
			}
			up := rapid.Int64Range(0, 900_000).Draw(t, "up")
			down := rapid.Int64Range(0, 900_000).Draw(t, "down")
			got := s.add(local, local+up+ahead, local+up+down)
			local += up + down
			trips = append(trips, up+down)
			trips = trips[max(0, len(trips)-keepSamples):]
			best := trips[0]
			for _, trip := range trips {
				best = min(best, trip)
			}
			if off := abs(got - ahead); off > best/2+1 {
				t.Fatalf("%d us off, with a best round trip of %d us", off, best)
			}
		}
	})
}
