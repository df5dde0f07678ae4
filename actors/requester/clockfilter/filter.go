// Package clockfilter estimates the server's clock from pings.
//
// A ping is sent at a, stamped by the server with s, and its answer is received at b; a and b are read from
// this machine's clock. The stamp was made between a and b. So the offset (server's clock minus
// ours) was at most s-a at the time a, and at least s-b at the time b, however the network behaved: a
// queue on the way only loosens one of the two limits. Both clocks run evenly for minutes, so
// the offset is a straight line in time that passes below all upper and above all lower
// limits. The estimate is the middle of the widest straight corridor between
// them. The shortest delays give its edges, separately for each direction.
//
// Intervals and their intersection: RFC 5905, section 11.2.1 (Marzullo). A line along the lower
// envelope of one-way delays: Moon, Skelly, Towsley, "Estimation and Removal of Clock Skew from
// Network Delay Measurements", INFOCOM 1999.
//
// A delay that is always longer in one direction looks like an offset. That error is at most
// half of the shortest round trip, and Estimate.BoundUs contains it.
package clockfilter

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

const (
	// MaxSkew is how fast two clocks may run apart: a kernel corrects no more than this (RFC 5905).
	MaxSkew = 500e-6
	// likelySkew is how fast two crystals run apart if nobody corrects them.
	likelySkew = 100e-6
	// maxPings and maxAgeUs bound what is remembered: within minutes the temperature bends the line.
	maxPings = 1024
	maxAgeUs = 300_000_000
	// roundingUs is how far stamps in whole microseconds may contradict each other.
	roundingUs = 3
	// surprising is how many times the usual distance of the shortest delays from their edge counts as no
	// coincidence (delays behind a busy queue are distributed exponentially, so it happens once in 400).
	surprising = 6
)

// Ping is one question and its answer, in microseconds. Sent and Received are on this machine's clock,
// which must never step while the process runs; Server is on the server's.
type Ping struct{ Sent, Server, Received int64 }

// Estimate is what is known of the server's clock.
type Estimate struct {
	At       int64   // this machine's time, µs
	OffsetUs float64 // server's clock minus this machine's at that time
	Skew     float64 // how much it grows in a microsecond: 1e-6 is a part per million
	// ErrorUs and SkewError are how wrong OffsetUs and Skew probably are, apart from asymmetric delays.
	ErrorUs, SkewError float64
	// BoundUs and BoundSkew are how wrong OffsetUs and Skew are at most, if both clocks run evenly.
	BoundUs, BoundSkew float64
	// RoundTripUs is the shortest remembered round trip.
	RoundTripUs int64
	Pings       int   // that the estimate is built on
	SpanUs      int64 // between the first and the last of them
}

// Offset is the estimated offset at a time of this machine, in µs.
func (e Estimate) Offset(at int64) float64 {
	return e.OffsetUs + e.Skew*float64(at-e.At)
}

// Filter remembers pings. Its zero value is ready. It reads no clock.
type Filter struct {
	lows, highs []limit // one of each from each ping, in the order of time
}

// limit is an offset at a time, both in µs.
type limit struct{ at, offset int64 }

// Add takes a ping and returns the new estimate. Pings come in the order in which they were sent.
func (f *Filter) Add(p Ping) Estimate {
	p.Received = max(p.Sent, p.Received)
	f.lows = append(f.lows, limit{p.Received, p.Server - p.Received})
	f.highs = append(f.highs, limit{p.Sent, p.Server - p.Sent})
	return f.estimate(p.Received, f.forget(p.Received))
}

// forget drops limits that are too old, and those that contradict newer ones: a machine
// slept, a server was restarted, a clock was corrected. It returns the corridor between the others.
func (f *Filter) forget(now int64) corridor {
	old := max(0, len(f.lows)-maxPings)
	for old < len(f.lows)-1 && now-f.lows[old].at > maxAgeUs {
		old++
	}
	f.drop(old)
	for {
		all, n := widest(f.lows, f.highs), len(f.lows)
		if n == 1 || !f.bent(all) {
			return all
		}
		f.drop((n + 1) / 2)
	}
}

func (f *Filter) drop(n int) {
	f.lows, f.highs = slices.Delete(f.lows, 0, n), slices.Delete(f.highs, 0, n)
}

