package transport

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

const (
	// catchUpOwn is how many items a member gets at once from a port to which the chain does not send it:
	// three times what is still to be heard. One a second is added again. catchUpHome is how many more all
	// members of one address get together: ten windows.
	catchUpOwn, catchUpHome = 3 * inTimeItems, 1250
	// inTimeItems is about how many items are in messages.Slack: sent, but not yet heard.
	inTimeItems = 24
)

// start is where a stream begins.
type start int

const (
	startAsked  start = iota // at the number that the listener asked for
	startInTime              // at the first item that can still be heard in time
	startNewest              // at the newest item
)

// catchUps bounds what a port gives at once to listeners that the chain sends elsewhere, with token buckets for
// each member and each address. All of them may be orphans, many at one address, so each is fed. But
// somebody who asks again and again, under many names, gets no more than the current music. It reads no
// clock.
type catchUps struct {
	homes map[netip.Prefix]*rate.Limiter
}

// begin returns where the stream of a member begins that is behind by so many items, and counts them. own is
// the member's own bucket.
func (c *catchUps) begin(own *rate.Limiter, from netip.Prefix, behind int, now time.Time) start {
	switch {
	case own.AllowN(now, behind), c.home(from, now).AllowN(now, behind):
		return startAsked
	case own.AllowN(now, inTimeItems):
		return startInTime
	}
	return startNewest
}

// home returns the bucket of an address, and forgets other buckets that are full again.
func (c *catchUps) home(from netip.Prefix, now time.Time) *rate.Limiter {
	for other, pot := range c.homes {
		if other != from && pot.TokensAt(now) >= catchUpHome {
			delete(c.homes, other)
		}
	}
	if c.homes == nil {
		c.homes = map[netip.Prefix]*rate.Limiter{}
	}
	if c.homes[from] == nil {
		c.homes[from] = rate.NewLimiter(feedRate, catchUpHome)
	}
	return c.homes[from]
}

func newCatchUp() *rate.Limiter { return rate.NewLimiter(1, catchUpOwn) }
