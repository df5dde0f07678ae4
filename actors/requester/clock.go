package requester

import (
	"sync/atomic"
	"time"
)

// Clock is the server's clock as far as this listener knows it. Now may be called by
// any goroutine.
type Clock struct {
	start  time.Time
	offset atomic.Int64 // server's minus ours, microseconds
	synced atomic.Bool
}

// NewClock returns a clock that shows this machine's time until the server has answered.
func NewClock() *Clock {
	return &Clock{start: time.Now()}
}

// local never steps while the process runs: it counts from the start by the monotonic clock.
func (c *Clock) local() int64 {
	return c.start.UnixMicro() + time.Since(c.start).Microseconds()
}

// Now is the server's time in unix microseconds.
func (c *Clock) Now() int64 {
	return c.local() + c.offset.Load()
}

// Offset is the server's clock minus this machine's, and whether it was ever measured.
func (c *Clock) Offset() (us int64, measured bool) {
	return c.offset.Load(), c.synced.Load()
}

// samples estimates the offset from pings as NTP does (RFC 5905, clock filter): of the
// last few the one with the shortest round trip lies, because its error is at most half
// of that.
type samples struct {
	last []sample
}

type sample struct {
	offset, roundTrip int64 // microseconds
}

const (
	keepSamples = 8
	// jump is a change of the offset that no network explains: a machine slept.
	jump = 50_000
)

// add takes a ping's three times and returns the estimate.
func (s *samples) add(sent, server, received int64) int64 {
	one := sample{offset: server - (sent+received)/2, roundTrip: max(0, received-sent)}
	if best, ok := s.best(); ok && abs(one.offset-best.offset) > jump+one.roundTrip/2+best.roundTrip/2 {
		s.last = nil
	}
	s.last = append(s.last, one)
	s.last = s.last[max(0, len(s.last)-keepSamples):]
	best, _ := s.best()
	return best.offset
}

func (s *samples) best() (best sample, ok bool) {
	for i, one := range s.last {
		if i == 0 || one.roundTrip <= best.roundTrip {
			best, ok = one, true
		}
	}
	return best, ok
}

func abs(x int64) int64 {
	return max(x, -x)
}
