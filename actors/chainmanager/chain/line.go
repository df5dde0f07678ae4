package chain

import (
	"encoding/binary"
	"encoding/json"
	"iter"
	"slices"
	"strings"

	"conga/actors/internal/sorted"
	"conga/messages"
)

// Line is the listeners in order, nearest the server first. It is immutable: a changed line shares
// nearly everything with the line before.
type Line struct {
	byID sorted.List[named]
	all  sorted.List[*seat]

	seeds   sorted.List[*seat] // clients of 2016
	feeders sorted.List[*seat] // members that may feed natives
	open    sorted.List[*seat] // feeders that can be reached
	turns   sorted.List[*seat] // open members whose next open one above has another address
	wide    sorted.List[*seat] // feeders that offer to feed more than one
	heads   sorted.List[*seat] // members with which a branch begins
	hung    sorted.List[hanging]
	places  places
}

// seat is a member and its place. It is immutable: a member that moves or changes gets another seat.
type seat struct {
	Member
	rank string // grows from the top down
	hung string // if it begins a branch: the rank of the node on which that hangs, and its own
}

// Key is the rank, by which the lists of seats are sorted.
func (s *seat) Key() string { return s.rank }

// named makes a seat part of the list by id.
type named struct{ *seat }

// Key is the member's id.
func (n named) Key() string { return n.ID }

// Ranks are numbers with gaps between them, so that a newcomer in between changes no other's. Who comes next comes behind the
// newcomer more often than before it, so it takes little of the gap.
const rankGap, rankStep = 1 << 32, 1 << 16

