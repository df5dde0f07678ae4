package chainmanager

import (
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// feeds says whether the member may be a native's source. A client of 2016 never is: what it
// passes on has no proof, and comes as late as it was held up.
func (m Member) feeds() bool { return m.serves() && !m.Liar && !m.Seed }

// serves says whether the member would ever feed others, if it may.
func (m Member) serves() bool { return !m.Leaf && m.Relay != "" }

// reaches says whether the two can be connected at all: one end must be able to dial
// the other, and it is the same which.
func reaches(above, below Member) bool { return !above.Dials || !below.Dials }

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
		if m.Seed && !m.Silent && !taken[m.ID] || m.feeds() && !m.Dials && !m.doubted(at) {
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
	if from := s.layout().sources(place); len(from) > 0 && !s.Chain[from[0]].Dials {
		return s.Chain[from[0]].ID
	}
	return messages.ServerID
}

// Neighbours says whom the listener receives from and whom it feeds. It is nil for
// who is not in the chain.
func (s State) Neighbours(id string) *messages.Neighbours {
	at := s.place(id)
	if at < 0 {
		return nil
	}
	return s.layout().tellings()[at]
}

// source is the id of who feeds the place; empty for a client of 2016 that hears nothing.
func (s State) source(place int) string { return s.layout().source(place) }

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
	was, is := s.layout(), after.layout()
	for at, m := range after.Chain {
		before, stood := was.index[m.ID]
		if !stood || moved[m.ID] || m.Silent || was.source(before) == is.source(at) {
			continue
		}
		splice := &messages.ChainSpliced{From: is.source(at), To: m.ID}
		for _, between := range s.Chain[min(s.place(splice.From)+1, before):before] { // a client of 2016 may stand above who feeds it
			if moved[between.ID] {
				splice.Around = append(splice.Around, between.ID)
			}
		}
		events = append(events, splice)
	}
	return events
}
