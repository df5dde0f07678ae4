package clockfilter

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"conga/messages/raced"
)

// If both clocks run evenly, the true offset and skew are within the bounds, whatever the network does, and what is probable is
// within them, too. As long as Pace waits for that reason alone, nobody hears the error.
func TestFilter_Property_Bound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f Filter
		local := rapid.Int64Range(1, 1<<50).Draw(t, "local")
		ahead := float64(rapid.Int64Range(-1<<50, 1<<50).Draw(t, "ahead"))
		skew := rapid.Float64Range(-MaxSkew*0.99, MaxSkew*0.99).Draw(t, "skew")
		start := local
		offset := func(at int64) float64 { return ahead + skew*float64(at-start) }
		longest := rapid.SampledFrom([]int64{0, 50, 2_000, 900_000}).Draw(t, "longest")
		for range rapid.IntRange(1, 60).Draw(t, "pings") {
			local += rapid.Int64Range(1_000, 5_000_000).Draw(t, "passes")
			up := rapid.Int64Range(0, longest).Draw(t, "up")
			down := rapid.Int64Range(0, longest).Draw(t, "down")
			got := f.Add(Ping{local, local + up + int64(math.Round(offset(local+up))), local + up + down})
			local += up + down
			if off := math.Abs(got.Offset(local) - offset(local)); off > got.BoundUs {
				t.Fatalf("%.1f µs off, the bound is %.1f µs", off, got.BoundUs)
			}
			if off := math.Abs(got.Skew - skew); off > got.BoundSkew+1e-9 {
				t.Fatalf("the skew is %g off, the bound is %g", off, got.BoundSkew)
			}
			if got.ErrorUs > got.BoundUs || got.SkewError > got.BoundSkew {
				t.Fatalf("probably more is wrong than can be: %+v", got)
			}
			then := local + byBound(got).Microseconds()
			if off := math.Abs(got.Offset(then) - offset(then)); off > max(surelyUs, got.BoundUs) {
				t.Fatalf("%.1f µs off when it asks again", off)
			}
		}
	})
}

// The edges of a corridor are those that a look at each limit gives, with any skew; no skew makes it wider, and those at the
// ends of asWide are the last that make it as wide.
func TestCorridor_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := func(what string) (all []limit) {
			for range rapid.IntRange(1, 30).Draw(t, what) {
				all = append(all, limit{rapid.Int64Range(0, 60_000_000).Draw(t, "at"), rapid.Int64Range(-50_000, 50_000).Draw(t, "offset")})
			}
			return all
		}
		c := widest(limits("lows"), limits("highs"))
		look := func(skew float64) (low, high float64) {
			low, high = math.Inf(-1), math.Inf(1)
			for _, l := range c.lows {
				low = max(low, c.of(l, skew))
			}
			for _, l := range c.highs {
				high = min(high, c.of(l, skew))
			}
			return low, high
		}
		const close = 1e-3
		for range 20 {
			skew := rapid.Float64Range(-MaxSkew, MaxSkew).Draw(t, "skew")
			low, high := look(skew)
			if got := c.with(skew); math.Abs(got.low-low) > close || math.Abs(got.high-high) > close {
				t.Fatalf("with %g the edges are %+v, want %f, %f", skew, got, low, high)
			}
			if high-low > c.width+close {
				t.Fatalf("with %g it is %f wide, and with %g, which should be the widest, %f", skew, high-low, c.skew, c.width)
			}
			least, most := c.asWide(high - low - close)
			if skew < least.skew-1e-9 || skew > most.skew+1e-9 {
				t.Fatalf("with %g it is %f wide, which should need %g to %g", skew, high-low, least.skew, most.skew)
			}
			for _, end := range []bend{least, most} {
				if endLow, endHigh := look(end.skew); endHigh-endLow < high-low-2*close {
					t.Fatalf("with %g it is %f wide, want %f", end.skew, endHigh-endLow, high-low)
				}
			}
		}
	})
}

// After a machine has slept, or a server was restarted, one ping is enough.
func TestFilter_Property_Step(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f Filter
		local, ahead := int64(1), rapid.Int64Range(-1<<40, 1<<40).Draw(t, "ahead")
		for range rapid.IntRange(1, 60).Draw(t, "pings before") {
			local += 1_000_000
			f.Add(Ping{local, local + 300 + ahead, local + 600})
		}
		step := rapid.Int64Range(300_000, 1<<40).Draw(t, "step")
		if rapid.Bool().Draw(t, "back") {
			step = -step
		}
		local += 1_000_000
		got := f.Add(Ping{local, local + 300 + ahead + step, local + 600})
		if off := math.Abs(got.Offset(local+600) - float64(ahead+step)); off > 301 {
			t.Fatalf("%.1f µs off after a step of %d", off, step)
		}
	})
}

var nodes = flag.Int("nodes", raced.Size(8, 2), "listeners to simulate on each network")

