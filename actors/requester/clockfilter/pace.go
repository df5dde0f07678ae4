package clockfilter

import (
	"math"
	"time"
)

const (
	// Rarest is the longest wait between two pings.
	Rarest = 16 * time.Second
	// The first pings come quickly: leastPings in any case, so that the clock is known before the first sample is played,
	// and up to quickPings until the clock is known well.
	quick, leastPings, quickPings = 30 * time.Millisecond, 8, 130
	// After that the wait grows by growth with each ping that is remembered, up to longestUnsure: what hundreds of
	// pings have not shown, more will hardly show.
	growth, longestUnsure = 1.01, 500 * time.Millisecond
	// What was seen for a while is trusted for so small a part of it. A quarter would add half to the pings of the first minute,
	// and the errors in TestFilter_Networks would be some 20 µs smaller.
	trust = 2
	// goodUs is an error that nobody hears. An error below surelyUs needs no other pings to be believed; with goodUs there, the
	// errors on one machine in TestFilter_Networks would be twice as large.
	goodUs, surelyUs = 250, 150
)

// Pace is how long to wait before the next ping. A clock that is known well is asked again when its error may have grown
// to what can be heard. It depends on nothing but the pings that are remembered: after a server's restart its listeners
// go on as before, and only who finds another clock there asks quickly again.
func Pace(e Estimate) time.Duration {
	return max(byError(e), min(byBound(e), Rarest))
}

// byBound is how long the error is at most surelyUs, whatever the network did: where round trips are short, that is known after
// the first ping.
func byBound(e Estimate) time.Duration {
	if e.Pings == 0 || e.BoundUs >= surelyUs {
		return 0
	}
	return scaled(time.Microsecond, (surelyUs-e.BoundUs)/e.BoundSkew)
}

// byError is how long probably nobody hears the error.
func byError(e Estimate) time.Duration {
	if e.Pings < leastPings {
		return quick
	}
	unsure := min(scaled(quick, math.Pow(growth, float64(max(0, e.Pings-quickPings)))), longestUnsure)
	if e.ErrorUs >= goodUs {
		return unsure
	}
	lasts := scaled(time.Microsecond, (goodUs-e.ErrorUs)/e.SkewError)
	return min(max(unsure, lasts), time.Duration(e.SpanUs)*time.Microsecond/trust, Rarest)
}

// scaled is d times f, at most an hour.
func scaled(d time.Duration, f float64) time.Duration {
	return time.Duration(min(float64(d)*f, float64(time.Hour)))
}
