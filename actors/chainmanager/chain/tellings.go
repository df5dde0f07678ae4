package chain

import (
	"slices"

	"conga/actors/internal/sorted"
	"conga/messages"
)

// Tellings are what each listener is told of the others. They follow the chain: what a change does
// not concern they do not look at. They belong to one goroutine. The zero value has told nobody.
type Tellings struct {
	line  Line
	ties  map[string]tie   // by the id of who receives
	below map[string]below // by the id of who feeds, the server too
}

// tie is whom one listener has above it.
type tie struct {
	seat     *seat
	deputies []string // may be asked for the music
	source   string
}

// below is whom one node has below it.
type below struct {
	guests sorted.List[*seat] // those who may ask
	fed    sorted.List[*seat]
}

// Change is what a step of the chain changes for others.
type Change struct {
	// Tell has what those are to be told whom it may concern, from the top: a node is told of its
	// guests BEFORE they are of it.
	Tell []*messages.Neighbours
	// Standing has those who came, went, or are fed by another.
	Standing map[string]messages.Standing
}

// Follow goes on to that state.
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
	for seed := range t.line.seeds.All() { // it knows who feeds it, wherever the two stand
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
	v := t.line.view(s.rank)
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

// tie puts these in place of the ties before; those without a seat end. Those above whom that changes
// something are concerned.
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
	for id, now := range ties { // all BEFORE any is made: a seat's rank may have become another's
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

func (t tie) same(other tie) bool {
	return t.seat == other.seat && t.source == other.source && slices.Equal(t.deputies, other.deputies)
}

// tell says to each of the ids what it is to be told, from the top.
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

// neighbours says whom the member receives from, and whom it feeds.
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
	n.Guests = chosen(below.guests)
	return n
}
