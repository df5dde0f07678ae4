// Package search decides whom a listener asks for the music, and whom it leaves. It is pure: it follows from
// events and commands alone, reads no clock, knows no actors, and does no I/O.
package search

import (
	"encoding/json"
	"slices"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// State is where a listener's music comes from: the ancestors that the server told
// it, the one that feeds it, and the search for another. It is immutable.
type State struct {
	// Ancestors are the nodes above, nearest first; the server stands behind them.
	Ancestors []Node `json:"ancestors"`
	// Event is the server's event from which Ancestors follow, in the epoch Epoch.
	Event uint64 `json:"event"`
	Epoch uint64 `json:"epoch,omitempty"`
	// Upstream feeds this node; nil while none does.
	Upstream *Link `json:"upstream"`
	// Seeking are the ancestors that were asked and have not answered, in that order.
	Seeking []Link `json:"seeking"`
	// Tried are the ids that were asked in vain in this search. Dead are those that failed while
	// they fed this node, or were left for one further up: they are not asked again while the
	// server lists them, unless all else has failed or some time has passed.
	Tried []string `json:"tried"`
	Dead  []string `json:"dead"`
	// Liars are the ids that sent what the server did not: they are never asked again.
	Liars []string `json:"liars"`
	// Links counts the connections ever tried.
	Links uint64 `json:"links"`
	// LostAt is when the upstream was lost, in unix microseconds; 0 while one feeds.
	LostAt int64 `json:"lostAtUnixUs"`
	// ConnectedAt is when Upstream began to feed, in unix microseconds.
	ConnectedAt int64 `json:"connectedAtUnixUs"`
	// Searches counts the searches in a row that found nobody. An upstream that feeds only for a
	// moment does not count as found, so that a server that accepts and hangs up is not flooded.
	Searches uint32 `json:"searches"`
	// Least is the smallest number that was offered in this search by nodes that no longer have
	// the one needed next, 0 if none was. LeastAt is when it was offered, in unix microseconds.
	// Resigned counts the rounds that ended with such offers only.
	Least    uint64 `json:"least"`
	LeastAt  int64  `json:"leastAtUnixUs,omitempty"`
	Resigned uint32 `json:"resigned"`
}

const (
	// steady is how long an upstream feeds before it counts as found, and how long after a search
	// that ended with a hole further holes are accepted without asking others.
	steady = 2_000_000 // microseconds
	// sameHole is how many items the oldest kept one may have advanced while all were asked: some
	// three seconds of music.
	sameHole = 32
	// Famine is how long an upstream may send no music before a hole that nobody can fill is
	// accepted from another.
	Famine = 3_000_000 // microseconds
	// sameSearch is how long an offer with a hole is remembered.
	sameSearch = 10_000_000 // microseconds
	// Ahead is how many items more than this node an ancestor must have to replace an upstream
	// whose music comes late: some 400 ms of music.
	Ahead = 4
)

// maxLiars bounds the list of liars. If there are more above one node, the oldest is asked
// again, and can be caught again.
const maxLiars = 16

// Apply returns the state after event. It never refuses: event has already happened.
func (s State) Apply(event proto.Message) State {
	switch event := event.(type) {
	case *messages.NodeStarted:
		return State{Links: s.Links} // a link's number is never used again
	case *messages.UpstreamsAssigned:
		return s.assigned(event)
	case *messages.UpstreamSought:
		s.Links = event.GetLink()
		s.Seeking = append(slices.Clip(s.Seeking), Link{event.GetLink(), NodeOf(event.GetNode()), event.GetWhy(), event.GetHoles()})
	case *messages.UpstreamConnected:
		if up := s.Upstream; up != nil && up.Node.ID != messages.ServerID && !s.Prefers(NodeOf(event.GetNode())) {
			s.Dead = with(s.Dead, up.Node.ID)
		}
		s.Dead = without(s.Dead, event.GetNode().GetId())
		s.Upstream = &Link{Number: event.GetLink(), Node: NodeOf(event.GetNode())}
		s.Seeking, s.Tried = nil, nil
		s.LostAt, s.ConnectedAt, s.Least = 0, event.GetAtUnixUs(), 0
	case *messages.UpstreamLost:
		return s.lost(event)
	case *messages.UpstreamUnusable:
		s.Seeking = slices.DeleteFunc(slices.Clone(s.Seeking), func(l Link) bool { return l.Number == event.GetLink() })
		if event.GetEnding() != messages.Ending_ENDING_OWN {
			s.Tried = with(s.Tried, event.GetNode().GetId())
		}
		if event.GetFirst() > 0 {
			s = s.missed(event.GetFirst(), event.GetAtUnixUs())
		}
	case *messages.SearchExhausted:
		s.Searches = event.GetSearches()
		s.Tried, s.Dead = nil, nil
		if s.Least > 0 {
			s.Resigned++
		}
	}
	return s
}

func (s State) assigned(event *messages.UpstreamsAssigned) State {
	s.Ancestors = nil
	for _, n := range event.GetAncestors() {
		s.Ancestors = append(s.Ancestors, NodeOf(n))
	}
	s.Event, s.Epoch = event.GetEvent(), event.GetEpoch()
	s.Tried = nil
	above := s.above()
	s.Dead = slices.DeleteFunc(slices.Clone(s.Dead), func(id string) bool {
		return !slices.ContainsFunc(above, func(n Node) bool { return n.ID == id })
	})
	// A node that was asked at an address that it no longer has will not answer. While
	// another feeds, only ancestors are waited for.
	s.Seeking = slices.DeleteFunc(slices.Clone(s.Seeking), func(l Link) bool {
		at := slices.IndexFunc(above, func(n Node) bool { return n.ID == l.Node.ID })
		return at < 0 && s.Upstream != nil || at >= 0 && !above[at].same(l.Node)
	})
	return s
}

// missed records that a node offered music only from the number first on.
func (s State) missed(first uint64, at int64) State {
	if at-s.LeastAt > sameSearch {
		s.Least, s.Resigned = 0, 0
	}
	if s.Least == 0 || first < s.Least {
		s.Least = first
	}
	s.LeastAt = at
	return s
}

func (s State) lost(event *messages.UpstreamLost) State {
	unsteady := s.unsteady(event.GetAtUnixUs())
	s.Upstream, s.LostAt, s.ConnectedAt = nil, event.GetAtUnixUs(), 0
	s.Tried, s.Least, s.Resigned = nil, 0, 0
	if !unsteady {
		s.Searches = 0
	}
	id := event.GetNode().GetId()
	switch {
	case event.GetEnding() == messages.Ending_ENDING_OWN:
	case id != messages.ServerID:
		s.Dead = with(s.Dead, id)
		if event.GetFault() == messages.Fault_FAULT_LYING && !slices.Contains(s.Liars, id) {
			s.Liars = with(s.Liars[max(0, len(s.Liars)+1-maxLiars):], id)
		}
	case unsteady || event.GetEnding() == messages.Ending_ENDING_HOLE: // otherwise the server is asked again at once
		s.Dead = with(s.Dead, id)
	}
	return s
}

// with returns ids with id in it, once.
func with(ids []string, id string) []string {
	if slices.Contains(ids, id) {
		return ids
	}
	return append(slices.Clip(ids), id)
}

// without returns ids without id.
func without(ids []string, id string) []string {
	if !slices.Contains(ids, id) {
		return ids
	}
	return slices.DeleteFunc(slices.Clone(ids), func(other string) bool { return other == id })
}

// MarshalJSON writes empty lists as [], never as null, so that the same state gives the same
// bytes.
func (s State) MarshalJSON() ([]byte, error) {
	type plain State
	if s.Ancestors == nil {
		s.Ancestors = []Node{}
	}
	if s.Seeking == nil {
		s.Seeking = []Link{}
	}
	if s.Tried == nil {
		s.Tried = []string{}
	}
	if s.Dead == nil {
		s.Dead = []string{}
	}
	if s.Liars == nil {
		s.Liars = []string{}
	}
	return json.Marshal(plain(s))
}
