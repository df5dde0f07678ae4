package chainmanager

import (
	"encoding/json"
	"slices"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// State is the chain: the listeners in order, nearest the server first. It is
// immutable.
type State struct {
	Epoch uint64   `json:"epoch"`
	Chain []Member `json:"chain"`
}

// Member is a listener's place in the chain.
type Member struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Relay string `json:"relay"`          // host:port where the next one connects
	HTTP  string `json:"http,omitempty"` // host:port of its debug answers
	Leaf  bool   `json:"leaf,omitempty"`
	// Absent marks those whom a restarted server has not heard of yet: they most
	// likely play on, fed by each other, and are about to come back.
	Absent bool `json:"absent,omitempty"`
}

// Decide says what follows from cmd. A cmd that needs no answer (a peer lost twice)
// yields no events.
func (s State) Decide(cmd proto.Message) []proto.Message {
	switch cmd := cmd.(type) {
	case *messages.JoinChain:
		return s.join(cmd)
	case *messages.LeaveChain:
		return s.remove(&messages.ListenerLeft{
			Id: cmd.GetId(), Cause: messages.ListenerLeft_CAUSE_SAID_SO, AtUnixUs: cmd.GetAtUnixUs(),
		})
	case *messages.PeerLost:
		if cmd.GetSeenBy() != messages.ServerID {
			return s.suspect(cmd)
		}
		return s.remove(&messages.ListenerLeft{
			Id: cmd.GetId(), Cause: messages.ListenerLeft_CAUSE_LOST, SeenBy: cmd.GetSeenBy(),
			Reason: cmd.GetReason(), AtUnixUs: cmd.GetAtUnixUs(),
		})
	case *messages.ExpireAbsent:
		return s.expire(cmd)
	case *messages.Reconnected:
		return s.reconnected(cmd)
	}
	return nil
}

func (s State) join(cmd *messages.JoinChain) []proto.Message {
	node := cmd.GetNode()
	if id := node.GetId(); id == "" || id == messages.ServerID {
		return nil // the head of the chain is called so: a listener of this name would tear it
	}
	if s.place(node.GetId()) >= 0 {
		return []proto.Message{&messages.ListenerReturned{Node: node, AtUnixUs: cmd.GetAtUnixUs()}}
	}
	return []proto.Message{&messages.ListenerJoined{
		Node: node, After: s.above(len(s.Chain)), Leaf: cmd.GetLeaf(), AtUnixUs: cmd.GetAtUnixUs(),
	}}
}

// suspect answers a listener that accuses the node above it: the two part. Who is
// right is not known, so nobody is thrown out; a dead node's request connection
// ends soon. Only the node directly below may accuse: others hear nothing of it.
func (s State) suspect(cmd *messages.PeerLost) []proto.Message {
	at, below := s.place(cmd.GetId()), s.place(cmd.GetSeenBy())
	if at < 0 || below != at+1 {
		return nil
	}
	return []proto.Message{
		&messages.ListenerMoved{
			Id: cmd.GetId(), Name: s.Chain[at].Name, After: s.Chain[len(s.Chain)-1].ID,
			SeenBy: cmd.GetSeenBy(), Reason: cmd.GetReason(), AtUnixUs: cmd.GetAtUnixUs(),
		},
		&messages.ChainSpliced{From: s.above(at), To: cmd.GetSeenBy(), Around: []string{cmd.GetId()}},
	}
}

// remove takes listeners out, any number that go at once: a gap of several
// neighbours is spliced once.
func (s State) remove(left ...*messages.ListenerLeft) []proto.Message {
	gone := map[string]bool{}
	var events []proto.Message
	for _, l := range left {
		if at := s.place(l.GetId()); at >= 0 && !gone[l.GetId()] {
			gone[l.GetId()] = true
			l.Name = s.Chain[at].Name
			events = append(events, l)
		}
	}
	from := messages.ServerID
	var around []string
	for _, m := range s.Chain {
		switch {
		case gone[m.ID]:
			around = append(around, m.ID)
		case len(around) > 0:
			events = append(events, &messages.ChainSpliced{From: from, To: m.ID, Around: around})
			around = nil
			fallthrough
		default:
			from = m.ID
		}
	}
	return events
}

