package chainmanager

import (
	"slices"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// feeds says whether the member may be anybody's source.
func (m Member) feeds() bool { return !m.Leaf && !m.Liar && !m.Barren }

// reaches says whether the two can be connected at all: one end must be able to dial
// the other, and it is the same which; but who speaks only the seed's bytes takes no offers.
func reaches(above, below Member) bool { return !above.Dials || !below.Dials && !below.Seed }

// maxSources is how far sources looks: enough to spread a row of those who cannot feed.
const maxSources = 8

// sources are the indices of those who can feed the place, best first. Usually that is
// the one above it, then the one above that. Where several stand in a row who cannot feed
// the next, they are spread over different sources: nobody's uplink is to carry them all.
func (s State) sources(place int) []int {
	var found []int
	barren := 0 // in a row just above, unfit for this place
	for above := place - 1; above >= 0 && len(found) < maxSources; above-- {
		if s.Chain[above].feeds() && reaches(s.Chain[above], s.Chain[place]) {
			found = append(found, above)
		} else if len(found) == 0 {
			barren++
		}
	}
	if me := s.Chain[place]; barren == 0 || len(found) == 0 || me.feeds() && !me.Dials {
		return found
	}
	turn := barren % len(found)
	return append(slices.Clone(found[turn:]), found[:turn]...)
}

// source is the id of who feeds the place.
func (s State) source(place int) string {
	if from := s.sources(place); len(from) > 0 {
		return s.Chain[from[0]].ID
	}
	return messages.ServerID
}

// above are the indices of those whom the place may ask for the music, at most n, best first.
func (s State) above(place, n int) []int {
	var found []int
	for i, above := range s.sources(place) {
		if len(found) < n && (i == 0 || !s.Chain[above].Dials) { // those dial only the one that they feed
			found = append(found, above)
		}
	}
	return found
}

// Neighbours says whom the listener receives from and whom it feeds. It is nil for
// who is not in the chain.
func (s State) Neighbours(id string) *messages.Neighbours {
	at := s.place(id)
	if at < 0 {
		return nil
	}
	n := &messages.Neighbours{Id: id, Unproved: s.Chain[at].Mixed}
	for _, above := range s.above(at, messages.Ancestors) {
		n.Ancestors = append(n.Ancestors, s.Chain[above].node())
	}
	if len(n.Ancestors) < messages.Ancestors {
		n.Ancestors = append(n.Ancestors, &messages.Node{Id: messages.ServerID, Name: messages.ServerID})
	}
	for below := at + 1; below < len(s.Chain); below++ {
		if s.source(below) == id {
			n.Downstream = s.Chain[below].node()
			n.Offer = s.Chain[at].Dials
			break
		}
	}
	return n
}

// seat is where a newcomer comes to stand: the index of the member above it, -1 for the
// server. That is the tail, before those who were moved there for a complaint of late: it
// would suffer as who complained did. A client of the seed's kind stands behind them all the
// same, for who comes to stand behind it hears without a proof. And one who cannot be
// reached, and would stand behind another such, goes between two who can be, for there it
// can feed.
func (s State) seat(newcomer Member, at int64) int {
	tail := len(s.Chain) - 1
	for tail >= 0 && !newcomer.Seed && s.Chain[tail].doubted(at) {
		tail--
	}
	if !newcomer.Dials || tail < 0 || reaches(s.Chain[tail], newcomer) {
		return tail
	}
	for above := tail - 1; above >= -1; above-- {
		if (above < 0 || reaches(s.Chain[above], newcomer)) && reaches(newcomer, s.Chain[above+1]) {
			return above
		}
	}
	return tail
}

// spliced says who receives from somebody else after the events than before.
func (s State) spliced(events ...proto.Message) []proto.Message {
	after := s
	moved := map[string]bool{} // or gone
	for _, event := range events {
		after = after.Apply(event)
		switch event := event.(type) {
		case *messages.ListenerLeft:
			moved[event.GetId()] = true
		case *messages.ListenerMoved:
			moved[event.GetId()] = true
		}
	}
	for at, m := range after.Chain {
		before := s.place(m.ID)
		if before < 0 || moved[m.ID] || s.source(before) == after.source(at) {
			continue
		}
		splice := &messages.ChainSpliced{From: after.source(at), To: m.ID}
		for _, between := range s.Chain[s.place(splice.From)+1 : before] {
			if moved[between.ID] {
				splice.Around = append(splice.Around, between.ID)
			}
		}
		events = append(events, splice)
	}
	return events
}