func rankOf(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

func (s *seat) number() uint64 {
	if s == nil {
		return 0
	}
	return binary.BigEndian.Uint64([]byte(s.rank))
}

// behind returns the least rank after the seat; for nil (the server) the least rank of all.
func (s *seat) behind() string {
	if s == nil {
		return ""
	}
	return s.rank + "\x00"
}

// id returns the server's id for nil: it stands above all.
func (s *seat) id() string {
	if s == nil {
		return messages.ServerID
	}
	return s.ID
}

// Of returns a line of the members.
func Of(members ...Member) (l Line) {
	all := make([]named, len(members))
	for i, m := range members {
		all[i] = named{&seat{Member: m, rank: rankOf(uint64(i+1) * rankGap)}}
	}
	l.byID = sorted.Of(all)
	for _, one := range all { // a branch may hang on one that stands further down
		l = l.add(l.seated(one.Member, one.rank))
	}
	return l.reckoned()
}

// seated returns a seat of that rank for the member.
func (l Line) seated(m Member, rank string) *seat {
	s := &seat{Member: m, rank: rank}
	if m.Branch != "" {
		s.hung = hungOn(l.seat(m.Branch)) + rank
	}
	return s
}

// Len returns the number of members.
func (l Line) Len() int { return l.all.Len() }

// All yields the members from the top.
func (l Line) All() iter.Seq[Member] {
	return func(yield func(Member) bool) {
		for s := range l.all.All() {
			if !yield(s.Member) {
				return
			}
		}
	}
}

// Find returns the listener with the id.
func (l Line) Find(id string) (m Member, found bool) {
	if s := l.seat(id); s != nil {
		return s.Member, true
	}
	return m, false
}

// Compare is negative if id stands above other. The server stands above all.
func (l Line) Compare(id, other string) int {
	return strings.Compare(l.seat(id).behind(), l.seat(other).behind())
}

// seat returns the seat of the id; nil for the server and for strangers.
func (l Line) seat(id string) *seat {
	n, _ := l.byID.Find(id)
	return n.seat
}

// last returns the last seat; nil if there is none.
func (l Line) last() *seat {
	s, _ := l.all.Last()
	return s
}

// nearest returns the next seat above that rank; nil if there is none.
func nearest(list sorted.List[*seat], rank string) *seat {
	for s := range list.Before(rank) {
		return s
	}
	return nil
}

// insert returns the line with m below that seat, or at the top.
func (l Line) insert(m Member, above *seat) Line {
	low := above.number()
	high := low + 2*rankGap
	for below := range l.all.From(above.behind()) {
		high = below.number()
		break
	}
	if high < low+2 { // no room: all get new ranks
		members := make([]Member, 0, l.Len()+1)
		for s := range l.all.Before(above.behind()) {
			members = append(members, s.Member)
		}
		slices.Reverse(members)
		members = append(members, m)
		for s := range l.all.From(above.behind()) {
			members = append(members, s.Member)
		}
		return Of(members...)
	}
	rank := low + (high-low)/2
	if above != nil && above != l.last() {
		rank = min(rank, low+rankStep)
	}
	s := l.seated(m, rankOf(rank))
	if l = l.add(s); s.feeds() {
		l = l.shifted(s.behind(), 1)
	}
	return l.look(s).look(l.feeder(s)).measured(s.rank)
}

// with returns the line with m changed, in the place that it had.
func (l Line) with(m Member) Line {
	old := l.seat(m.ID)
	if m.stance() == old.stance() {
		return l.exchanged(&seat{m, old.rank, old.hung})
	}
	now := l.replaced(m)
	s := now.seat(m.ID)
	now = now.shifted(s.rank, now.depth(s)-l.depth(old)).look(s).look(l.feeder(old))
	return now.look(now.feeder(s)).measured(l.part(old.rank).low).measured(s.rank)
}

// stance is what of a member decides in which lists it is, and what stands free at it.
type stance struct {
	seed, feeds, dials bool
	feed               int
	branch, address    string
}

func (m Member) stance() stance {
	return stance{m.Seed, m.feeds(), m.Dials, m.Feed, m.Branch, m.Address}
}

// exchanged returns the line with another seat for a member whose stance is the same.
func (l Line) exchanged(s *seat) Line {
	l.byID, l.all = l.byID.With(named{s}), l.all.With(s)
	for _, list := range []*sorted.List[*seat]{&l.seeds, &l.feeders, &l.open, &l.turns, &l.wide, &l.heads, &l.places.laden} {
		if _, is := list.Find(s.rank); is {
			*list = list.With(s)
		}
	}
	if s.Branch != "" {
		l.hung = l.hung.With(hanging{s})
	}
	return l
}

// replaced returns the line with m changed, as far as the lists are concerned.
func (l Line) replaced(m Member) Line {
	old := l.seat(m.ID)
	return l.without(old).add(l.seated(m, old.rank))
}

func (l Line) add(s *seat) Line {
	l.byID, l.all = l.byID.With(named{s}), l.all.With(s)
	if s.Seed {
		l.seeds = l.seeds.With(s)
	}
	if s.feeds() {
		l.feeders = l.feeders.With(s)
	}
	if s.feeds() && s.Feed > 1 {
		l.wide = l.wide.With(s)
	}
	if s.Branch != "" {
		l.heads, l.hung = l.heads.With(s), l.hung.With(hanging{s})
	}
	if s.Open() {
		l.open = l.open.With(s)
		l.turns = l.turned(s.rank)
	}
	return l
}

func (l Line) without(s *seat) Line {
	l.byID, l.all = l.byID.Without(s.ID), l.all.Without(s.rank)
	l.seeds, l.feeders, l.wide = l.seeds.Without(s.rank), l.feeders.Without(s.rank), l.wide.Without(s.rank)
	l.heads, l.hung = l.heads.Without(s.rank), l.hung.Without(s.hung)
	if s.Open() {
		l.open = l.open.Without(s.rank)
		l.turns = l.turned(s.rank)
	}
	return l
}

// turned returns turns after the open seat of that rank came or went.
func (l Line) turned(rank string) sorted.List[*seat] {
	turns := l.turns.Without(rank)
	for s := range l.open.From(rank) { // it, and the next below it
		if above := nearest(l.open, s.rank); above == nil || above.Address != s.Address {
			turns = turns.With(s)
		} else {
			turns = turns.Without(s.rank)
		}
		if s.rank > rank {
			break
		}
	}
	return turns
}

// MarshalJSON writes the members as an array.
func (l Line) MarshalJSON() ([]byte, error) {
	return json.Marshal(append(make([]Member, 0, l.Len()), slices.Collect(l.All())...))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *Line) UnmarshalJSON(data []byte) error {
	var members []Member
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	*l = Of(members...)
	return nil
}
