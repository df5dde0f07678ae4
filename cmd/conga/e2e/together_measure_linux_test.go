package e2e

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

// window is how much sound is compared at a time.
const window = sinkRate / 10

// compareSides is by how many milliseconds right is behind left, for each window from where right begins. Windows that are
// too quiet to tell are NaN, those in which the two do not sound alike +Inf.
func compareSides(left, right []float64) (skews []float64, from int) {
	from = slices.IndexFunc(right, func(s float64) bool { return math.Abs(s) > 100 })
	if from < 0 {
		return nil, len(right)
	}
	lag := 0.0
	for at := from; at+window < len(right); at += window {
		piece := right[at : at+window]
		if energy(piece) < 1e6 {
			skews = append(skews, math.NaN())
			continue
		}
		found, like := match(left, piece, at, at-int(math.Round(lag)), 100)
		if like < 0.98 {
			found, like = match(left, piece, at, at, 60*sinkRate/1000)
		}
		if like < 0.9 {
			skews = append(skews, math.Inf(1))
			continue
		}
		lag = float64(at) - found
		skews = append(skews, lag/sinkRate*1000)
	}
	return skews, from
}

// match is where in `in` the piece is, within `most` samples around a place, between samples, and how much alike.
func match(in, piece []float64, at, around, most int) (found, like float64) {
	likeness := func(lag int) float64 {
		if lag < 0 || lag+len(piece) > len(in) {
			return 0
		}
		var xy, xx float64
		other := in[lag : lag+len(piece)]
		for i, x := range piece {
			xy += x * other[i]
			xx += other[i] * other[i]
		}
		return xy / math.Sqrt(xx*energy(piece)+1)
	}
	best := around
	for lag := around - most; lag <= around+most; lag++ {
		if l := likeness(lag); l > like {
			best, like = lag, l
		}
	}
	before, after := likeness(best-1), likeness(best+1)
	if bend := before - 2*like + after; bend < 0 {
		return float64(best) + (before-after)/2/bend, like
	}
	return float64(best), like
}

func energy(piece []float64) (sum float64) {
	for _, x := range piece {
		sum += x * x
	}
	return sum
}

// byTens is the median of each ten seconds.
func byTens(skews []float64) string {
	var out []string
	for part := range slices.Chunk(skews, 100) {
		out = append(out, fmt.Sprintf("%+.2f", median(part)))
	}
	return strings.Join(out, " ")
}

func median(skews []float64) float64 {
	heard := slices.DeleteFunc(slices.Clone(skews), math.IsNaN)
	if len(heard) == 0 {
		return math.NaN()
	}
	slices.Sort(heard)
	return heard[len(heard)/2]
}

// quantiles are the median, p90, p99 and most of how far apart they were; nil if nothing was heard. Windows that are unlike
// count, but most is of the others.
func quantiles(skews []float64) []float64 {
	var off []float64
	for _, s := range skews {
		if !math.IsNaN(s) {
			off = append(off, math.Abs(s))
		}
	}
	if len(off) == 0 {
		return nil
	}
	slices.Sort(off)
	at := func(q float64) float64 { return off[int(q*float64(len(off)-1))] }
	alike := slices.IndexFunc(off, func(s float64) bool { return math.IsInf(s, 0) })
	if alike < 0 {
		alike = len(off)
	}
	return []float64{at(0.5), at(0.9), at(0.99), off[max(0, alike-1)]}
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(text), " ")
	return one
}
