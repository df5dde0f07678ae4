package chain

import (
	"iter"

	"conga/actors/internal/sorted"
)

// The line knows where one more can be fed, from the top, and who feeds too many. A member that comes, goes or changes
// changes only what stands below it: the depth of the free places there. In a tree that is little on average, in a line
// there are few of them. So no decision looks at all members.
type places struct {
	free  weighed            // feeders that offer to feed more than they do, by their depth
	ends  weighed            // parts, by how far down they end and how many feed nobody there
	laden sorted.List[*seat] // feeders that feed more than they offer
}

// weighed keeps ranks in the order of their weights, those of the same weight from the top. It is immutable.
type weighed struct {
	byRank   sorted.List[*weight]
	byWeight sorted.List[inOrder]
}

// weight is a rank's.
type weight struct {
	rank string
	n    int
	key  string // n, then the rank
}

// Key is the rank.
func (w *weight) Key() string { return w.rank }

// inOrder makes a weight part of the list by weight.
type inOrder struct{ *weight }

// Key is the weight, then the rank.
func (i inOrder) Key() string { return i.key }

func (w weighed) with(rank string, n int) weighed {
	old, is := w.byRank.Find(rank)
	if is && old.n == n {
		return w
	} else if is {
		w.byWeight = w.byWeight.Without(old.key)
	}
	now := &weight{rank, n, rankOf(uint64(n)) + rank}
	return weighed{w.byRank.With(now), w.byWeight.With(inOrder{now})}
}

func (w weighed) without(rank string) weighed {
	old, is := w.byRank.Find(rank)
	if !is {
		return w
	}
	return weighed{w.byRank.Without(rank), w.byWeight.Without(old.key)}
}

// shifted adds to the weights of the ranks from low up to but without high.
func (w weighed) shifted(low, high string, by int) weighed {
	for old := range w.byRank.From(low) { // of the list as it was
		if old.rank >= high {
			break
		}
		w = w.with(old.rank, old.n+by)
	}
	return w
}

// part is a stretch of the line that hangs on one feeder: the ranks from low up to but without high. The first part begins
// with the least rank of all.
type part struct{ low, high string }

// behindAll is behind all ranks.
const behindAll = "\xff\xff\xff\xff\xff\xff\xff\xff\xff"

// part returns the part in which the rank is.
func (l Line) part(rank string) (p part) {
	if head := nearest(l.heads, rank+"\x00"); head != nil {
		p.low = head.rank
	}
	p.high = l.until(rank)
	return p
}

// until returns where the part ends in which the rank is.
func (l Line) until(rank string) string {
	for next := range l.heads.From(rank + "\x00") {
		return next.rank
	}
	return behindAll
}

// parts yields the parts, from the top.
func (l Line) parts() iter.Seq[part] {
	return func(yield func(part) bool) {
		if !yield(part{"", l.until("")}) {
			return
		}
		for head := range l.heads.All() {
			if !yield(part{head.rank, l.until(head.rank)}) {
				return
			}
		}
	}
}

// first returns the first of the list from rank on that stands before high; nil if there is none.
func first(list sorted.List[*seat], rank, high string) *seat {
	for s := range list.From(rank) {
		if s.rank < high {
			return s
		}
		break
	}
	return nil
}

// last returns the last of the list in the part; nil if there is none.
func (p part) last(list sorted.List[*seat]) *seat {
	if s := nearest(list, p.high); s != nil && s.rank >= p.low {
		return s
	}
	return nil
}

// count is how many of the list stand in the part.
func (p part) count(list sorted.List[*seat]) int {
	low, _ := list.Index(p.low)
	high, _ := list.Index(p.high)
	return high - low
}

// depth is how many feeders stand on the way from the server to the seat, itself included. The server's is 0.
func (l Line) depth(s *seat) (depth int) {
	if s == nil {
		return 0
	}
	if s.feeds() {
		depth = 1
	}
	for low, high := range l.above(s) {
		depth += part{low, high}.count(l.feeders)
	}
	return depth
}

