package transport

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

const (
	// catchUpOwn is how many items a member gets at once, beyond the music's own pace, from a port
	// that the chain does not send it to: what is still to be heard, three times; one a second
	// comes back. catchUpHome is how many more all of one address get: ten windows.
	catchUpOwn, catchUpHome = 3 * inTimeItems, 1250
	// inTimeItems is about how many are under way to be heard, of messages.Slack.
	inTimeItems = 24
)

// start is where a stream begins.
type start int

const (
	startAsked  start = iota // at what the listener needs
	startInTime              // at what is still to be heard
	startNewest              // at the newest item
)

// catchUps bound what a port gives at once to those whom the chain sends elsewhere. They may all be
// orphans, many of one house, so each is fed; but who asks anew all the time, under many
// names, gets no more than the music as it goes. It reads no clock.
type catchUps struct {
	homes map[netip.Prefix]*rate.Limiter
}

// begin says where the stream of a member begins that is so many items behind, and counts them. own is
// the member's own pot.
func (c *catchUps) begin(own *rate.Limiter, from netip.Prefix, behind int, now time.Time) start {
	switch {
	case own.AllowN(now, behind), c.home(from, now).AllowN(now, behind):
		return startAsked
	case own.AllowN(now, inTimeItems):
		return startInTime
	}
	return startNewest
}

// home is the pot of an address. Those that are full are as good as none.
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
