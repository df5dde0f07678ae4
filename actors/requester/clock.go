package requester

import (
	"math"
	"sync/atomic"
	"time"

	"conga/actors/requester/clockfilter"
)

// Clock is the server's clock as far as this listener knows it (see clockfilter). Its
// methods may be called by any goroutine.
type Clock struct {
	start time.Time
	known atomic.Pointer[clockfilter.Estimate] // nil: the server has not answered yet
}

// NewClock returns a clock that shows this machine's time until the server has answered.
func NewClock() *Clock {
	return &Clock{start: time.Now()}
}

// Local is this machine's time in unix microseconds, by which pings are stamped. It never steps while the process runs: it
// counts from the start by the monotonic clock.
func (c *Clock) Local(at time.Time) int64 {
	return c.start.UnixMicro() + at.Sub(c.start).Microseconds()
}

// Now returns the server's time in unix microseconds.
func (c *Clock) Now() int64 {
	local := c.Local(time.Now())
	if e := c.known.Load(); e != nil {
		local += int64(math.Round(e.Offset(local)))
	}
	return local
}

// Estimate returns what is known of the server's clock; the zero value if nothing is.
func (c *Clock) Estimate() clockfilter.Estimate {
	if e := c.known.Load(); e != nil {
		return *e
	}
	return clockfilter.Estimate{}
}