// bent says that no straight line explains the pings: no line passes between their limits, or the corridor is much
// narrower than the older half alone leaves it. (Growing delays do not make it narrower.)
func (f *Filter) bent(all corridor) bool {
	if all.width < -roundingUs {
		return true
	}
	half := len(f.lows) / 2
	if half < 8 {
		return false
	}
	before := widest(f.lows[:half], f.highs[:half])
	return before.width-all.width > surprising*(before.noise(0, half)+roundingUs)
}

// corridor is the room between two parallel lines below the highs and above the lows.
type corridor struct {
	lows, highs []limit
	origin      limit // the last low; times and offsets are counted from it
	// bends has the edges for the skews at which another limit begins to touch one of them; in between, they are linear.
	bends     []bend
	top       int // the widest
	skew      float64
	low, high float64 // edges at the origin's time
	width     float64
}

// bend is the lowest and the highest offset at the origin's time with this skew.
type bend struct{ skew, low, high float64 }

func (b bend) width() float64 { return b.high - b.low }

func widest(lows, highs []limit) corridor {
	c := corridor{lows: lows, highs: highs, origin: lows[len(lows)-1]}
	c.bend(hull(lows, 1), hull(highs, -1))
	for i, b := range c.bends {
		if b.width() > c.bends[c.top].width() {
			c.top = i
		}
	}
	best := c.bends[c.top]
	c.skew, c.low, c.high, c.width = best.skew, best.low, best.high, best.width()
	return c
}

// bend finds the bends, from one end of MaxSkew to the other. Only the convex hulls can touch an edge: the later a limit of
// the floor is, and the earlier one of the ceiling, the smaller is the skew with which it does.
func (c *corridor) bend(floor, ceiling []limit) {
	slices.Reverse(floor)
	c.bends = make([]bend, 0, len(floor)+len(ceiling))
	at := -MaxSkew
	for floor, ceiling = beyond(floor, at), beyond(ceiling, at); ; floor, ceiling = beyond(floor, at), beyond(ceiling, at) {
		c.bends = append(c.bends, bend{at, c.of(floor[0], at), c.of(ceiling[0], at)})
		if at == MaxSkew {
			return
		}
		at = min(MaxSkew, until(floor), until(ceiling))
	}
}

// until is the skew up to which the first limit of a hull touches the edge.
func until(hull []limit) float64 {
	if len(hull) == 1 {
		return math.Inf(1)
	}
	return float64(hull[1].offset-hull[0].offset) / float64(hull[1].at-hull[0].at)
}

// beyond drops the limits that touch the edge only up to this skew.
func beyond(hull []limit, skew float64) []limit {
	for until(hull) <= skew {
		hull = hull[1:]
	}
	return hull
}

// hull lists the limits on the upper side (side 1) or the lower side (-1) of their convex hull, in the order of
// time (Andrew's monotone chain). Answers may have overtaken each other.
func hull(limits []limit, side int64) []limit {
	inTime := func(a, b limit) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(side*a.offset, side*b.offset))
	}
	if !slices.IsSortedFunc(limits, inTime) {
		limits = slices.SortedFunc(slices.Values(limits), inTime)
	}
	var h []limit
	for _, l := range limits {
		if n := len(h); n > 0 && h[n-1].at == l.at { // which is not as tight
			h = h[:n-1]
		}
		for len(h) > 1 {
			a, b := h[len(h)-2], h[len(h)-1]
			if float64(side*(b.offset-a.offset))*float64(l.at-a.at) > float64(side*(l.offset-a.offset))*float64(b.at-a.at) {
				break
			}
			h = h[:len(h)-1]
		}
		h = append(h, l)
	}
	return h
}

// of is the limit's offset, carried along a line with this skew to the corridor's zero.
func (c corridor) of(l limit, skew float64) float64 {
	return float64(l.offset-c.origin.offset) + skew*float64(c.origin.at-l.at)
}

// with are the edges with this skew.
func (c corridor) with(skew float64) bend {
	i := sort.Search(len(c.bends)-1, func(i int) bool { return c.bends[i].skew >= skew })
	if i == 0 {
		return c.bends[0]
	}
	a, b := c.bends[i-1], c.bends[i]
	return a.towards(b, (skew-a.skew)/(b.skew-a.skew))
}

// towards is between two bends.
func (b bend) towards(to bend, share float64) bend {
	return bend{b.skew + share*(to.skew-b.skew), b.low + share*(to.low-b.low), b.high + share*(to.high-b.high)}
}

