// Package chain decides who feeds whom. It is pure: it follows from events and commands alone, reads no
// clock, knows no actors, and does no I/O.
package chain

import (
	"encoding/json"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// State is the chain: the listeners in order, nearest the server first. It is
// immutable.
type State struct {
	Epoch uint64 `json:"epoch"`
	Chain Line   `json:"chain"`
	// MovedAt is when the last maxMoves listeners were moved for a complaint, in unix microseconds.
	MovedAt []int64 `json:"movedAtUnixUs"`
	// Ledger is what is remembered of listeners that accused others, or were convicted.
	Ledger Ledger `json:"ledger,omitempty"`
	// Chains is how many listeners the server feeds; 0: one.
	Chains int `json:"chains,omitempty"`
	// ChainsAtMost is how many it may feed if the chain is too deep; 0: no more.
	ChainsAtMost int `json:"chainsAtMost,omitempty"`
	// WeighedAt is when a branch was last moved because of the depth, in unix microseconds; 0: never.
	WeighedAt int64 `json:"weighedAtUnixUs,omitempty"`
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
	// Feed is how many listeners it offers to feed; 0: one.
	Feed int `json:"feed,omitempty"`
	// Branch is the id of the node on which a branch of the line hangs that begins with this member; empty: none begins here.
	Branch string `json:"branch,omitempty"`
	// Since is when it came, unix microseconds.
	Since int64 `json:"sinceUnixUs,omitempty"`
	// Address is the prefix of its request connection's address (IPv6: the /64).
	Address string `json:"address,omitempty"`
	Seed    bool   `json:"seed,omitempty"` // a client of 2016
	// FedBy is the id of the node that feeds a client of 2016. The client was told it when it came,
	// and goes elsewhere only when that node leaves and says so.
	FedBy string `json:"fedBy,omitempty"`
	// Silent marks a client of 2016 that hears nothing any more. It may be alive, but cannot be told anything.
	Silent bool `json:"silent,omitempty"`
	// AccusedAt is when it was last moved for a complaint, or an audit found it bad, in unix microseconds; 0: never.
	AccusedAt int64 `json:"accusedAtUnixUs,omitempty"`
	// Doubts counts how often it was found slow, or an audit found it bad.
	Doubts int `json:"doubts,omitempty"`
	// Voices are the last accusations of lying and skipping.
	Voices []Voice `json:"voices,omitempty"`
	// Absent marks members of whom a restarted server has not heard yet: they probably
	// still play, fed by each other, and will come back soon.
	Absent bool `json:"absent,omitempty"`
}

// Decide returns the events that follow from cmd, none if nothing does (a peer lost
// twice).
func (s State) Decide(cmd proto.Message) []proto.Message {
	switch cmd := cmd.(type) {
	case *messages.JoinChain:
		return s.join(cmd)
	case *messages.JoinChains:
		var events []proto.Message
		for _, join := range cmd.GetJoins() {
			joined := s.join(join)
			for _, event := range joined {
				s = s.Apply(event)
			}
			events = append(events, joined...)
		}
		return events
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
	case *messages.WeighDepth:
		return s.weigh(cmd)
	case *messages.ReportSilent:
		return s.cutOff(cmd)
	}
	return nil
}

func (s State) join(cmd *messages.JoinChain) []proto.Message {
	node := cmd.GetNode()
	if id := node.GetId(); id == "" || id == messages.ServerID {
		return nil // these ids mean the server, the head of the chain
	}
	if s.Chain.seat(node.GetId()) != nil {
		returned := &messages.ListenerReturned{
			Node: node, AtUnixUs: cmd.GetAtUnixUs(), Unreachable: cmd.GetUnreachable(), Address: cmd.GetAddress(),
			Feed: cmd.GetFeed(), Leaf: cmd.GetLeaf(),
		}
		before, now := s.Chain.seat(node.GetId()), s.Apply(returned).Chain.seat(node.GetId())
		if s.Chain.Branches() && (now.most() < before.most() || now.feeds() != before.feeds()) {
			return s.spliced(returned)
		}
		return []proto.Message{returned}
	}
	joined := &messages.ListenerJoined{
		Node: node, Leaf: cmd.GetLeaf(), AtUnixUs: cmd.GetAtUnixUs(), Unreachable: cmd.GetUnreachable(), Seed: cmd.GetSeed(),
		Address: cmd.GetAddress(), Feed: cmd.GetFeed(),
	}
	if cmd.GetSeed() {
		joined.FedBy = s.Chain.node(cmd.GetFedBy()).GetId()
	}
	after, branch := s.settle(joiner(joined), cmd.GetAtUnixUs())
	joined.After, joined.Branch = after.id(), branch
	events := []proto.Message{joined}
	if at := s.Chain.seat(joined.GetFedBy()); joined.GetSeed() && (joined.GetFedBy() != cmd.GetFedBy() || at != nil && at.Silent) {
		// After the client was told its upstream, and before it joined, that node has left.
		events = append(events, &messages.ListenerFellSilent{
			Id: node.GetId(), Name: node.GetName(), FedBy: cmd.GetFedBy(), Reason: "its upstream had already left", AtUnixUs: cmd.GetAtUnixUs(),
		})
	}
	return s.spliced(events...)
}

// cutOff handles a node's report that it no longer feeds a client of 2016. It counts only from the node that
// feeds the client.
func (s State) cutOff(cmd *messages.ReportSilent) []proto.Message {
	at := s.Chain.seat(cmd.GetId())
	if at == nil || !at.Seed || s.Chain.source(at) != cmd.GetSeenBy() {
		return nil
	}
	fell := &messages.ListenerFellSilent{
		Id: cmd.GetId(), Name: at.Name, FedBy: cmd.GetSeenBy(), Reason: cmd.GetReason(), AtUnixUs: cmd.GetAtUnixUs(),
	}
	gone := map[string]string{cmd.GetId(): "its upstream hears nothing itself"}
	return append([]proto.Message{fell}, s.silenced(gone, cmd.GetAtUnixUs())...)
}

func lost(cmd *messages.PeerLost) *messages.ListenerLeft {
	return &messages.ListenerLeft{
		Id: cmd.GetId(), Cause: messages.ListenerLeft_CAUSE_LOST, SeenBy: cmd.GetSeenBy(),
		Reason: cmd.GetReason(), AtUnixUs: cmd.GetAtUnixUs(),
	}
}

// remove removes any number of listeners that go at once: a gap of several
// neighbours is spliced once.
func (s State) remove(left ...*messages.ListenerLeft) []proto.Message {
	gone, silent := map[string]bool{}, map[string]string{}
	var events []proto.Message
	at := int64(0)
	for _, l := range left {
		if place := s.Chain.seat(l.GetId()); place != nil && !gone[l.GetId()] {
			gone[l.GetId()] = true
			if l.GetCause() != messages.ListenerLeft_CAUSE_SAID_SO {
				silent[l.GetId()] = "its upstream vanished"
			}
			l.Name, at = place.Name, l.GetAtUnixUs()
			events = append(events, l)
		}
	}
	return s.spliced(append(s.silenced(silent, at), events...)...)
}

func (s State) expire(cmd *messages.ExpireAbsent) []proto.Message {
	var left []*messages.ListenerLeft
	for m := range s.Chain.All() {
		if m.Absent {
			left = append(left, &messages.ListenerLeft{
				Id: m.ID, Cause: messages.ListenerLeft_CAUSE_DID_NOT_RETURN,
				SeenBy: messages.ServerID, AtUnixUs: cmd.GetAtUnixUs(),
			})
		}
	}
	return s.remove(left...)
}

// Apply returns the chain after event. It never refuses: event has already happened.
func (s State) Apply(event proto.Message) State {
	switch event := event.(type) {
	case *messages.BroadcastOpened:
		s.Epoch, s.Chains = event.GetEpoch(), int(min(event.GetChains(), messages.MaxChains))
		s.ChainsAtMost = int(min(event.GetChainsAtMost(), messages.MaxChains))
		return s.reopened(event.GetAtUnixUs())
	case *messages.ListenerJoined:
		m := joiner(event)
		m.Liar = s.Ledger[m.ID].ConvictedAt > 0
		after := s.Chain.seat(event.GetAfter())
		if event.GetBranch() {
			m.Branch, after = after.id(), s.Chain.last()
		}
		s.Chain = s.Chain.insert(m, after)
	case *messages.ListenerReturned:
		s.changed(event.GetNode().GetId(), func(m *Member) {
			back := member(event.GetNode(), m.Leaf || event.GetLeaf(), event.GetUnreachable())
			back.Liar, back.Seed, back.FedBy, back.Silent = m.Liar, m.Seed, m.FedBy, m.Silent
			back.AccusedAt, back.Doubts, back.Voices = m.AccusedAt, m.Doubts, m.Voices
			back.Address, back.Since = event.GetAddress(), m.Since
			back.Feed, back.Branch = feed(event.GetFeed()), m.Branch
			*m = back
		})
	case *messages.ListenerMoved:
		return s.moved(event)
	case *messages.BranchMoved:
		s.Chain = s.Chain.hang(event.GetId(), event.GetFrom())
		if event.GetCause() != messages.BranchMoved_CAUSE_FULL {
			s.WeighedAt = event.GetAtUnixUs()
		}
	case *messages.ListenerAudited:
		return s.found(event)
	case *messages.VerdictEnded:
		return s.cleared(event.GetId())
	case *messages.ListenerLeft:
		return s.left(event.GetId()).lostToo(event)
	case *messages.ListenerFellSilent:
		s.changed(event.GetId(), func(m *Member) { m.Silent = true })
	}
	return s
}

// changed changes the member with the id, if there is one.
func (s *State) changed(id string, change func(*Member)) {
	if m, is := s.Chain.Find(id); is {
		change(&m)
		s.Chain = s.Chain.with(m)
	}
}

// left returns the state without the listener. The clients of 2016 that it fed get another source.
func (s State) left(id string) State {
	gone := s.Chain.seat(id)
	if gone == nil {
		return s
	}
	heir := s.Chain.heir(gone)
	s.Chain = s.Chain.cut(gone)
	for m := range s.Chain.seeds.All() {
		if m.FedBy == id && !m.Silent {
			s.changed(m.ID, func(m *Member) { m.FedBy = heir })
		}
	}
	return s
}

// Reconnected returns the event for a listener's report of how it found another upstream, nil if it is not in
// the chain. The event is for those who ask why the music stopped; it changes no state.
func (s State) Reconnected(cmd *messages.Reconnected) *messages.ListenerReconnected {
	at, is := s.Chain.Find(cmd.GetId())
	if !is {
		return nil
	}
	return &messages.ListenerReconnected{
		Id: cmd.GetId(), Name: at.Name,
		Upstream: cmd.GetUpstream(), Lost: cmd.GetLost(), Reason: cmd.GetReason(),
		SearchUs: cmd.GetSearchUs(), Missing: cmd.GetMissing(), BufferedUs: cmd.GetBufferedUs(),
		AtUnixUs: cmd.GetAtUnixUs(),
	}
}

// MarshalJSON writes empty lists as [], never as null, so that the same state gives the same
// bytes.
func (s State) MarshalJSON() ([]byte, error) {
	type plain State
	if s.MovedAt == nil {
		s.MovedAt = []int64{}
	}
	return json.Marshal(plain(s))
}

func member(n *messages.Node, leaf bool, unreachable string) Member {
	return Member{
		ID: n.GetId(), Name: n.GetName(), Relay: n.GetRelay(), HTTP: n.GetHttp(), Leaf: leaf, Dials: unreachable != "",
	}
}

func joiner(event *messages.ListenerJoined) Member {
	m := member(event.GetNode(), event.GetLeaf(), event.GetUnreachable())
	m.Seed, m.FedBy, m.Address = event.GetSeed(), event.GetFedBy(), event.GetAddress()
	m.Since, m.Feed = event.GetAtUnixUs(), feed(event.GetFeed())
	return m
}

// feed is how many listeners a node offers to feed, as its Member has it.
func feed(offers uint32) int {
	if offers <= 1 {
		return 0
	}
	return int(min(offers, messages.MaxFeed))
}

// Node returns the member as others are told of it.
func (m Member) Node() *messages.Node {
	return &messages.Node{Id: m.ID, Name: m.Name, Relay: m.Relay, Dials: m.Dials}
}
