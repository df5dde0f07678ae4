package chainmanager

import (
	"slices"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// feeds says whether the member may be a native's source. A client of 2016 never is: what it
// passes on has no proof, and comes as late as it was held up.
func (m Member) feeds() bool { return !m.Leaf && !m.Liar && !m.Seed }

// reaches says whether the two can be connected at all: one end must be able to dial
// the other, and it is the same which.
func reaches(above, below Member) bool { return !above.Dials || !below.Dials }

// maxSources is how far sources looks: enough to spread a row of those who cannot feed.
const maxSources = 8

// sources are the indices of those who can feed the native at the place, best first. Usually that is
// the one above it, then the one above that. Where several stand in a row who cannot feed
// the next, they are spread over different sources: nobody's uplink is to carry them all.
func (s State) sources(place int) []int {
	var found []int
	unfit := 0 // in a row just above
	for above := place - 1; above >= 0 && len(found) < maxSources; above-- {
		switch m := s.Chain[above]; {
		case m.Seed: // it is as if it did not stand there
		case m.feeds() && reaches(m, s.Chain[place]):
			found = append(found, above)
		case len(found) == 0:
			unfit++
		}
	}
	if me := s.Chain[place]; unfit == 0 || len(found) == 0 || me.feeds() && !me.Dials {
		return found
	}
	turn := unfit % len(found)
	return append(slices.Clone(found[turn:]), found[:turn]...)
}

// feeder is who would feed a client of 2016 that came now: the last of the chain who can,
// native or not; -1 is the server. Those clients take one listener each and cannot be offered
// music; and who was found slow of late is spared.
func (s State) feeder(at int64) int {
	taken := map[string]bool{}
	for _, m := range s.Chain {
		if m.Seed {
			taken[m.FedBy] = true
		}
	}
	for last := len(s.Chain) - 1; last >= 0; last-- {
		m := s.Chain[last]
		if m.Seed && !m.Silent && !taken[m.ID] || m.feeds() && !m.Dials && m.Relay != "" && !m.doubted(at) {
			return last
		}
	}
	return -1
}

// silenced are the clients of 2016 that hear nothing any more when those in gone have vanished
// without a word: whom they fed, and whom these fed. No word reaches such a client.
func (s State) silenced(gone map[string]string, at int64) (events []proto.Message) {
	for more := true; more; {
		more = false
		for _, m := range s.Chain {
			why, lost := gone[m.FedBy]
			if _, known := gone[m.ID]; !m.Seed || m.Silent || !lost || known {
				continue
			}
			more = true
			gone[m.ID] = why
			events = append(events, &messages.ListenerFellSilent{
				Id: m.ID, Name: m.Name, FedBy: m.FedBy, Reason: why, AtUnixUs: at,
			})
		}
	}
	return events
}

// heir is who feeds the clients of 2016 at a node that leaves, which tells them so: the one
// above it, or the server if that one cannot be reached.
func (s State) heir(place int) string {
	if s.Chain[place].Seed {
		return s.Chain[place].FedBy
	}
	if from := s.sources(place); len(from) > 0 && !s.Chain[from[0]].Dials {
		return s.Chain[from[0]].ID
	}
	return messages.ServerID
}

// source is the id of who feeds the place; empty for a client of 2016 that hears nothing.
func (s State) source(place int) string {
	if m := s.Chain[place]; m.Silent {
		return ""
	} else if m.Seed {
		return m.FedBy
	}
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
	n := &messages.Neighbours{Id: id, Seeds: s.seedsOf(id)}
	if s.Chain[at].Seed {
		n.Ancestors = []*messages.Node{s.node(s.Chain[at].FedBy)}
		return n
	}
	for _, above := range s.above(at, messages.Ancestors) {
		n.Ancestors = append(n.Ancestors, s.Chain[above].node())
	}
	if len(n.Ancestors) < messages.Ancestors {
		n.Ancestors = append(n.Ancestors, s.node(messages.ServerID))
	}
	for below := at + 1; below < len(s.Chain); below++ {
		if !s.Chain[below].Seed && s.source(below) == id {
			n.Downstream = s.Chain[below].node()
			n.Offer = s.Chain[at].Dials
			break
		}
	}
	return n
}

// seedsOf are the clients of 2016 that the node feeds.
func (s State) seedsOf(id string) (seeds []*messages.Node) {
	for at, m := range s.Chain {
		if m.Seed && s.source(at) == id {
			seeds = append(seeds, m.node())
		}
	}
	return seeds
}

// Seeds are the clients of 2016 that hear music.
func (s State) Seeds() (seeds []*messages.Node) {
	for _, m := range s.Chain {
		if m.Seed && !m.Silent {
			seeds = append(seeds, m.node())
		}
	}
	return seeds
}

// node is the member as others are told of it, or the server.
func (s State) node(id string) *messages.Node {
	if at := s.place(id); at >= 0 {
		return s.Chain[at].node()
	}
	return &messages.Node{Id: messages.ServerID, Name: messages.ServerID}
}

// seat is where a newcomer comes to stand: the index of the member above it, -1 for the
// server. That is the tail, before those who were moved there for a complaint of late: it
// would suffer as who complained did. A client of 2016 stands at the very end: it was told who
// feeds it, and feeds no native, so its place means nothing. And one who cannot be
// reached, and would stand behind another such, goes between two who can be, for there it
// can feed.
func (s State) seat(newcomer Member, at int64) int {
	tail := len(s.Chain) - 1
	if newcomer.Seed {
		return tail
	}
	for tail >= 0 && s.Chain[tail].doubted(at) {
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
		if before < 0 || moved[m.ID] || m.Silent || s.source(before) == after.source(at) {
			continue
		}
		splice := &messages.ChainSpliced{From: after.source(at), To: m.ID}
		for _, between := range s.Chain[min(s.place(splice.From)+1, before):before] { // a client of 2016 may stand above who feeds it
			if moved[between.ID] {
				splice.Around = append(splice.Around, between.ID)
			}
		}
		events = append(events, splice)
	}
	return events
}
