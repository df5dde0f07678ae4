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

// tree is the line in its parts, to find who can feed one more. It costs a look at all members.
type tree struct {
	line  Line
	parts []*part       // in order; the first hangs on the server and may be empty
	load  map[*seat]int // how many branches hang on the feeder, nil is the server; those without feeders do not count
}

// part is a stretch of the line that hangs on one feeder.
type part struct {
	head    *seat // nil: the first part
	last    *seat // nil: it is empty
	feeders []*seat
	others  int   // members that feed no natives
	on      *seat // the feeder on which it hangs; nil: the server
	depth   int   // how many feeders stand above it
	height  int   // how many feeders the longest way from its top down has
}

func (l Line) tree() *tree {
	t := &tree{line: l, parts: []*part{{}}, load: map[*seat]int{}}
	for s := range l.all.All() {
		if s.Branch != "" {
			t.parts = append(t.parts, &part{head: s, depth: -1})
		}
		p := t.parts[len(t.parts)-1]
		if p.last = s; s.feeds() {
			p.feeders = append(p.feeders, s)
		} else {
			p.others++
		}
	}
	for _, p := range t.parts[1:] {
		if p.on = l.seat(p.head.Branch); p.on != nil && !p.on.feeds() {
			p.on = l.feeder(p.on)
		}
		if len(p.feeders) > 0 {
			t.load[p.on]++
		}
	}
	for _, p := range t.parts {
		t.sink(p)
	}
	deepest := slices.SortedStableFunc(slices.Values(t.parts), func(p, q *part) int { return cmp.Compare(q.depth, p.depth) })
	for _, p := range deepest {
		if p.height = max(p.height, len(p.feeders)); p.on != nil {
			on := t.of(p.on)
			on.height = max(on.height, t.depth(p.on)-on.depth+p.height)
		}
	}
	return t
}

// sink finds the part's depth.
func (t *tree) sink(p *part) {
	if p.depth < 0 {
		if p.depth = 0; p.on != nil {
			t.sink(t.of(p.on))
			p.depth = t.depth(p.on)
		}
	}
}

// of returns the part of the seat.
func (t *tree) of(s *seat) *part {
	at, _ := t.line.heads.Index(s.behind())
	return t.parts[at]
}

// depth is how many feeders stand on the way from the server to this one, itself included. The server's is 0.
func (t *tree) depth(feeder *seat) int {
	if feeder == nil {
		return 0
	}
	p := t.of(feeder)
	at, _ := slices.BinarySearchFunc(p.feeders, feeder, func(a, b *seat) int { return strings.Compare(a.rank, b.rank) })
	return p.depth + at + 1
}

// place is where one more can be fed.
type place struct {
	on    *seat // by this feeder; nil: the server
	depth int   // of the feeder
	part  *part // as the next of this part; nil: it begins a branch
}

// free yields the places where one more can be fed, from the top. chains is how many the server feeds.
func (t *tree) free(chains int) iter.Seq[place] {
	return func(yield func(place) bool) {
		if used := t.used(nil); used < max(1, chains) {
			p := place{}
			if len(t.parts[0].feeders) == 0 {
				p.part = t.parts[0]
			}
			if !yield(p) {
				return
			}
		}
		for _, p := range t.parts {
			for i, f := range p.feeders {
				is, used := place{on: f, depth: p.depth + i + 1}, t.load[f]
				if i == len(p.feeders)-1 {
					is.part = p
				} else {
					used++
				}
				if used < f.most() && !yield(is) {
					return
				}
			}
		}
	}
}

// used is how many the feeder feeds, beside members that feed nobody.
func (t *tree) used(feeder *seat) int {
	p := t.parts[0]
	if feeder != nil {
		p = t.of(feeder)
	}
	if n := len(p.feeders); n > 0 && p.feeders[n-1] != feeder {
		return t.load[feeder] + 1
	}
	return t.load[feeder]
}

// shallowest returns the place nearest the server that suits; false if there is none.
func (t *tree) shallowest(chains int, suits func(place) bool) (best place, found bool) {
	for p := range t.free(chains) {
		if (!found || p.depth < best.depth) && suits(p) {
			best, found = p, true
		}
	}
	return best, found
}

