// Package machine makes all decisions of a relay: whom it asks for the music, which items it takes, when it
// leaves its upstream, and whom it accuses of what. It reads no clock, uses no random numbers and does
// no I/O. Every input comes with the time, and the results are commands for the log and effects for the
// actor, as in etcd-io/raft. Its stories are in testdata.
package machine

import (
	"errors"
	"fmt"
	"time"

	"conga/actors/relay/search"
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// Machine is a relay's whole state. The log keeps what is in state. The rest begins anew with each relay,
// except tally, which belongs to the relay's owner.
type Machine struct {
	flow  flow
	tally *Tally
	epoch uint64 // as the server said last

	state   search.State
	arrival arrival
	rounds  rounds
	waiting map[uint64]*opening    // links that answered while another feeds, by number
	lost    *messages.UpstreamLost // the loss since which the relay searches; nil while it is fed
	now     Moment
	ticket  uint64 // of the offer that is being decided on
	out     Out
}

// New returns a machine that counts in tally. chunk checks the content of a chunk; nil: it must be mp3 frames.
func New(chunk func(frames []byte) error, tally *Tally) *Machine {
	return &Machine{flow: flow{chunk: chunk, tally: tally}, tally: tally, waiting: map[uint64]*opening{}}
}

// Moment is a point in time.
type Moment struct {
	Own    time.Time // on this node's clock
	Server int64     // on the server's, in unix microseconds
}

// The machine's own inputs; the others are messages.
type (
	// Begin is the first input: what the log and the window have, and the server's last messages.
	Begin struct {
		State   search.State
		Next    uint64               // the number that the window needs next; 0: it never had an item
		Last    *messages.Item       // the window's newest; may be nil
		Welcome *messages.Welcome    // nil: none yet
		Above   *messages.Neighbours // nil: none yet
	}
	// Look makes the machine judge how the music comes; it is due every Glance.
	Look struct{}
)

// Step takes an input: one of the above, or a message of the server, a link or the stream port. It returns
// what follows from it.
func (m *Machine) Step(now Moment, input any) Out {
	m.now = now
	m.arrival.runs(now.Own)
	switch msg := input.(type) {
	case Begin:
		m.begin(msg)
	case Look:
		m.look()
	case *messages.Welcome:
		m.welcome(msg)
	case *messages.ServerAway:
		m.arrival.serverAway(m.now.Own, m.now.Server)
	case *messages.Neighbours:
		m.neighbours(msg)
	case *messages.StreamOffered:
		m.offeredBy(msg.Node, msg.Ticket)
	case *messages.SearchOn:
		m.searchOn(msg)
	case *messages.UpstreamOpened:
		m.opened(msg.Link, msg.Answer)
	case *messages.UpstreamItem:
		m.item(msg.Link, msg.Item, msg.SentUs)
	case *messages.UpstreamSeal:
		m.seal(msg.Link, msg.Seal)
	case *messages.UpstreamLeaving:
		m.closed(&messages.LinkClosed{Link: msg.Link, Reason: "it leaves", Ending: messages.Ending_ENDING_LEAVING})
	case *messages.UpstreamClosed:
		m.closed(&messages.LinkClosed{Link: msg.Link, Reason: msg.Reason, Fault: msg.Fault})
	}
	out := m.out
	m.out = Out{}
	return out
}

// Return gives back the memory of effects that are carried out, for the next ones.
func (m *Machine) Return(effects []Effect) {
	clear(effects)
	m.out.Effects = effects[:0]
}

// Needs reports whether the link feeds this node, or was asked and has not answered.
func (m *Machine) Needs(link uint64) bool {
	_, seeking := m.state.Sought(link)
	return seeking || m.feeds(link)
}

// begin continues from where the log, the window and the server are. The links of an earlier relay are
// gone, without anybody's fault.
func (m *Machine) begin(at Begin) {
	m.state = at.State
	m.epoch = at.Welcome.GetEpoch()
	if m.flow.resync(at.Next, at.Last, at.Welcome) {
		m.effect(BegunAnew{})
	}
	m.closeAll("the relay was restarted")
	// Decide on the neighbours again: a search has lost its timer, and the log, a ring, may have lost its
	// oldest events.
	if at.Above != nil {
		m.neighbours(at.Above)
	}
}

// neighbours takes the server's message about the nodes above and below.
func (m *Machine) neighbours(msg *messages.Neighbours) {
	m.decide(msg)
	if m.state.Knows(msg) {
		return
	}
	m.rounds.climbs = 0
	m.effect(Offer{offered(msg)})
	if m.state.Upstream == nil && len(m.state.Seeking) > 0 && !m.rounds.searching {
		m.searchAfter(Patience, false) // there may be new ancestors after the one that was asked
	}
}

// offered returns the listener that this node must dial because it cannot be reached itself, or nil.
func offered(n *messages.Neighbours) *messages.Node {
	if !n.GetOffer() {
		return nil
	}
	return n.GetDownstream()
}

// offeredBy decides on a connection that an ancestor has made.
func (m *Machine) offeredBy(node *messages.Node, ticket uint64) {
	m.ticket = ticket
	m.decide(&messages.UpstreamOffered{Node: node, AtUnixUs: m.now.Server})
	if m.ticket > 0 {
		m.effect(Refuse{ticket})
		m.ticket = 0
	}
}

// searchOn continues a search after its timer. If that comes late, this node is too slow to tell that an ancestor is: it
// gives it the time again. On a busy machine, hundreds of nodes would otherwise ask all their ancestors, and make it busier.
func (m *Machine) searchOn(msg *messages.SearchOn) {
	if m.rounds.tooSlow(m.now.Own) && len(m.state.Seeking) > 0 {
		m.searchAfter(Patience, false)
		return
	}
	m.rounds.searching = false
	msg.AtUnixUs = m.now.Server
	m.decide(msg)
}

func (m *Machine) searchAfter(wait time.Duration, jitter bool) {
	m.rounds.searching, m.rounds.due = true, m.now.Own.Add(wait)
	m.effect(SearchAfter{wait, jitter, m.state.Links})
}

// closed goes on without the link. If this node stood still, its upstream had to close the connection, so
// it is not blamed and can be asked again.
func (m *Machine) closed(cmd *messages.LinkClosed) {
	cmd.AtUnixUs = m.now.Server
	if m.feeds(cmd.GetLink()) && m.arrival.excused(m.now.Own) && cmd.GetEnding() == messages.Ending_ENDING_FAULT && cmd.GetFault() != messages.Fault_FAULT_LYING {
		cmd.Ending, cmd.Fault = messages.Ending_ENDING_OWN, messages.Fault_FAULT_UNSPECIFIED
	}
	m.decide(cmd)
	m.fallBack()
}

// item takes an item. Only the link that feeds this node counts, and those on trial. sent is when the
// upstream sent it, on the server's clock; 0: not known.
func (m *Machine) item(link uint64, item *messages.Item, sent int64) {
	if o := m.waiting[link]; o != nil {
		m.waited(o, item, sent)
	} else if m.feeds(link) {
		m.arrival.stamped(sent, m.now.Server)
		m.pass(link, item)
	}
}

// pass puts an item into the window.
func (m *Machine) pass(link uint64, item *messages.Item) {
	before := m.tally.received
	err := m.flow.take(item, m.now.Server, m.state.Tolerates(m.now.Server))
	if m.tally.received > before {
		m.rounds.hungers = 0
		m.effect(Pass{item})
		m.arrival.music(m.now.Own, m.now.Server, item)
		m.tally.margin.arrived(item, m.now.Server)
	}
	m.judge(link, err)
}

// seal takes the seal of the items that come next.
func (m *Machine) seal(link uint64, seal *messages.Seal) {
	if o := m.waiting[link]; o != nil {
		o.keepSeal(seal)
	} else if m.feeds(link) {
		m.judge(link, m.flow.vouch(seal))
	}
}

// judge closes a link that sent what the server did not, or not what is needed.
func (m *Machine) judge(link uint64, err error) {
	switch {
	case err == nil:
	case errors.Is(err, errAnew) && m.flow.seal.GetEpoch() >= m.epoch:
		m.flow.restart(m.flow.seal.GetEpoch())
		m.begunAnew()
	case errors.Is(err, errLie):
		m.tally.lies++
		m.closed(&messages.LinkClosed{Link: link, Reason: err.Error(), Fault: messages.Fault_FAULT_LYING})
	default:
		m.closed(&messages.LinkClosed{Link: link, Reason: err.Error(), Ending: messages.Ending_ENDING_HOLE})
	}
}

func (m *Machine) feeds(link uint64) bool {
	return m.state.Upstream != nil && m.state.Upstream.Number == link
}

// decide applies the events that follow from cmd. cmd must be in the log before the effects are carried
// out.
func (m *Machine) decide(cmd proto.Message) {
	events := m.state.Decide(cmd)
	if len(events) == 0 {
		return
	}
	m.out.Commands = append(m.out.Commands, cmd)
	for _, event := range events {
		m.state = m.state.Apply(event)
	}
	for _, event := range events {
		m.happened(event)
	}
	for number := range m.waiting {
		if _, seeking := m.state.Sought(number); !seeking {
			delete(m.waiting, number)
		}
	}
}

func (m *Machine) happened(event proto.Message) {
	switch event := event.(type) {
	case *messages.UpstreamSought:
		m.sought(event)
	case *messages.UpstreamConnected:
		m.fedBy(event)
	case *messages.UpstreamLost:
		m.lost = event
		m.accuse(search.NodeOf(event.GetNode()), event.GetFault(), event.GetReason())
	case *messages.UpstreamUnusable:
		m.accuse(search.NodeOf(event.GetNode()), event.GetFault(), event.GetReason())
	case *messages.SearchExhausted:
		m.exhausted(event)
	}
}

// sought asks an ancestor for the music, on the ancestor's connection if it has made one.
func (m *Machine) sought(event *messages.UpstreamSought) {
	ask := Dial{Sought: event, Open: &messages.OpenStream{
		Version: messages.DialectVersion, Next: m.flow.next,
		PlayAtUnixUs: m.now.Server + messages.JoinAhead.Microseconds(), Epoch: m.epoch,
		Upstream: event.GetNode().GetId(), Holes: event.GetHoles(), Fed: m.state.Upstream != nil,
	}}
	if event.GetOffered() {
		ask.Ticket, m.ticket = m.ticket, 0
	}
	m.effect(ask)
	m.searchAfter(Patience, false)
}

// fedBy starts with another upstream.
func (m *Machine) fedBy(event *messages.UpstreamConnected) {
	m.rounds.fed(m.now.Own)
	m.effect(SearchNoMore{})
	m.arrival.fed(m.now.Own)
	m.flow.link()
	m.tally.connected++
	m.tally.longest = max(m.tally.longest, time.Duration(event.GetSearchUs())*time.Microsecond)
	if m.lost == nil {
		return
	}
	m.effect(Tell{&messages.Reconnected{
		Upstream: event.GetNode(), Lost: m.lost.GetNode(), Reason: m.lost.GetReason(),
		SearchUs: event.GetSearchUs(), Missing: event.GetMissing(),
		BufferedUs: event.GetBufferedUs(), AtUnixUs: event.GetAtUnixUs(),
	}})
	if m.lost.GetEnding() == messages.Ending_ENDING_HOLE && event.GetMissing() == 0 { // others have what it left out
		m.accuse(search.NodeOf(m.lost.GetNode()), messages.Fault_FAULT_SKIPPING, m.lost.GetReason())
	}
	m.lost = nil
}

// accuse reports a node above to the server. A node that stood still a moment ago accuses nobody, because
// it cannot tell its own faults from others', except for a lie.
func (m *Machine) accuse(node search.Node, fault messages.Fault, reason string) {
	if fault == messages.Fault_FAULT_UNSPECIFIED || node.ID == messages.ServerID {
		return
	}
	if fault != messages.Fault_FAULT_LYING && m.arrival.excused(m.now.Own) {
		return
	}
	m.effect(Tell{&messages.PeerLost{Id: node.ID, Fault: fault, Reason: reason, AtUnixUs: m.now.Server}})
}

// opened takes an ancestor's answer.
func (m *Machine) opened(number uint64, answer *messages.StreamOpened) {
	link, seeking := m.state.Sought(number)
	if !seeking {
		return
	}
	// Only the server itself can be too old. A node above may not have heard of the server's
	// restart yet, but its music is still valid.
	if epoch := answer.GetEpoch(); link.Node.ID == messages.ServerID && epoch < m.epoch {
		m.closed(&messages.LinkClosed{Link: number, Reason: fmt.Sprintf(
			"it is still in epoch %d of the broadcast, which is in epoch %d now", epoch, m.epoch)})
		return
	}
	o := &opening{
		link: number, answer: answer, sent: answer.GetAtUnixUs(), newest: answer.GetNewest(),
		late: link.Late(), since: m.now.Own,
	}
	switch {
	case m.state.Upstream != nil && o.late && answer.GetFirst() <= m.flow.next:
		m.waiting[number] = o
	case m.state.Upstream == nil || answer.GetFirst() > 0:
		m.connect(o, answer.GetFirst())
	case m.state.Prefers(link.Node):
		o.sent = 0
		m.waiting[number] = o
	default: // it was asked because the upstream has none
		m.closed(&messages.LinkClosed{Link: number, Ending: messages.Ending_ENDING_EMPTY, Reason: "it has no music either"})
	}
}

// connect makes the link the one that feeds, if it can begin with first without a hole.
func (m *Machine) connect(o *opening, first uint64) {
	before, hungry, late := m.state.Upstream, m.arrival.hungry(m.now.Own), m.arrival.late()
	whole := first > 0 && first <= m.flow.next // it has all that is missing here
	delete(m.waiting, o.link)
	m.decide(&messages.LinkOpened{
		Link: o.link, Asked: m.flow.next, First: first, Newest: o.newest, Epoch: o.answer.GetEpoch(),
		AtUnixUs: m.now.Server, BufferedUs: m.buffered(), StarvedUs: m.arrival.starved(m.now.Own).Microseconds(),
	})
	if !m.feeds(o.link) {
		return
	}
	m.rounds.epoch = o.answer.GetEpoch()
	m.arrival.stamped(o.sent, m.now.Server)
	switch {
	case before == nil || !whole:
	case hungry:
		m.accuse(before.Node, messages.Fault_FAULT_STARVING, "it sends no music, but others do")
	case late && m.now.Own.Sub(m.rounds.blamed) >= blameless:
		m.rounds.blamed = m.now.Own
		m.accuse(before.Node, messages.Fault_FAULT_SLOW, "its music comes late, but others have it in time")
	}
	for _, k := range o.kept {
		switch {
		case !m.feeds(o.link): // an item before was bad
		case k.seal != nil:
			m.seal(o.link, k.seal)
		default:
			m.pass(o.link, k.item)
		}
	}
}

// buffered returns how much music the node still has to play, in microseconds.
func (m *Machine) buffered() int64 {
	if m.flow.newest == nil {
		return 0
	}
	return m.flow.newest.PlayAt() - m.now.Server
}
