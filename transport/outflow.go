package transport

import (
	"sync/atomic"
	"time"

	"conga/messages"
)

// outflow follows the bytes of a stream. Whoever sends counts them, and the port looks.
type outflow struct {
	given, taken atomic.Int64 // those that were to go out; those of them that the system has taken
	waiting      func() int   // how many of these have not arrived; nil: this system does not say
	left         atomic.Int64 // items that this node had after the one that was given last

	before []int64 // what was given by the last looks, if it has not all arrived; the oldest first
	begun  bool    // something was given by the last look
}

// mostLooks bounds what is remembered: a window is no longer.
const mostLooks = 24

// look returns how far the stream is behind: for how long something has waited to arrive, and how long the music is that was not even
// given. It also reports whether the stream has begun.
func (o *outflow) look() (behind time.Duration, begun bool) {
	arrived := int64(0)
	if o.waiting != nil {
		arrived = -int64(o.waiting()) // before taken, so that nothing is missed
	}
	arrived += o.taken.Load()
	for len(o.before) > 0 && (o.before[0] <= arrived || len(o.before) > mostLooks) {
		o.before = o.before[1:]
	}
	behind, begun = time.Duration(len(o.before))*UplinkLook+itemsLast(o.left.Load()), o.begun
	given := o.given.Load()
	o.before, o.begun = append(o.before, given), given > 0
	return behind, begun
}

// itemsLast is about how long so many items are.
func itemsLast(n int64) time.Duration { return time.Duration(n) * messages.Slack / inTimeItems }
