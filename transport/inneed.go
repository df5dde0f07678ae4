package transport

import (
	"cmp"
	"net/netip"
	"slices"
)

const (
	// leastInNeed is how many listeners the server takes in need in any case, and one in needShare of the chain besides: in a
	// line over the Internet's ways, which uses up the slack, some twenty-five hear behind each of them (conga-chaos simulate).
	leastInNeed, needShare = 16, 25
)

// AtMostInNeed returns how many of so many listeners the server feeds although the chain sends them elsewhere, before it
// refuses others whom somebody feeds. A listener that nobody feeds is never refused for that: it has nobody else.
//
// Without a bound, listeners whose music is late would come until the server's uplink is full. Then the music is late for
// everybody, and all come.
func AtMostInNeed(members int) int { return leastInNeed + members/needShare }

// room reports whether a listener that comes in need has a seat, if most may have one; sent says whom the chain sends here. If
// that many have come, it takes the newest seat from the address that has the most, if that has at least two more than its
// own: out. Those whom nobody fed when they came lose none.
func (s *seats) room(newcomer *seat, most int, sent func(id string) bool) (out *seat, is bool) {
	fed, all := s.inNeed(func(id string) bool { return id == newcomer.id || sent(id) })
	if all < most {
		return nil, true
	}
	of := map[netip.Prefix]int{}
	for _, seat := range fed {
		of[seat.from]++
	}
	for _, seat := range fed {
		if more := of[seat.from]; more >= of[newcomer.from]+2 && (out == nil || more > of[out.from]) {
			out = seat
		}
	}
	return out, out != nil
}

// inNeed returns those that have come in need although others feed them, the newest first, and how many are in need in all;
// but not those that are left out. That nobody feeds it, a listener says of itself. So of one address all that say so count as
// one: else a single address could keep all others away.
func (s *seats) inNeed(leftOut func(id string) bool) (fed []*seat, all int) {
	alone := map[netip.Prefix]bool{}
	for id, seat := range s.taken {
		switch {
		case leftOut(id):
		case seat.fed:
			fed = append(fed, seat)
		default:
			alone[seat.from] = true
		}
	}
	slices.SortFunc(fed, func(a, b *seat) int { return cmp.Compare(b.number, a.number) })
	return fed, len(fed) + len(alone)
}

// outflows looks at all streams that have begun.
func (s *seats) outflows() (all []Outflow) {
	for _, seat := range s.taken {
		if behind, begun := seat.flow.look(); begun {
			all = append(all, Outflow{seat.from, behind})
		}
	}
	return all
}