// middle is the offset in the middle of the corridor with this skew, so long after the origin.
func (c corridor) middle(skew, after float64) float64 {
	b := c.with(skew)
	return (b.low+b.high)/2 + skew*after
}

// asWide are the least and the greatest skew with which the corridor has this width, or a greater one.
func (c corridor) asWide(width float64) (least, most bend) {
	end := func(step int) bend {
		at := c.bends[c.top]
		for i := c.top + step; i >= 0 && i < len(c.bends); i += step {
			next := c.bends[i]
			if next.width() < width {
				return at.towards(next, max(0, at.width()-width)/(at.width()-next.width()))
			}
			at = next
		}
		return at
	}
	return end(-1), end(1)
}

// noise is the usual distance of the shortest delays from the corridor's edges, among the limits from..to. The corridor is
// about that much too wide, but at most by all its width: if few pings of many are fast, those few tell the time.
func (c corridor) noise(from, to int) float64 {
	if to-from < len(third{}) {
		return c.width / 2
	}
	low, high := third{math.Inf(1), math.Inf(1), math.Inf(1)}, third{math.Inf(1), math.Inf(1), math.Inf(1)}
	for i := from; i < to; i++ {
		low.add(c.low - c.of(c.lows[i], c.skew))
		high.add(c.of(c.highs[i], c.skew) - c.high)
	}
	return min((low[2]+high[2])/2, max(c.width, 0))
}

// worstNoise is the noise in the half of the time in which it is larger: pings are not evenly distributed, and where there
// are few of them, the shortest delay is longer.
func (c corridor) worstNoise() float64 {
	middle := sort.Search(len(c.lows), func(i int) bool { return c.lows[i].at > (c.lows[0].at+c.origin.at)/2 })
	return max(c.noise(0, middle), c.noise(middle, len(c.lows)))
}

// third keeps the three smallest distances.
type third [3]float64

func (t *third) add(x float64) {
	for i := range t {
		if x < t[i] {
			t[i], x = x, t[i]
		}
	}
}

// plausible is the range of skews whose corridors are as wide as the widest, less this noise. In a
// short time any skew fits; then it is the range of crystals.
func (c corridor) plausible(noise float64) (least, most float64) {
	from, to := c.asWide(c.width - noise)
	least, most = from.skew, to.skew
	if least < likelySkew && most > -likelySkew {
		least, most = max(least, -likelySkew), min(most, likelySkew)
	}
	return least, most
}

func (f *Filter) estimate(now int64, c corridor) Estimate {
	least, most := c.plausible(c.noise(0, len(c.lows)))
	skew, after := (least+most)/2, float64(now-c.origin.at)
	offset := c.middle(skew, after)
	noise := c.worstNoise()
	least, most = c.plausible(noise)
	e := Estimate{
		At: now, Skew: skew, SkewError: max(most-skew, skew-least), Pings: len(f.lows), SpanUs: f.lows[len(f.lows)-1].at - f.lows[0].at,
		OffsetUs:    float64(c.origin.offset) + offset,
		RoundTripUs: math.MaxInt64,
	}
	e.BoundUs, e.BoundSkew = c.bound(after, offset, skew)
	e.ErrorUs = max(math.Abs(c.middle(least, after)-offset), math.Abs(c.middle(most, after)-offset)) + noise/2 + roundingUs
	e.ErrorUs, e.SkewError = min(e.ErrorUs, e.BoundUs), min(e.SkewError, e.BoundSkew)
	for i := range f.lows {
		e.RoundTripUs = min(e.RoundTripUs, f.lows[i].at-f.highs[i].at)
	}
	return e
}

// bound is how far the offset can be from the estimate, so long after the origin: the largest distance to
// a straight line that passes between all limits. ofSkew is how far the skew of such a line can be from the estimated one.
func (c corridor) bound(after, estimate, skew float64) (us, ofSkew float64) {
	least, most := c.asWide(-2 * roundingUs)
	far := 0.0
	look := func(b bend) { far = max(far, b.high+b.skew*after-estimate, estimate-b.low-b.skew*after) }
	look(least)
	look(most)
	for _, b := range c.bends {
		if b.skew > least.skew && b.skew < most.skew {
			look(b)
		}
	}
	return far + roundingUs, max(most.skew-skew, skew-least.skew)
}
