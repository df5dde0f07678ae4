package chain

import (
	"iter"
	"slices"

	"conga/actors/internal/sorted"
	"conga/messages"
)

// The line may branch. A member with Branch begins a part of the order that hangs on an earlier or later member, or on the
// server; the part ends before the next such member. The first part hangs on the server. So what stands above a member is
// what stands above it in its part, then the member on which that part hangs and what stands above that one, and so on.
// Without branches the line is one part.

// hanging makes the first seat of a branch part of the list by what it hangs on.
type hanging struct{ *seat }

// Key is the rank of what it hangs on, and its own.
func (h hanging) Key() string { return h.hung }

// on is the rank of what it hangs on.
func (h hanging) on() string { return h.hung[:len(top)] }

// top is the server's rank.
var top = rankOf(0)

// hungOn is the rank of the seat, or the server's.
func hungOn(s *seat) string {
	if s == nil {
		return top
	}
	return s.rank
}

// branches yields the seats whose branches hang on the seat, or on the server, from the top.
func (l Line) branches(on *seat) iter.Seq[*seat] {
	return func(yield func(*seat) bool) {
		for h := range l.hung.From(hungOn(on)) {
			if h.on() != hungOn(on) || !yield(h.seat) {
				return
			}
		}
	}
}

// head returns the seat with which the part of s begins; nil for the first part.
func (l Line) head(s *seat) *seat {
	if l.heads.Len() == 0 {
		return nil
	}
	return nearest(l.heads, s.behind())
}

// next returns the seat below s in its part; nil if it is the last.
func (l Line) next(s *seat) *seat {
	for below := range l.all.From(s.behind()) {
		if below.Branch == "" {
			return below
		}
		break
	}
	return nil
}

// above yields the stretches of ranks, from low up to but without high, that stand above s, nearest first.
func (l Line) above(s *seat) iter.Seq2[string, string] {
	return func(yield func(low, high string) bool) {
		high := s.rank
		for range l.heads.Len() + 1 { // no way up is longer
			head := l.head(s)
			if head == nil {
				yield("", high)
				return
			}
			if !yield(head.rank, high) {
				return
			}
			if s = l.seat(head.Branch); s == nil {
				return
			}
			high = s.behind()
		}
	}
}

// up yields the seats of the list that stand above s, nearest first.
func (l Line) up(list sorted.List[*seat], s *seat) iter.Seq[*seat] {
	return func(yield func(*seat) bool) {
		for low, high := range l.above(s) {
			for one := range list.Before(high) {
				if one.rank < low {
					break
				}
				if !yield(one) {
					return
				}
			}
		}
	}
}

// stands reports whether a stands above b. The server, nil, stands above all.
func (l Line) stands(a, b *seat) bool {
	if a == nil || b == nil {
		return a == nil && b != nil
	}
	for low, high := range l.above(b) {
		if a.rank >= low && a.rank < high {
			return true
		}
	}
	return false
}

// feeder returns the nearest member above s that may feed natives; nil is the server.
func (l Line) feeder(s *seat) *seat {
	for f := range l.up(l.feeders, s) {
		return f
	}
	return nil
}

// Branches reports whether the line branches.
func (l Line) Branches() bool { return l.heads.Len() > 0 }

// Tree yields the members as they are drawn, and how far each is set in: what hangs on a member stands right below it, set
// in if it is not all that stands below. Without branches that is the line.
func (l Line) Tree() iter.Seq2[Member, int] {
	return func(yield func(Member, int) bool) {
		drawn := map[*seat]bool{}
		var part func(from *seat, level int) bool
		part = func(from *seat, level int) bool {
			for s := from; s != nil && !drawn[s]; s = l.next(s) {
				if drawn[s] = true; !yield(s.Member, level) {
					return false
				}
				below, further := level, slices.Collect(l.branches(s))
				if l.next(s) != nil || len(further) > 1 {
					below++
				}
				for _, branch := range further {
					if !part(branch, below) {
						return false
					}
				}
			}
			return true
		}
		for s := range l.all.All() { // the first part, and what hangs on it
			if s.Branch == "" && !part(s, 0) {
				return
			}
			break
		}
		for branch := range l.branches(nil) {
			if !part(branch, 0) {
				return
			}
		}
	}
}

// Depth is how many of those that feed others the music passes at most.
func (l Line) Depth() (deepest int) {
	for p := range l.parts() {
		deepest = max(deepest, l.depth(p.last(l.feeders)))
	}
	return deepest
}

// Hops is how many nodes pass the music on before the listener has it, the server included; 0 for a stranger, and if nobody
// feeds it.
func (l Line) Hops(id string) (hops int) {
	for s := l.seat(id); s != nil && hops <= l.Len(); s = l.seat(id) {
		if id = l.source(s); id == "" {
			return 0
		}
		hops++
	}
	return hops
}

// ends reports whether nothing stands below s.
func (l Line) ends(s *seat) bool {
	for range l.branches(s) {
		return false
	}
	return l.next(s) == nil
}

// cut returns the line without the seat. What hung on it hangs on the feeder above it, and a branch that began with it
// begins with the next of its part.
func (l Line) cut(gone *seat) Line {
	heir, next, by := l.feeder(gone), l.next(gone), 0
	if gone.feeds() {
		by = -1
	}
	heirs := slices.Collect(l.branches(gone))
	l = l.without(gone)
	if gone.Branch != "" {
		l.places.ends = l.places.ends.without(gone.rank)
		if next != nil {
			first := next.Member
			first.Branch = gone.Branch
			l = l.replaced(first)
		}
	}
	for _, s := range heirs {
		m := s.Member
		m.Branch = heir.id()
		l = l.replaced(m)
	}
	for _, s := range heirs {
		l = l.shifted(s.rank, by)
		l.places.ends = l.places.ends.shifted(s.rank, s.rank+"\x00", by*maxSources)
	}
	if next != nil {
		l = l.shifted(next.rank, by).measured(next.rank)
	} else if gone.Branch == "" {
		l = l.measured(gone.rank)
	}
	return l.look(gone).look(heir)
}

// hang returns the line in which the member and what stands below it hang on that node.
func (l Line) hang(id, on string) Line {
	s, to := l.seat(id), l.seat(on)
	if s == nil || s == to || to == nil && on != messages.ServerID || to != nil && l.stands(s, to) {
		return l // it would stand below itself
	}
	m := s.Member
	m.Branch = on
	return l.with(m)
}
