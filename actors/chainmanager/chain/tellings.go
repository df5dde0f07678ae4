package chain

import (
	"cmp"
	"slices"

	"conga/actors/internal/sorted"
	"conga/messages"
)

// Tellings computes what each listener must be told about the others. It follows the chain
// incrementally: it looks only at the members that a change concerns. It belongs to one goroutine. The
// zero value has told nobody anything.
type Tellings struct {
	line  Line
	ties  map[string]tie   // by the id of the receiving member
	below map[string]below // by the id of the feeding node, also the server's
}

// tie is what one listener has above it.
type tie struct {
	seat     *seat
	deputies []string // the nodes that it may ask for the music
	source   string
}

// below is what one node has below it.
type below struct {
	guests sorted.List[*seat] // the members that may ask it
	fed    sorted.List[*seat]
}

// Change is what a step of the chain changes for the listeners.
type Change struct {
	// Tell has the messages for all members whom the step may concern, from the top: a node is told
	// its guests before they are told of it.
	Tell []*messages.Neighbours
	// Standing has the members that came, went, or have another source.
	Standing map[string]messages.Standing
}

// Follow moves on to state s and returns what that changes.
func (t *Tellings) Follow(s State) (c Change) {
	if t.ties == nil {
		t.ties, t.below = map[string]tie{}, map[string]below{}
	}
	before := t.line
	t.line = s.Chain
	c.Standing = map[string]messages.Standing{}
	concerned, ties := map[string]bool{}, map[string]tie{}
	touched := map[string]bool{}
	for rank := range sorted.Differ(before.all, t.line.all) {
		if now, is := t.line.all.Find(rank); is {
			touched[now.ID] = true
		}
		if old, was := before.all.Find(rank); was {
			touched[old.ID] = true
			if t.line.seat(old.ID) == nil {
				ties[old.ID], c.Standing[old.ID] = tie{}, messages.StandingOutside
			}
		}
	}
	for seed := range t.line.seeds.All() { // it is concerned if its feeder is, wherever the two stand
		concerned[seed.ID] = touched[seed.FedBy]
	}
	for _, seat := range changed(before, t.line) {
		now := t.tieOf(seat)
		ties[seat.ID], concerned[seat.ID] = now, true
		c.Standing[seat.ID] = messages.StandingInChain
		if now.source == messages.ServerID {
			c.Standing[seat.ID] = messages.StandingFedByServer
		}
	}
	t.tie(ties, concerned)
	c.Tell = t.tell(concerned)
	return c
}

func (t *Tellings) tieOf(s *seat) tie {
	v := t.line.view(s)
	now := tie{seat: s, source: v.source(s.Member)}
	if s.Seed {
		return now
	}
	above := v.above(s.Member)
	for _, deputy := range above[:min(deputies, len(above))] {
		now.deputies = append(now.deputies, deputy.ID)
	}
	return now
}

// tie replaces ties by these; ties without a seat end. It adds the nodes above for which that changes
// something to concerned.
func (t *Tellings) tie(ties map[string]tie, concerned map[string]bool) {
	change := func(of tie, change func(sorted.List[*seat]) sorted.List[*seat]) {
		for _, id := range of.deputies {
			b := t.below[id]
			b.guests = change(b.guests)
			t.below[id], concerned[id] = b, true
		}
		b := t.below[of.source]
		b.fed = change(b.fed)
		t.below[of.source], concerned[of.source] = b, true
	}
	for id, now := range ties { // end all old ties before making new ones: a seat's rank may be another's now
		old, was := t.ties[id]
		if was && old.same(now) {
			delete(ties, id)
		} else if was {
			change(old, func(l sorted.List[*seat]) sorted.List[*seat] { return l.Without(old.seat.rank) })
			delete(t.ties, id)
		}
	}
	for id, now := range ties {
		if now.seat == nil {
			delete(t.below, id)
			continue
		}
		change(now, func(l sorted.List[*seat]) sorted.List[*seat] { return l.With(now.seat) })
		t.ties[id] = now
	}
}

// nearestFirst returns the node's guests. In a line that is their order; in branches those far down one of them would come
// before those near in another.
func (t *Tellings) nearestFirst(s *seat, guests sorted.List[*seat]) []*seat {
	all := slices.Collect(guests.All())
	if t.line.heads.Len() > 0 {
		far := func(guest *seat) int { return slices.Index(t.ties[guest.ID].deputies, s.ID) }
		slices.SortStableFunc(all, func(a, b *seat) int { return cmp.Compare(far(a), far(b)) })
	}
	return all
}

func (t tie) same(other tie) bool {
	return t.seat == other.seat && t.source == other.source && slices.Equal(t.deputies, other.deputies)
}

// tell returns what each of the ids must be told, from the top.
func (t *Tellings) tell(ids map[string]bool) (all []*messages.Neighbours) {
	var seats []*seat
	for id, is := range ids {
		if s := t.line.seat(id); is && s != nil {
			seats = append(seats, s)
		}
	}
	for s := range sorted.Of(seats).All() {
		all = append(all, t.neighbours(s))
	}
	return all
}

// neighbours returns which nodes the member receives from, and which it feeds.
func (t *Tellings) neighbours(s *seat) *messages.Neighbours {
	n := &messages.Neighbours{Id: s.ID}
	below := t.below[s.ID]
	for fed := range below.fed.All() {
		switch {
		case fed.Seed:
			n.Seeds = append(n.Seeds, fed.Node())
		case n.Downstream == nil:
			n.Downstream, n.Offer = fed.Node(), s.Dials
		}
	}
	if s.Seed {
		n.Ancestors = []*messages.Node{t.line.node(s.FedBy)}
		return n
	}
	for i, id := range t.ties[s.ID].deputies {
		if i < messages.Ancestors {
			n.Ancestors = append(n.Ancestors, t.line.node(id))
		}
	}
	if len(n.Ancestors) < messages.Ancestors {
		n.Ancestors = append(n.Ancestors, t.line.node(messages.ServerID))
	}
	n.Guests = chosen(t.nearestFirst(s, below.guests))
	return n
}
