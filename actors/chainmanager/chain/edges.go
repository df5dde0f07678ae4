package chain

import (
	"slices"
	"strings"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// feeds says whether the member may be a native's source. A client of 2016 never is: what it
// passes on has no proof, and comes as late as it was held up.
func (m Member) feeds() bool { return m.serves() && !m.Liar && !m.Seed }

// serves says whether the member would ever feed others, if it may.
func (m Member) serves() bool { return !m.Leaf && m.Relay != "" }

// Open says whether the member may be a native's source, and anybody can ask it for the music.
func (m Member) Open() bool { return m.feeds() && !m.Dials }

// reaches says whether the two can be connected at all: one end must be able to dial
// the other, and it is the same which.
func reaches(above, below Member) bool { return !above.Dials || !below.Dials }

// Feeder is who would feed a client of 2016 that came at that time: the last of the chain who can,
// native or not, or the server. Those clients take one listener each and cannot be offered
// music; and who was found slow of late is spared.
func (s State) Feeder(at int64) *messages.Node {
	taken := map[string]bool{}
	for m := range s.Chain.seeds.All() {
		taken[m.FedBy] = true
	}
	for m := range s.Chain.all.Before(s.Chain.last().behind()) {
		if m.Seed && !m.Silent && !taken[m.ID] || m.Open() && !m.doubted(at) {
			return m.Node()
		}
	}
	return s.Chain.node(messages.ServerID)
}

// silenced are the clients of 2016 that hear nothing any more when those in gone have vanished
// without a word: whom they fed, and whom these fed. No word reaches such a client.
func (s State) silenced(gone map[string]string, at int64) (events []proto.Message) {
	for more := true; more; {
		more = false
		for m := range s.Chain.seeds.All() {
			why, lost := gone[m.FedBy]
			if _, known := gone[m.ID]; m.Silent || !lost || known {
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
func (l Line) heir(gone *seat) string {
	if gone.Seed {
		return gone.FedBy
	}
	v := l.view(gone.rank)
	if from := v.sources(gone.Member); len(from) > 0 && !from[0].Dials {
		return from[0].ID
	}
	return messages.ServerID
}

// Source is the id of who feeds the listener; empty for a stranger, and for a client of 2016 that
// hears nothing.
func (l Line) Source(id string) string {
	s := l.seat(id)
	if s == nil {
		return ""
	}
	return l.source(s)
}

func (l Line) sources(s *seat) []*seat {
	v := l.view(s.rank)
	return v.sources(s.Member)
}

func (l Line) source(s *seat) string {
	v := l.view(s.rank)
	return v.source(s.Member)
}

// Seeds are the clients of 2016 that hear music.
func (l Line) Seeds() (seeds []*messages.Node) {
	for m := range l.seeds.All() {
		if !m.Silent {
			seeds = append(seeds, m.Node())
		}
	}
	return seeds
}

// node is the member as others are told of it, or the server.
func (l Line) node(id string) *messages.Node {
	if s := l.seat(id); s != nil {
		return s.Node()
	}
	return &messages.Node{Id: messages.ServerID, Name: messages.ServerID}
}

// place is below whom a newcomer comes to stand; nil is the server. That is the tail, before those
// who were moved there for a complaint of late: it would suffer as who complained did. A client of
// 2016 stands at the very end: it was told who feeds it, and feeds no native, so its place means
// nothing. And one who cannot be reached, and would stand behind another such, goes between two
// who can be, for there it can feed.
func (l Line) place(newcomer Member, at int64) *seat {
	tail := l.last()
	if newcomer.Seed {
		return tail
	}
	for tail != nil && tail.doubted(at) {
		tail = nearest(l.all, tail.rank)
	}
	if !newcomer.Dials || tail == nil || reaches(tail.Member, newcomer) {
		return tail
	}
	for below := tail; below != nil; {
		above := nearest(l.all, below.rank)
		if (above == nil || reaches(above.Member, newcomer)) && reaches(newcomer, below.Member) {
			return above
		}
		below = above
	}
	return tail
}

// spliced says who receives from somebody else after the events than before.
func (s State) spliced(events ...proto.Message) []proto.Message {
	after := s
	var moved []*seat // or gone
	for _, event := range events {
		after = after.Apply(event)
		var id string
		switch event := event.(type) {
		case *messages.ListenerLeft:
			id = event.GetId()
		case *messages.ListenerMoved:
			id = event.GetId()
		}
		if one := s.Chain.seat(id); one != nil {
			moved = append(moved, one)
		}
	}
	slices.SortFunc(moved, func(a, b *seat) int { return strings.Compare(a.rank, b.rank) })
	for _, now := range changed(s.Chain, after.Chain) {
		was := s.Chain.seat(now.ID)
		if was == nil || slices.Contains(moved, was) || now.Silent || s.Chain.source(was) == after.Chain.source(now) {
			continue
		}
		splice := &messages.ChainSpliced{From: after.Chain.source(now), To: now.ID}
		for _, between := range moved {
			if s.Chain.Compare(splice.From, between.ID) < 0 && between.rank < was.rank {
				splice.Around = append(splice.Around, between.ID)
			}
		}
		events = append(events, splice)
	}
	return events
}