// crowd is how far down the part ends, and how many its last feeders feed that feed nobody.
func (l Line) crowd(p part) int {
	feeders := p.count(l.feeders)
	return (l.depth(l.on(p))+feeders)*maxSources + p.count(l.all) - feeders
}

// on returns the feeder on which the part hangs; nil is the server. The node that the part's head names may feed nobody any
// more.
func (l Line) on(p part) *seat {
	head, is := l.heads.Find(p.low)
	if !is {
		return nil
	}
	on := l.seat(head.Branch)
	if on != nil && !on.feeds() {
		return l.feeder(on)
	}
	return on
}

// fed yields the parts with feeders that hang on the feeder, nil is the server, as on says.
func (l Line) fed(feeder *seat) iter.Seq[part] {
	return func(yield func(part) bool) {
		if feeder == nil {
			l.hanging(top, l.before(""), yield)
			return
		}
		l.hanging(feeder.rank, l.before(feeder.behind()), yield)
	}
}

// before returns the rank of the first feeder from that rank on, or where the part ends.
func (l Line) before(rank string) string {
	high := l.until(rank)
	if next := first(l.feeders, rank, high); next != nil {
		return next.rank
	}
	return high
}

// hanging yields the parts with feeders that hang on the seats from low up to but without high, and on the seats that feed
// nobody at the beginning of those parts.
func (l Line) hanging(low, high string, yield func(part) bool) bool {
	for h := range l.hung.From(low) {
		if h.on() >= high {
			break
		}
		p := part{h.rank, l.until(h.rank)}
		begins := p.high
		if f := first(l.feeders, p.low, p.high); f != nil {
			if begins = f.rank; !yield(p) {
				return false
			}
		}
		if !l.hanging(h.rank, begins, yield) {
			return false
		}
	}
	return true
}

// following returns the feeder below that one in its part, or for nil the first of the first part; nil if there is none.
func (l Line) following(feeder *seat) *seat {
	return first(l.feeders, feeder.behind(), l.until(feeder.behind()))
}

// feeding is how many the feeder feeds, nil is the server, beside members that feed nobody.
func (l Line) feeding(feeder *seat) (n int) {
	if l.following(feeder) != nil {
		n++
	}
	for range l.fed(feeder) {
		n++
	}
	return n
}

// reckoned returns the line with all places.
func (l Line) reckoned() Line {
	l.places = places{}
	for s := range l.feeders.All() {
		l = l.look(s)
	}
	for p := range l.parts() {
		l.places.ends = l.places.ends.with(p.low, l.crowd(p))
	}
	return l
}

// look returns the line after what the feeder feeds or offers, or its depth, may have changed. s may have gone, and may be
// nil.
func (l Line) look(s *seat) Line {
	if s == nil {
		return l
	}
	now, is := l.all.Find(s.rank)
	if !is || !now.feeds() {
		l.places.free, l.places.laden = l.places.free.without(s.rank), l.places.laden.Without(s.rank)
		return l
	}
	feeds, most := l.feeding(now), now.most()
	if feeds < most {
		l.places.free = l.places.free.with(s.rank, l.depth(now))
	} else {
		l.places.free = l.places.free.without(s.rank)
	}
	if feeds > most {
		l.places.laden = l.places.laden.With(now)
	} else {
		l.places.laden = l.places.laden.Without(s.rank)
	}
	return l
}

// shifted returns the line after what stands in its part from the rank on has come so much deeper, and all that hangs on it.
func (l Line) shifted(rank string, by int) Line {
	if by == 0 {
		return l
	}
	high := l.until(rank)
	l.places.free = l.places.free.shifted(rank, high, by)
	for h := range l.hung.From(rank) {
		if h.on() >= high {
			break
		}
		l.places.ends = l.places.ends.shifted(h.rank, h.rank+"\x00", by*maxSources)
		l = l.shifted(h.rank, by)
	}
	return l
}

// measured returns the line after members of the part with that rank came, went or changed.
func (l Line) measured(rank string) Line {
	p := l.part(rank)
	l.places.ends = l.places.ends.with(p.low, l.crowd(p))
	return l
}
