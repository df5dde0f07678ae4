package transport

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// UplinkLook is how often the server looks how far its streams are behind.
	UplinkLook = 500 * time.Millisecond
	// fullAt is how far behind most must be if the uplink is full. fullLooks is in how many looks in a row before somebody is let go:
	// many who come at once, each for some seconds of music, fill the uplink for a moment.
	fullAt, fullLooks = 500 * time.Millisecond, 4
	// drains is how long what waits may take to become less before others are let go, too.
	drains = 4 * time.Second
	// tryMore is how long the uplink must not be full before it is tried with one more. It doubles each time that this was one too
	// many, so often at most.
	tryMore, tryDoublings = 30 * time.Second, 5
)

// Outflow is how far a stream is behind.
type Outflow struct {
	From   netip.Prefix // the listener's address
	Behind time.Duration
}

// BehindMost returns how far more than half of the addresses are behind, at least; 0 if there are fewer than two. What has
// arrived, only a listener's own system says. So each address has one word, and is only as far behind as the best of its streams:
// neither a slow listener nor a lie changes much, nor do several, while they are fewer than half.
func BehindMost(streams []Outflow) time.Duration {
	best := map[netip.Prefix]time.Duration{}
	for _, s := range streams {
		if other, known := best[s.From]; !known || s.Behind < other {
			best[s.From] = s.Behind
		}
	}
	if len(best) < 2 {
		return 0
	}
	var all []time.Duration
	for _, behind := range best {
		all = append(all, behind)
	}
	slices.Sort(all)
	return all[(len(all)-1)/2]
}

// Uplink learns how many listeners in need the server's uplink carries beside those that the chain sends there. It reads no
// clock. While the uplink is full, nobody is taken in need whom others feed, and as long as it does not drain, the newest of those
// in need are let go again and again. From then on the rest is the most, until it turns out that the uplink carries more. So their
// number does not swing.
type Uplink struct {
	full   int           // looks in a row that found it full
	waited time.Duration // how far most were behind when others were let go, or it drained
	until  time.Time     // when that is judged

	known bool // most is known
	most  int  // in need
	more  bool // most is one more than there were when it was last full
	// tooMany were there when it was full; vain is how often in a row it was so again when they were tried.
	tooMany, vain int
	since         time.Time // when it was last full, or one more was allowed
}

// AtMost returns how many may be in need, if so many may be in any case.
func (u *Uplink) AtMost(bound int) int {
	switch {
	case u.full > 0:
		return 0
	case u.known:
		return min(u.most, bound)
	}
	return bound
}

// Look returns how many must be let go, given how far most are behind, how many are in need, and how many of these others can feed.
func (u *Uplink) Look(now time.Time, behind time.Duration, inNeed, fed int) (out int) {
	if behind < fullAt {
		u.full, u.waited = 0, 0
		u.tryMore(now, inNeed)
		return 0
	}
	u.since = now
	if u.full++; u.full < fullLooks || now.Before(u.until) {
		return 0
	}
	drained, first := behind < u.waited, u.waited == 0
	u.waited, u.until = behind, now.Add(drains)
	if drained {
		return 0
	}
	out = (fed + 3) / 4
	if u.more { // it was this one
		out, u.vain = 1, min(u.vain+1, tryDoublings)
	}
	if first {
		u.tooMany = inNeed
	}
	out = min(fed, out)
	u.known, u.most, u.more = true, inNeed-out, false
	return out
}

// tryMore allows one more when as many as may be have been there for long: for longer if so many were too many before.
func (u *Uplink) tryMore(now time.Time, inNeed int) {
	wait := tryMore
	if u.most+1 >= u.tooMany {
		wait <<= u.vain
	}
	if !u.known || inNeed < u.most || now.Sub(u.since) < wait {
		return
	}
	if u.most >= u.tooMany {
		u.vain = 0
	}
	u.most, u.more, u.since = u.most+1, true, now
}
