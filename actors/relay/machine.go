package relay

import (
	"errors"
	"fmt"
	"time"

	"conga/actors/relay/search"
	"conga/actors/window"
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// machine is all that a relay decides: whom it asks for the music, what it takes of it, when it
// leaves who feeds it, and whom it accuses of what. It reads no clock, throws no dice and does
// nothing outside itself but append to its window: every input says what time it is, and what
// follows is left in out. (etcd-io/raft is built like this.)
//
// What the log keeps is in state. The rest begins anew with the relay; what it has counted, and
// the window, are its owner's.
type machine struct {
	flow  flow
	tally *Tally
	epoch uint64 // as the server said last

	state   search.State
	arrival arrival
	rounds  rounds
	waiting map[uint64]*opening    // those that answered while another feeds, by their link's number
	lost    *messages.UpstreamLost // since then the relay searches; nil while it is fed
	now     moment
	ticket  uint64 // of the offer that a decision is about
	out     out
}

func newMachine(w *window.Window, chunk func([]byte) error, tally *Tally) machine {
	return machine{flow: flow{window: w, chunk: chunk, tally: tally}, tally: tally, waiting: map[uint64]*opening{}}
}

// moment is a point in time.
type moment struct {
	own    time.Time // on this node's clock
	server int64     // on the server's, in unix microseconds
}

// at begins an input: m is told what time it is.
func (m *machine) at(now moment) {
	m.now = now
	m.arrival.runs(now.own)
}

// start begins with what the log and the window have, and what the server said last, if it said
// anything; links of a life before this one are gone, and nobody is to blame for that.
func (m *machine) start(state search.State, welcome *messages.Welcome, above *messages.Neighbours) {
	m.state = state
	m.epoch = welcome.GetEpoch()
	m.flow.resync(welcome)
	m.closeAll("the relay was restarted")
	// A search that found nobody has lost its timer, and a ring its oldest events.
	if above != nil {
		m.neighbours(above)
	}
}

// neighbours takes the server's word about who is above and below.
func (m *machine) neighbours(msg *messages.Neighbours) {
	m.decide(msg)
	if m.state.Knows(msg) {
		return
	}
	m.rounds.climbs = 0
	m.effect(offer{offered(msg)})
	if m.state.Upstream == nil && len(m.state.Seeking) > 0 && !m.rounds.searching {
		m.searchAfter(patience, false) // there may be somebody new behind who was asked
	}
}

// offered is whom this node must dial because it cannot be reached itself, or nil.
func offered(n *messages.Neighbours) *messages.Node {
	if !n.GetOffer() {
		return nil
	}
	return n.GetDownstream()
}

// offeredBy takes, or not, the connection that an ancestor has made.
func (m *machine) offeredBy(node *messages.Node, ticket uint64) {
	m.ticket = ticket
	m.decide(&messages.UpstreamOffered{Node: node, AtUnixUs: m.now.server})
	if m.ticket > 0 {
		m.effect(refuse{ticket})
		m.ticket = 0
	}
}

// searchOn goes on with a search whose timer is over.
func (m *machine) searchOn(msg *messages.SearchOn) {
	m.rounds.searching = false
	msg.AtUnixUs = m.now.server
	m.decide(msg)
}

func (m *machine) searchAfter(wait time.Duration, jitter bool) {
	m.rounds.searching = true
	m.effect(searchAfter{wait, jitter})
}

// closed goes on without the link. If this node stood still, its upstream could not but hang
// up: it is asked again first.
func (m *machine) closed(cmd *messages.LinkClosed) {
	cmd.AtUnixUs = m.now.server
	if m.feeds(cmd.GetLink()) && m.arrival.excused(m.now.own) && cmd.GetEnding() == messages.Ending_ENDING_FAULT && cmd.GetFault() != messages.Fault_FAULT_LYING {
		cmd.Ending, cmd.Fault = messages.Ending_ENDING_OWN, messages.Fault_FAULT_UNSPECIFIED
	}
	m.decide(cmd)
	m.fallBack()
}

// item is the way of the music. Only the link that feeds this node counts, and those on trial.
// sent is when the upstream sent it, by the server's clock; 0: it does not say.
func (m *machine) item(link uint64, item *messages.Item, sent int64) {
	if o := m.waiting[link]; o != nil {
		m.waited(o, item, sent)
	} else if m.feeds(link) {
		m.arrival.stamped(sent, m.now.server)
		m.pass(link, item)
	}
}

// pass puts an item into the window.
func (m *machine) pass(link uint64, item *messages.Item) {
	before := m.tally.received
	err := m.flow.take(item, m.now.server, m.state.Tolerates(m.now.server))
	if m.tally.received > before {
		m.rounds.hungers = 0
		m.arrival.music(m.now.own, m.now.server, item.PlayAt())
		m.tally.margin.arrived(item.PlayAt(), m.now.server)
	}
	m.judge(link, err)
}

// seal takes what vouches for the items that come next.
func (m *machine) seal(link uint64, seal *messages.Seal) {
	if o := m.waiting[link]; o != nil {
		o.keepSeal(seal)
	} else if m.feeds(link) {
		m.judge(link, m.flow.vouch(seal))
	}
}

// judge cuts a link that sent what the server did not, or not what is needed.
func (m *machine) judge(link uint64, err error) {
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

func (m *machine) feeds(link uint64) bool {
	return m.state.Upstream != nil && m.state.Upstream.Number == link
}

// decide applies what follows from cmd, which is to be in the log BEFORE its effects are
// carried out.
func (m *machine) decide(cmd proto.Message) {
	events := m.state.Decide(cmd)
	if len(events) == 0 {
		return
	}
	m.out.commands = append(m.out.commands, cmd)
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

func (m *machine) happened(event proto.Message) {
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

// sought asks somebody for the music, on its own connection if it has made one.
func (m *machine) sought(event *messages.UpstreamSought) {
	ask := dial{sought: event, open: &messages.OpenStream{
		Version: messages.DialectVersion, Next: m.flow.next,
		PlayAtUnixUs: m.now.server + messages.JoinAhead.Microseconds(), Epoch: m.epoch,
		Upstream: event.GetNode().GetId(), Holes: event.GetHoles(),
	}}
	if event.GetOffered() {
		ask.ticket, m.ticket = m.ticket, 0
	}
	m.effect(ask)
	m.searchAfter(patience, false)
}

// fedBy begins with another upstream.
func (m *machine) fedBy(event *messages.UpstreamConnected) {
	m.rounds.fed(m.now.own)
	m.effect(searchNoMore{})
	m.arrival.fed(m.now.own)
	m.flow.link()
	m.tally.connected++
	m.tally.longest = max(m.tally.longest, time.Duration(event.GetSearchUs())*time.Microsecond)
	if m.lost == nil {
		return
	}
	m.effect(tell{&messages.Reconnected{
		Upstream: event.GetNode(), Lost: m.lost.GetNode(), Reason: m.lost.GetReason(),
		SearchUs: event.GetSearchUs(), Missing: event.GetMissing(),
		BufferedUs: event.GetBufferedUs(), AtUnixUs: event.GetAtUnixUs(),
	}})
	if m.lost.GetEnding() == messages.Ending_ENDING_HOLE && event.GetMissing() == 0 { // others have what it left out
		m.accuse(search.NodeOf(m.lost.GetNode()), messages.Fault_FAULT_SKIPPING, m.lost.GetReason())
	}
	m.lost = nil
}

// accuse tells the server of a node above that does not do its part. Who stood still a moment
// ago cannot tell its own faults from others', except for a lie.
func (m *machine) accuse(node search.Node, fault messages.Fault, reason string) {
	if fault == messages.Fault_FAULT_UNSPECIFIED || node.ID == messages.ServerID {
		return
	}
	if fault != messages.Fault_FAULT_LYING && m.arrival.excused(m.now.own) {
		return
	}
	m.effect(tell{&messages.PeerLost{Id: node.ID, Fault: fault, Reason: reason, AtUnixUs: m.now.server}})
}

// opened takes an ancestor's answer.
func (m *machine) opened(number uint64, answer *messages.StreamOpened) {
	link, seeking := m.state.Sought(number)
	if !seeking {
		return
	}
	// Only the server itself can be of an older broadcast. A node above may not have
	// heard of the server's restart yet; its music is as good as ever.
	if epoch := answer.GetEpoch(); link.Node.ID == messages.ServerID && epoch < m.epoch {
		m.closed(&messages.LinkClosed{Link: number, Reason: fmt.Sprintf(
			"it is still in epoch %d of the broadcast, now is %d", epoch, m.epoch)})
		return
	}
	o := &opening{
		link: number, answer: answer, sent: answer.GetAtUnixUs(), newest: answer.GetNewest(),
		late: link.Late(), since: m.now.own,
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

// connect makes the link the one that feeds, if first leaves no hole.
func (m *machine) connect(o *opening, first uint64) {
	before, hungry, late := m.state.Upstream, m.arrival.hungry(m.now.own), m.arrival.late()
	whole := first > 0 && first <= m.flow.next // others had meanwhile all that was missed here
	delete(m.waiting, o.link)
	m.decide(&messages.LinkOpened{
		Link: o.link, Asked: m.flow.next, First: first, Newest: o.newest, Epoch: o.answer.GetEpoch(),
		AtUnixUs: m.now.server, BufferedUs: m.buffered(), StarvedUs: m.arrival.starved(m.now.own).Microseconds(),
	})
	if !m.feeds(o.link) {
		return
	}
	m.rounds.epoch = o.answer.GetEpoch()
	m.arrival.stamped(o.sent, m.now.server)
	switch {
	case before == nil || !whole:
	case hungry:
		m.accuse(before.Node, messages.Fault_FAULT_STARVING, "it sends no music, others do")
	case late && m.now.own.Sub(m.rounds.blamed) >= blameless:
		m.rounds.blamed = m.now.own
		m.accuse(before.Node, messages.Fault_FAULT_SLOW, "its music comes late, others have it in time")
	}
	for _, k := range o.kept {
		switch {
		case !m.feeds(o.link): // it was no good
		case k.seal != nil:
			m.seal(o.link, k.seal)
		default:
			m.pass(o.link, k.item)
		}
	}
}

// buffered is what the node still has to play, in microseconds.
func (m *machine) buffered() int64 {
	last := m.flow.window.Last()
	if last == nil {
		return 0
	}
	return last.PlayAt() - m.now.server
}
