package transport

import (
	"cmp"
	"net/netip"
	"slices"
)

const (
	// maxStrangers is how many listeners a port feeds without knowing that the chain sends them, and
	// maxStrangersOfAddress how many of one address.
	maxStrangers, maxStrangersOfAddress = 4, 2
)

// seat is one listener that a stream port feeds.
type seat struct {
	id       string
	from     netip.Prefix
	expected bool
	sent     bool        // the chain sends it to this port; otherwise it comes only in need
	fed      bool        // another feeds it, as it says
	over     func(error) // ends its stream, for that reason
	flow     *outflow    // of its stream

	number uint64 // in the order in which they came
}

// seats are the listeners that a stream port feeds. Each expected listener always has one seat; the
// chain decides how many these are. There are few seats for strangers, who displace each other but
// never an expected listener. seats reads no clock and ends no streams; its caller does.
type seats struct {
	taken map[string]*seat // by id
	last  uint64
}

// take gives the newcomer a seat. Those in out have lost theirs: the caller must end their streams.
func (s *seats) take(newcomer *seat) (out []*seat) {
	if older := s.taken[newcomer.id]; older != nil {
		out = append(out, older)
	}
	if s.taken == nil {
		s.taken = map[string]*seat{}
	}
	s.last++
	newcomer.number = s.last
	s.taken[newcomer.id] = newcomer
	return append(out, s.trim()...)
}

// recount asks again who is expected. Those who are no longer expected become strangers.
func (s *seats) recount(expected func(id string) bool) (out []*seat) {
	for id, seat := range s.taken {
		seat.expected = expected(id)
	}
	return s.trim()
}

// leave gives the seat up. A second call does nothing.
func (s *seats) leave(seat *seat) {
	if s.taken[seat.id] == seat {
		delete(s.taken, seat.id)
	}
}

// trim takes seats from strangers until they are few enough: from the addresses that have the most, the
// oldest first.
func (s *seats) trim() (out []*seat) {
	var strangers []*seat
	of := map[netip.Prefix]int{}
	for _, seat := range s.taken {
		if !seat.expected {
			strangers = append(strangers, seat)
			of[seat.from]++
		}
	}
	slices.SortFunc(strangers, func(a, b *seat) int { return cmp.Compare(a.number, b.number) })
	all := len(strangers)
	for most := maxStrangersOfAddress; most >= 0; most-- {
		strangers = slices.DeleteFunc(strangers, func(seat *seat) bool {
			if of[seat.from] <= most || most < maxStrangersOfAddress && all <= maxStrangers {
				return false
			}
			of[seat.from]--
			all--
			delete(s.taken, seat.id)
			out = append(out, seat)
			return true
		})
	}
	return out
}