// end returns the seat behind which the next of the part stands: above those that were accused lately, as far as the
// feeder on which it is to stand.
func (t *tree) end(p place, at int64) *seat {
	tail := p.part.last
	for tail != nil && tail != p.on && tail.doubted(at) {
		tail = nearest(t.line.all, tail.rank)
	}
	return tail
}

// settle returns the seat behind which a newcomer stands, and whether it begins a branch there: at the place nearest the
// server. One that feeds nobody takes no feeder's place; it goes to the end of a part.
func (s State) settle(newcomer Member, at int64) (after *seat, branch bool) {
	if newcomer.Seed || !s.branching() {
		return s.Chain.place(newcomer, at), false
	}
	t := s.Chain.tree()
	if !newcomer.feeds() {
		p := slices.MinFunc(t.parts, func(p, q *part) int { return cmp.Compare(p.crowd(), q.crowd()) })
		return p.last, false
	}
	best, found := t.shallowest(s.Chains, func(p place) bool {
		return p.on == nil || !p.on.doubted(at) && reaches(p.on.Member, newcomer)
	})
	switch {
	case !found:
		return s.Chain.place(newcomer, at), false
	case best.part == nil:
		return best.on, true
	}
	return t.end(best, at), false
}

// crowd is how far down the part ends, and how many others its last feeders feed already.
func (p *part) crowd() int { return (p.depth+len(p.feeders))*maxSources + p.others }

// tail returns the id of the seat behind which a member goes that is moved for a complaint: an end of the line, where it
// harms nobody.
func (s State) tail(moved string) string {
	if s.Chain.heads.Len() == 0 {
		return s.Chain.last().id()
	}
	l := s.Chain.cut(s.Chain.seat(moved))
	t := l.tree()
	best, found := t.shallowest(0, func(p place) bool { return p.part != nil })
	if !found || best.part.last == nil {
		return l.last().id()
	}
	return best.part.last.ID
}

// relieved returns events after which no node feeds more than it offers, as far as others can take its branches over:
// nodes that fed them have gone, or offer less than before. Each moves the branch that is the shortest. chains is how many
// the server feeds.
func (s State) relieved(chains int, at int64) (events []proto.Message) {
	for range s.Chain.heads.Len() {
		move := s.Chain.tree().relief(chains, at)
		if move == nil {
			break
		}
		events, s = append(events, move), s.Apply(move)
	}
	return events
}

func (t *tree) relief(chains int, at int64) *messages.BranchMoved {
	branches := slices.SortedStableFunc(slices.Values(t.parts[1:]), func(p, q *part) int {
		return cmp.Or(cmp.Compare(t.astray(q), t.astray(p)), cmp.Compare(p.height, q.height))
	})
	for _, p := range branches {
		most := chains
		if p.on != nil {
			most = p.on.most()
		}
		if len(p.feeders) == 0 || t.used(p.on) <= most {
			continue
		}
		to, found := t.shallowest(chains, func(to place) bool {
			return to.on == nil || !to.on.Absent && !to.on.doubted(at) && reaches(to.on.Member, p.head.Member) && !t.below(to.on, p)
		})
		if found {
			return &messages.BranchMoved{
				Id: p.head.ID, Name: p.head.Name, From: to.on.id(), Cause: messages.BranchMoved_CAUSE_FULL, AtUnixUs: at,
			}
		}
	}
	return nil
}

// astray is 1 if the part hangs on one that feeds nobody any more, and so on whoever feeds that one. Such parts move first:
// else they would go with it, and burden another.
func (t *tree) astray(p *part) int {
	if t.line.seat(p.head.Branch) != p.on {
		return 1
	}
	return 0
}

// below reports whether the seat is in that part or stands below its first. A branch may hang on one that feeds nobody any
// more, so what counts is the order, and not who feeds whom.
func (t *tree) below(s *seat, p *part) bool {
	return s != nil && (s == p.head || t.line.stands(p.head, s))
}
