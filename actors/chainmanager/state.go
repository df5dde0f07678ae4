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
	// MovedAt is when the last few listeners were moved for a complaint, unix microseconds.
	MovedAt []int64 `json:"movedAtUnixUs"`
	// Ledger is what is remembered of those who accused others, or were convicted.
	Ledger Ledger `json:"ledger,omitempty"`
}

// Member is a listener's place in the chain.
type Member struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Relay string `json:"relay"`           // host:port where the next one connects
	HTTP  string `json:"http,omitempty"`  // host:port of its debug answers
	Leaf  bool   `json:"leaf,omitempty"`  // it does not want to feed anybody
	Dials bool   `json:"dials,omitempty"` // it cannot be reached: it dials the one that it feeds
	Liar  bool   `json:"liar,omitempty"`  // convicted of lying or skipping: it feeds nobody for a while
	// Address is that of its request connection, IPv6 by the /64.
	Address string `json:"address,omitempty"`
	Seed    bool   `json:"seed,omitempty"` // a client of 2016
	// FedBy is the id of who feeds a client of 2016: it was told when it came, and goes
	// elsewhere only when that one leaves and says so.
	FedBy string `json:"fedBy,omitempty"`
	// Silent: a client of 2016 that hears nothing any more. It may live, but no word reaches it.
	Silent bool `json:"silent,omitempty"`
	// AccusedAt is when it was last moved for a complaint, unix microseconds; 0: never.
	AccusedAt int64 `json:"accusedAtUnixUs,omitempty"`
	// Doubts counts the times that it was found slow, or an audit found it bad.
	Doubts int `json:"doubts,omitempty"`
	// Voices are the last accusations of lying and skipping.
	Voices []Voice `json:"voices,omitempty"`
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
			return s.accuse(cmd)
		}
		return s.remove(lost(cmd))
	case *messages.PeersLost:
		var left []*messages.ListenerLeft
		for _, one := range cmd.GetLost() {
			left = append(left, lost(one))
		}
		return s.remove(left...)
	case *messages.ExpireAbsent:
		return s.expire(cmd)
	case *messages.AuditEnded:
		return s.audited(cmd)
	case *messages.ExpireVerdicts:
		return s.endVerdicts(cmd.GetAtUnixUs())
	case *messages.ReportSilent:
		return s.cutOff(cmd)
	}
	return nil
}

func (s State) join(cmd *messages.JoinChain) []proto.Message {
	node := cmd.GetNode()
	if id := node.GetId(); id == "" || id == messages.ServerID {
		return nil // the head of the chain is called so: a listener of this name would tear it
	}
	if s.place(node.GetId()) >= 0 {
		return []proto.Message{&messages.ListenerReturned{
			Node: node, AtUnixUs: cmd.GetAtUnixUs(), Unreachable: cmd.GetUnreachable(), Address: cmd.GetAddress(),
		}}
	}
	joined := &messages.ListenerJoined{
		Node: node, Leaf: cmd.GetLeaf(), AtUnixUs: cmd.GetAtUnixUs(), Unreachable: cmd.GetUnreachable(), Seed: cmd.GetSeed(),
		Address: cmd.GetAddress(),
	}
	if cmd.GetSeed() {
		joined.FedBy = s.node(cmd.GetFedBy()).GetId()
	}
	joined.After = s.at(s.seat(joiner(joined), cmd.GetAtUnixUs()))
	events := []proto.Message{joined}
	if at := s.place(joined.GetFedBy()); joined.GetSeed() && (joined.GetFedBy() != cmd.GetFedBy() || at >= 0 && s.Chain[at].Silent) {
		// Who was to feed it has gone between its being told and this word.
		events = append(events, &messages.ListenerFellSilent{
			Id: node.GetId(), Name: node.GetName(), FedBy: cmd.GetFedBy(), Reason: "who was to feed it has gone", AtUnixUs: cmd.GetAtUnixUs(),
		})
	}
	return s.spliced(events...)
}

// cutOff hears from a node that it feeds a client of 2016 no longer. Only who feeds it knows.
func (s State) cutOff(cmd *messages.ReportSilent) []proto.Message {
	at := s.place(cmd.GetId())
	if at < 0 || !s.Chain[at].Seed || s.source(at) != cmd.GetSeenBy() {
		return nil
	}
	fell := &messages.ListenerFellSilent{
		Id: cmd.GetId(), Name: s.Chain[at].Name, FedBy: cmd.GetSeenBy(), Reason: cmd.GetReason(), AtUnixUs: cmd.GetAtUnixUs(),
	}
	gone := map[string]string{cmd.GetId(): "who feeds it hears nothing itself"}
	return append([]proto.Message{fell}, s.silenced(gone, cmd.GetAtUnixUs())...)
}

