package chain

import (
	"slices"
	"strings"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// feeds reports whether the member may feed natives. A client of 2016 may not: the music that it
// passes on has no proof, and it never catches up after a delay.
func (m Member) feeds() bool { return m.serves() && !m.Liar && !m.Seed }

// serves reports whether the member would feed others if it were allowed to.
func (m Member) serves() bool { return !m.Leaf && m.Relay != "" }

// Open reports whether the member may feed natives, and anybody can connect to it.
func (m Member) Open() bool { return m.feeds() && !m.Dials }

// reaches reports whether the two can be connected: at least one end must be able to dial the other.
func reaches(above, below Member) bool { return !above.Dials || !below.Dials }

// Feeder returns the node that would feed a client of 2016 that came at the time at: the last of the chain
// that can, native or not, or the server. A client of 2016 feeds at most one other, and cannot be dialled
// by its source. A node that was accused lately (doubted) is not chosen.
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

// silenced returns events for the clients of 2016 that hear nothing any more after the nodes in gone (id to
// reason) have vanished without a message: those that they fed, and those that these fed. There is no way to
// tell such a client where to go.
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

// heir returns the node to which a leaving node sends its clients of 2016: the one above it, or the server
// if that one cannot be reached.
func (l Line) heir(gone *seat) string {
	if gone.Seed {
		return gone.FedBy
	}
	v := l.view(gone)
	if from := v.sources(gone.Member); len(from) > 0 && !from[0].Dials {
		return from[0].ID
	}
	return messages.ServerID
}

// Source returns the id of the node that feeds the listener; "" for a stranger, and for a client of 2016
// that hears nothing.
func (l Line) Source(id string) string {
	s := l.seat(id)
	if s == nil {
		return ""
	}
	return l.source(s)
}

func (l Line) sources(s *seat) []*seat {
	v := l.view(s)
	return v.sources(s.Member)
}

func (l Line) source(s *seat) string {
	v := l.view(s)
	return v.source(s.Member)
}

// Seeds returns the clients of 2016 that hear music.
func (l Line) Seeds() (seeds []*messages.Node) {
	for m := range l.seeds.All() {
		if !m.Silent {
			seeds = append(seeds, m.Node())
		}
	}
	return seeds
}

// node returns the member as others are told of it, or the server.
func (l Line) node(id string) *messages.Node {
	if s := l.seat(id); s != nil {
		return s.Node()
	}
	return &messages.Node{Id: messages.ServerID, Name: messages.ServerID}
}

// place returns the seat below which a newcomer is placed; nil is the server. It is the tail, but above nodes
// that were moved there lately for a complaint, so that the newcomer does not suffer as the accuser did. A
// client of 2016 goes to the very end: it was told who feeds it and it feeds no native, so its place does not
// matter. If a newcomer cannot be reached and would stand behind another such node, it goes between two
// nodes that can be reached, so that it can be fed and can feed.
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

// spliced appends what follows from events: moves of branches to nodes that offer to feed them, and a ChainSpliced for
// each member that receives from another node than before.
func (s State) spliced(events ...proto.Message) []proto.Message {
	after, at := s, int64(0)
	var moved []*seat // or gone
	for _, event := range events {
		after = after.Apply(event)
		if event, dated := event.(interface{ GetAtUnixUs() int64 }); dated {
			at = event.GetAtUnixUs()
		}
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
	if len(moved) > 0 || after.Chain.Len() == s.Chain.Len() { // newcomers take free places, so nobody feeds too many
		chains := s.serverFeeds()
		if after.WeighedAt != s.WeighedAt {
			chains = after.serverFeeds() // one was opened on purpose
		}
		for _, event := range after.relieved(chains, at) {
			events, after = append(events, event), after.Apply(event)
		}
	}
	slices.SortFunc(moved, func(a, b *seat) int { return strings.Compare(a.rank, b.rank) })
	for _, now := range changed(s.Chain, after.Chain) {
		was := s.Chain.seat(now.ID)
		if was == nil || slices.Contains(moved, was) || now.Silent || s.Chain.source(was) == after.Chain.source(now) {
			continue
		}
		splice := &messages.ChainSpliced{From: after.Chain.source(now), To: now.ID}
		from := s.Chain.seat(splice.From)
		for _, between := range moved {
			if s.Chain.stands(between, was) && between != from && !s.Chain.stands(between, from) {
				splice.Around = append(splice.Around, between.ID)
			}
		}
		events = append(events, splice)
	}
	return events
}