func (s State) expire(cmd *messages.ExpireAbsent) []proto.Message {
	var left []*messages.ListenerLeft
	for _, m := range s.Chain {
		if m.Absent {
			left = append(left, &messages.ListenerLeft{
				Id: m.ID, Cause: messages.ListenerLeft_CAUSE_DID_NOT_RETURN,
				SeenBy: messages.ServerID, AtUnixUs: cmd.GetAtUnixUs(),
			})
		}
	}
	return s.remove(left...)
}

// Apply returns the chain after event. It never refuses: event is already true.
func (s State) Apply(event proto.Message) State {
	switch event := event.(type) {
	case *messages.BroadcastOpened:
		s.Epoch = event.GetEpoch()
		s.Chain = slices.Clone(s.Chain)
		for i := range s.Chain {
			s.Chain[i].Absent = true
		}
	case *messages.ListenerJoined:
		at := s.place(event.GetAfter()) + 1
		s.Chain = slices.Insert(slices.Clone(s.Chain), at, member(event.GetNode(), event.GetLeaf()))
	case *messages.ListenerReturned:
		if at := s.place(event.GetNode().GetId()); at >= 0 {
			s.Chain = slices.Clone(s.Chain)
			s.Chain[at] = member(event.GetNode(), s.Chain[at].Leaf)
		}
	case *messages.ListenerMoved:
		if at := s.place(event.GetId()); at >= 0 {
			moved := s.Chain[at]
			s.Chain = append(slices.Delete(slices.Clone(s.Chain), at, at+1), moved)
		}
	case *messages.ListenerLeft:
		if at := s.place(event.GetId()); at >= 0 {
			s.Chain = slices.Delete(slices.Clone(s.Chain), at, at+1)
		}
	}
	return s
}

// MarshalJSON writes empty lists as [], whatever way they became empty: the same
// state is the same bytes.
func (s State) MarshalJSON() ([]byte, error) {
	type plain State
	if s.Chain == nil {
		s.Chain = []Member{}
	}
	return json.Marshal(plain(s))
}

// Neighbours says whom the listener receives from and whom it feeds. It is nil for
// who is not in the chain.
func (s State) Neighbours(id string) *messages.Neighbours {
	at := s.place(id)
	if at < 0 {
		return nil
	}
	n := &messages.Neighbours{Id: id}
	for above := at - 1; above >= 0 && len(n.Ancestors) < messages.Ancestors; above-- {
		n.Ancestors = append(n.Ancestors, s.Chain[above].node())
	}
	if len(n.Ancestors) < messages.Ancestors {
		n.Ancestors = append(n.Ancestors, &messages.Node{Id: messages.ServerID, Name: messages.ServerID})
	}
	if at+1 < len(s.Chain) {
		n.Downstream = s.Chain[at+1].node()
	}
	return n
}

// place is the listener's index in the chain, -1 for the server and for strangers.
func (s State) place(id string) int {
	return slices.IndexFunc(s.Chain, func(m Member) bool { return m.ID == id })
}

// above is the id of who feeds the place.
func (s State) above(place int) string {
	if place == 0 {
		return messages.ServerID
	}
	return s.Chain[place-1].ID
}

func member(n *messages.Node, leaf bool) Member {
	return Member{ID: n.GetId(), Name: n.GetName(), Relay: n.GetRelay(), HTTP: n.GetHttp(), Leaf: leaf}
}

func (m Member) node() *messages.Node {
	return &messages.Node{Id: m.ID, Name: m.Name, Relay: m.Relay}
}