func lost(cmd *messages.PeerLost) *messages.ListenerLeft {
	return &messages.ListenerLeft{
		Id: cmd.GetId(), Cause: messages.ListenerLeft_CAUSE_LOST, SeenBy: cmd.GetSeenBy(),
		Reason: cmd.GetReason(), AtUnixUs: cmd.GetAtUnixUs(),
	}
}

// remove takes listeners out, any number that go at once: a gap of several
// neighbours is spliced once.
func (s State) remove(left ...*messages.ListenerLeft) []proto.Message {
	gone, silent := map[string]bool{}, map[string]string{}
	var events []proto.Message
	at := int64(0)
	for _, l := range left {
		if place := s.place(l.GetId()); place >= 0 && !gone[l.GetId()] {
			gone[l.GetId()] = true
			if l.GetCause() != messages.ListenerLeft_CAUSE_SAID_SO {
				silent[l.GetId()] = "who feeds it vanished"
			}
			l.Name, at = s.Chain[place].Name, l.GetAtUnixUs()
			events = append(events, l)
		}
	}
	return s.spliced(append(s.silenced(silent, at), events...)...)
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
		s = s.reopened(event.GetAtUnixUs())
	case *messages.ListenerJoined:
		at := s.place(event.GetAfter()) + 1
		m := joiner(event)
		m.Liar = s.Ledger[m.ID].ConvictedAt > 0
		s.Chain = slices.Insert(slices.Clone(s.Chain), at, m)
	case *messages.ListenerReturned:
		if at := s.place(event.GetNode().GetId()); at >= 0 {
			back := member(event.GetNode(), s.Chain[at].Leaf, event.GetUnreachable())
			back.Liar, back.Seed, back.FedBy, back.Silent = s.Chain[at].Liar, s.Chain[at].Seed, s.Chain[at].FedBy, s.Chain[at].Silent
			back.Address = event.GetAddress()
			back.AccusedAt, back.Doubts, back.Voices = s.Chain[at].AccusedAt, s.Chain[at].Doubts, s.Chain[at].Voices
			s.Chain = slices.Clone(s.Chain)
			s.Chain[at] = back
		}
	case *messages.ListenerMoved:
		return s.moved(event)
	case *messages.ListenerAudited:
		return s.found(event)
	case *messages.VerdictEnded:
		return s.cleared(event.GetId())
	case *messages.ListenerLeft:
		if at := s.place(event.GetId()); at >= 0 {
			before := s
			s.Chain = slices.Delete(slices.Clone(s.Chain), at, at+1)
			for i := range s.Chain {
				if s.Chain[i].FedBy == event.GetId() && !s.Chain[i].Silent {
					s.Chain[i].FedBy = before.heir(at)
				}
			}
		}
		return s.lostToo(event)
	case *messages.ListenerFellSilent:
		if at := s.place(event.GetId()); at >= 0 {
			s.Chain = slices.Clone(s.Chain)
			s.Chain[at].Silent = true
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
	if s.MovedAt == nil {
		s.MovedAt = []int64{}
	}
	return json.Marshal(plain(s))
}

// place is the listener's index in the chain, -1 for the server and for strangers.
func (s State) place(id string) int {
	return slices.IndexFunc(s.Chain, func(m Member) bool { return m.ID == id })
}

// at is the id of who stands at the place, the server's for -1.
func (s State) at(place int) string {
	if place < 0 {
		return messages.ServerID
	}
	return s.Chain[place].ID
}

func member(n *messages.Node, leaf bool, unreachable string) Member {
	return Member{
		ID: n.GetId(), Name: n.GetName(), Relay: n.GetRelay(), HTTP: n.GetHttp(), Leaf: leaf, Dials: unreachable != "",
	}
}

func joiner(event *messages.ListenerJoined) Member {
	m := member(event.GetNode(), event.GetLeaf(), event.GetUnreachable())
	m.Seed, m.FedBy, m.Address = event.GetSeed(), event.GetFedBy(), event.GetAddress()
	return m
}

func (m Member) node() *messages.Node {
	return &messages.Node{Id: m.ID, Name: m.Name, Relay: m.Relay, Dials: m.Dials}
}