// network is a simulated path to a server. All times are in µs.
type network struct {
	name string
	base int64                         // the shortest delay of each direction
	wait func(r *rand.Rand) float64    // beyond it
	lost float64                       // share of the pings that get no answer
	runs func(local int64) (ppm int64) // how much faster the server's clock runs then; nil: 100
	most float64                       // the promised error, from 3 s after joining on, in 99.9 % of the time
	asks float64                       // the most pings a minute, in the first five; 0: not promised
}

func exponential(mean float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 { return r.ExpFloat64() * mean }
}

func uniform(most float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 { return r.Float64() * most }
}

var networks = []network{
	{name: "one machine", base: 20, wait: exponential(30), most: 100, asks: 6},
	{name: "one machine that is busy", base: 20, wait: func(r *rand.Rand) float64 {
		if r.IntN(3) > 0 {
			return r.Float64() * 8_000
		}
		return r.ExpFloat64() * 100
	}, most: 300, asks: 12},
	{name: "wireless", base: 1_000, wait: exponential(4_000), most: 500},
	{name: "20 ms of jitter, evenly distributed", base: 15_000, wait: uniform(20_000), most: 1_000},
	{name: "20 ms of jitter, exponential", base: 15_000, wait: exponential(20_000), most: 1_000},
	{name: "every third ping is lost", base: 15_000, wait: exponential(5_000), lost: 0.33, most: 1_000},
	{name: "both clocks alike", base: 1_000, wait: exponential(4_000), runs: func(int64) int64 { return 0 }, most: 500},
	// What begins between two pings is seen by the second one: 200 ppm for 16 s are 3.2 ms.
	{name: "a clock is corrected by 200 ppm for a minute", base: 100, wait: exponential(100), runs: func(local int64) int64 {
		if local > 100_000_000 && local < 160_000_000 {
			return -200
		}
		return 0
	}, most: 3_500},
}

// Simulated listeners send pings when Pace says so. The error is looked at every 10 ms, from 3 s after joining on.
func TestFilter_Networks(t *testing.T) {
	const length = 300_000_000
	for _, n := range networks {
		t.Run(n.name, func(t *testing.T) {
			var errors []float64
			pings, honest := 0, 0
			for node := range *nodes {
				r := rand.New(rand.NewPCG(uint64(node), 1))
				var f Filter
				var e Estimate
				offset, last, sent := 1e9*r.Float64(), int64(0), int64(-1e9)
				runs := n.runs
				if runs == nil {
					ppm := r.Int64N(201) - 100
					runs = func(int64) int64 { return ppm }
				}
				advance := func(to int64) { offset += float64(runs(to)) * 1e-6 * float64(to-last); last = to }
				for local := int64(0); local < length; local += 10_000 {
					advance(local)
					if local > 3_000_000 {
						off := math.Abs(e.Offset(local) - offset)
						errors = append(errors, off)
						if off <= 4*e.ErrorUs {
							honest++
						}
					}
					if local-sent < Pace(e).Microseconds() {
						continue
					}
					pings++
					sent = local
					if r.Float64() < n.lost {
						continue
					}
					up, down := n.base+int64(n.wait(r)), n.base+int64(n.wait(r))
					e = f.Add(Ping{local, local + up + int64(offset), local + up + down})
				}
			}
			slices.Sort(errors)
			at := func(q float64) float64 { return errors[int(q*float64(len(errors)-1))] }
			asks := float64(pings) / float64(*nodes) / (length / 60e6)
			t.Logf("%5.1f pings a minute; error: median %.0f, p99 %.0f, p99.9 %.0f, most %.0f µs; within four times ErrorUs: %.2f %%",
				asks, at(0.5), at(0.99), at(0.999), at(1), 100*float64(honest)/float64(len(errors)))
			if at(0.999) > n.most {
				t.Errorf("99.9 %% are within %.0f µs, want %.0f", at(0.999), n.most)
			}
			if n.asks > 0 && asks > n.asks {
				t.Errorf("%.1f pings a minute, want at most %.0f", asks, n.asks)
			}
		})
	}
}

// A listener that has just joined remembers some pings; one on a bad line hundreds.
func BenchmarkFilter_Add(b *testing.B) {
	for _, pings := range []int{20, 100, maxPings} {
		b.Run(fmt.Sprint(pings), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			var f Filter
			every := int64(maxAgeUs) / int64(pings)
			for local := int64(0); b.Loop(); local += every {
				up, down := int64(r.ExpFloat64()*5000), int64(r.ExpFloat64()*5000)
				f.Add(Ping{local, local + up + local/10_000, local + up + down})
			}
		})
	}
}

func ExampleFilter() {
	var f Filter
	// Sent at 1 s, answered 400 µs later by a server whose clock is 5 s ahead.
	e := f.Add(Ping{Sent: 1_000_000, Server: 6_000_200, Received: 1_000_400})
	fmt.Printf("%.0f µs ahead, at most %.0f µs wrong\n", e.OffsetUs, math.Round(e.BoundUs))
	// Output: 5000000 µs ahead, at most 203 µs wrong
}
