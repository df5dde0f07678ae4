package chain

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// most is how many parts of the line a feeder offers to feed. A node that cannot be reached dials only one.
func (m Member) most() int {
	if m.Dials {
		return 1
	}
	return max(1, m.Feed)
}

// branching reports whether the chain may be more than a plain line.
func (s State) branching() bool {
	return s.Chain.heads.Len() > 0 || s.Chain.wide.Len() > 0 || s.Chains > 1
}

// place is where one more can be fed.
type place struct {
	on    *seat // by this feeder; nil: the server
	depth int   // of the feeder
	next  bool  // as the next of its part; otherwise it begins a branch
}

// free yields the places where one more can be fed, nearest the server first. chains is how many the server feeds.
func (l Line) free(chains int) iter.Seq[place] {
	return func(yield func(place) bool) {
		if l.feeding(nil) < max(1, chains) && !yield(place{next: l.following(nil) == nil}) {
			return
		}
		for free := range l.places.free.byWeight.All() {
			f, _ := l.all.Find(free.rank)
			if !yield(place{f, free.n, l.following(f) == nil}) {
				return
			}
		}
	}
}

// shallowest returns the place nearest the server that suits; false if there is none.
func (l Line) shallowest(chains int, suits func(place) bool) (best place, found bool) {
	for p := range l.free(chains) {
		if suits(p) {
			return p, true
		}
	}
	return best, false
}

// end returns the seat behind which the next of the part stands: above those that were accused lately, as far as the
// feeder on which it is to stand.
func (l Line) end(p place, at int64) *seat {
	tail := l.part(p.on.behind()).last(l.all)
	for tail != nil && tail != p.on && tail.doubted(at) {
		tail = nearest(l.all, tail.rank)
	}
	return tail
}

// settle returns the seat behind which a newcomer stands, and whether it begins a branch there: at the place nearest the
// server. One that feeds nobody takes no feeder's place; it goes to the end of a part.
func (s State) settle(newcomer Member, at int64) (after *seat, branch bool) {
	l := s.Chain
	if newcomer.Seed || !s.branching() {
		return l.place(newcomer, at), false
	}
	if !newcomer.feeds() {
		for least := range l.places.ends.byWeight.All() {
			return l.part(least.rank).last(l.all), false
		}
	}
	best, found := l.shallowest(s.Chains, func(p place) bool {
		return p.on == nil || !p.on.doubted(at) && reaches(p.on.Member, newcomer)
	})
	switch {
	case !found:
		return l.place(newcomer, at), false
	case !best.next:
		return best.on, true
	}
	return l.end(best, at), false
}

// tail returns the id of the seat behind which a member goes that is moved for a complaint: an end of the line, where it
// harms nobody.
func (s State) tail(moved string) string {
	if s.Chain.heads.Len() == 0 {
		return s.Chain.last().id()
	}
	l := s.Chain.cut(s.Chain.seat(moved))
	best, found := l.shallowest(0, func(p place) bool { return p.next })
	if last := l.part(best.on.behind()).last(l.all); found && last != nil {
		return last.ID
	}
	return l.last().id()
}

// relieved returns events after which no node feeds more than it offers, as far as others can take its branches over:
// nodes that fed them have gone, or offer less than before. Each moves the branch that is the shortest. chains is how many
// the server feeds.
func (s State) relieved(chains int, at int64) (events []proto.Message) {
	for range s.Chain.heads.Len() {
		move := s.Chain.relief(chains, at)
		if move == nil {
			break
		}
		events, s = append(events, move), s.Apply(move)
	}
	return events
}

func (l Line) relief(chains int, at int64) *messages.BranchMoved {
	type branch struct {
		part
		head   *seat
		astray int // 1: it hangs on one that feeds nobody any more. It moves first: else it would go with that one, and burden another
		height int
	}
	var branches []branch
	of := func(feeder *seat) {
		for p := range l.fed(feeder) {
			head, _ := l.all.Find(p.low)
			b := branch{part: p, head: head, height: l.height(head)}
			if l.seat(head.Branch) != feeder {
				b.astray = 1
			}
			branches = append(branches, b)
		}
	}
	if l.feeding(nil) > chains {
		of(nil)
	}
	for feeder := range l.places.laden.All() {
		of(feeder)
	}
	slices.SortFunc(branches, func(a, b branch) int {
		return cmp.Or(cmp.Compare(b.astray, a.astray), cmp.Compare(a.height, b.height), strings.Compare(a.low, b.low))
	})
	for _, b := range branches {
		to, found := l.shallowest(chains, func(to place) bool {
			return to.on == nil || !to.on.Absent && !to.on.doubted(at) && reaches(to.on.Member, b.head.Member) && !l.below(to.on, b.head)
		})
		if found {
			return &messages.BranchMoved{
				Id: b.head.ID, Name: b.head.Name, From: to.on.id(), Cause: messages.BranchMoved_CAUSE_FULL, AtUnixUs: at,
			}
		}
	}
	return nil
}

// below reports whether the seat is that head of a branch or stands below it. A branch may hang on one that feeds nobody any
// more, so what counts is the order, and not who feeds whom.
func (l Line) below(s, head *seat) bool { return s != nil && (s == head || l.stands(head, s)) }

// height is how many feeders the longest way from the seat down has, itself included.
func (l Line) height(s *seat) int {
	p := part{s.rank, l.until(s.rank)}
	high := p.count(l.feeders)
	for h := range l.hung.From(s.rank) {
		if h.on() >= p.high {
			break
		}
		if below := l.height(h.seat); below > 0 {
			high = max(high, part{s.rank, h.on() + "\x00"}.count(l.feeders)+below)
		}
	}
	return high
}
