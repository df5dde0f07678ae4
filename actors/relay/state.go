package relay

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
	// Event is the server's event that Ancestors follow from.
	Event uint64 `json:"event"`
	// Upstream feeds this node; nil while none does.
	Upstream *Link `json:"upstream"`
	// Seeking are the ancestors that were asked and have not answered, in that order.
	Seeking []Link `json:"seeking"`
	// Tried are the ids that were asked in this search in vain, Dead those that failed
	// while they fed this node, or were left for one further up: they are not asked again
	// while the server lists them, unless all else has failed or some time has passed.
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
	// Searches counts those that found nobody, in a row. Who feeds for a moment only is
	// no find: a server that takes in and hangs up is not hammered.
	Searches uint32 `json:"searches"`
	// Least is the smallest number that was offered in this search by those who no longer
	// have the one needed next, 0 if nobody did; Resigned counts the rounds that ended so.
	Least    uint64 `json:"least"`
	Resigned uint32 `json:"resigned"`
}

const (
	// steady is how long an upstream feeds before it counts as found, and how long after
	// a search that ended with a hole the holes are not looked for elsewhere again.
	steady = 2_000_000 // microseconds
	// sameHole is how many items the oldest one kept may have moved on while all were
	// asked: some three seconds.
	sameHole = 32
)

// Node is an ancestor.
type Node struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Relay string `json:"relay"`
	Dials bool   `json:"dials,omitempty"` // it cannot be reached: it dials this node
}

// maxLiars bounds State: more than so many liars above one node, and the oldest gets
// another chance to be caught.
const maxLiars = 16

// Link is a connection to an ancestor.
type Link struct {
	Number uint64 `json:"number"`
	Node   Node   `json:"node"`
}

var server = Node{ID: messages.ServerID, Name: messages.ServerID}

// Decide says what follows from cmd. What an old link or an old timer says yields nothing.
func (s State) Decide(cmd proto.Message) []proto.Message {
	switch cmd := cmd.(type) {
	case *messages.StartNode:
		return []proto.Message{&messages.NodeStarted{Node: cmd.GetNode(), Server: cmd.GetServer(), AtUnixUs: cmd.GetAtUnixUs()}}
	case *messages.Neighbours:
		return s.assign(cmd)
	case *messages.LinkOpened:
		return s.opened(cmd)
	case *messages.LinkClosed:
		return s.closed(cmd)
	case *messages.SearchOn:
		return s.searchOn(cmd)
	case *messages.UpstreamOffered:
		return s.offered(cmd)
	}
	return nil
}

func (s State) assign(cmd *messages.Neighbours) []proto.Message {
	if cmd.GetEvent() < s.Event {
		return nil
	}
	var above []*messages.Node
	for _, n := range cmd.GetAncestors() {
		if n.GetId() != cmd.GetId() && len(above) < messages.Ancestors {
			above = append(above, n)
		}
	}
	d := deciding{s: s}
	d.add(&messages.UpstreamsAssigned{Ancestors: above, Event: cmd.GetEvent()})
	// A search under way goes on at its own pace, unless there is somebody nearer now.
	if node, found := d.s.candidate(false); found {
		d.ask(node, 0)
	} else if d.s.Upstream == nil && len(d.s.Seeking) == 0 {
		d.exhaust(0)
	}
	return d.events
}

func (s State) opened(cmd *messages.LinkOpened) []proto.Message {
	link, seeking := s.seeking(cmd.GetLink())
	if !seeking {
		return nil
	}
	missing := uint64(0)
	if cmd.GetAsked() > 0 && cmd.GetFirst() > cmd.GetAsked() {
		missing = cmd.GetFirst() - cmd.GetAsked()
	}
	d := deciding{s: s}
	if missing > 0 && !s.accepts(cmd.GetFirst()) { // perhaps another has it
		d.add(&messages.UpstreamUnusable{
			Link: link.Number, Node: link.Node.message(), Hole: true, First: cmd.GetFirst(),
			Reason: "it no longer has what is needed next", AtUnixUs: cmd.GetAtUnixUs(),
		})
		d.seekOrExhaust(cmd.GetAtUnixUs())
		return d.events
	}
	connected := &messages.UpstreamConnected{
		Link: link.Number, Node: link.Node.message(), Missing: missing,
		AtUnixUs: cmd.GetAtUnixUs(), BufferedUs: cmd.GetBufferedUs(),
	}
	if s.LostAt > 0 {
		connected.SearchUs = max(1, cmd.GetAtUnixUs()-s.LostAt)
	}
	d.add(connected)
	return d.events
}

func (s State) closed(cmd *messages.LinkClosed) []proto.Message {
	d := deciding{s: s}
	link, seeking := s.seeking(cmd.GetLink())
	switch {
	case s.Upstream != nil && s.Upstream.Number == cmd.GetLink():
		d.add(&messages.UpstreamLost{
			Link: cmd.GetLink(), Node: s.Upstream.Node.message(), Reason: cmd.GetReason(),
			Leaving: cmd.GetLeaving(), Hole: cmd.GetHole(), Own: cmd.GetOwn(), Fault: cmd.GetFault(),
			AtUnixUs: cmd.GetAtUnixUs(),
		})
	case seeking:
		d.add(&messages.UpstreamUnusable{
			Link: link.Number, Node: link.Node.message(), Reason: cmd.GetReason(),
			Hole: cmd.GetHole(), Own: cmd.GetOwn(), Fault: cmd.GetFault(), AtUnixUs: cmd.GetAtUnixUs(),
		})
	default:
		return nil
	}
	d.seekOrExhaust(cmd.GetAtUnixUs())
	return d.events
}

func (s State) searchOn(cmd *messages.SearchOn) []proto.Message {
	if cmd.GetLink() != s.Links {
		return nil
	}
	d := deciding{s: s}
	switch {
	case s.Upstream == nil:
		d.seek(cmd.GetAtUnixUs())
	case len(s.Seeking) > 0: // one question at a time
	case cmd.GetStarving():
		if node, found := s.other(); found {
			d.ask(node, cmd.GetAtUnixUs())
		} else if len(s.Tried)+len(s.Dead) > 0 { // nobody has any music: begin again at the next time
			d.add(&messages.SearchExhausted{Searches: s.Searches, AtUnixUs: cmd.GetAtUnixUs()})
		}
	case cmd.GetNearer():
		if node, found := s.nearest(); found {
			d.ask(node, cmd.GetAtUnixUs())
		}
	}
	return d.events
}

// offered takes the offer of an ancestor that must dial, if it stands before the present
// upstream.
func (s State) offered(cmd *messages.UpstreamOffered) []proto.Message {
	id := cmd.GetNode().GetId()
	for _, node := range s.Ancestors {
		switch {
		case s.feeds(node):
			return nil
		case node.ID != id:
		case !node.Dials || s.shuns(id) || s.asks(id):
			return nil
		default:
			return []proto.Message{&messages.UpstreamSought{
				Link: s.Links + 1, Node: node.message(), AtUnixUs: cmd.GetAtUnixUs(), Offered: true,
			}}
		}
	}
	return nil
}

// deciding gathers events and the state that they lead to.
type deciding struct {
	s      State
	events []proto.Message
}

func (d *deciding) add(event proto.Message) {
	d.events = append(d.events, event)
	d.s = d.s.Apply(event)
}

func (d *deciding) ask(node Node, at int64) {
	d.add(&messages.UpstreamSought{Link: d.s.Links + 1, Node: node.message(), AtUnixUs: at})
}

// seek asks the best ancestor not asked yet, if it is better than who feeds now.
func (d *deciding) seek(at int64) {
	if node, found := d.s.candidate(true); found {
		d.ask(node, at)
	}
}

// seekOrExhaust seeks on, and gives up for a while when nobody is left to answer.
func (d *deciding) seekOrExhaust(at int64) {
	d.seek(at)
	if d.s.Upstream == nil && len(d.s.Seeking) == 0 {
		d.exhaust(at)
	}
}

func (d *deciding) exhaust(at int64) {
	d.add(&messages.SearchExhausted{Searches: d.s.Searches + 1, AtUnixUs: at})
}

func (s State) seeking(number uint64) (Link, bool) {
	at := slices.IndexFunc(s.Seeking, func(l Link) bool { return l.Number == number })
	if at < 0 {
		return Link{}, false
	}
	return s.Seeking[at], true
}

// Apply returns the state after event. It never refuses: event is already true.
func (s State) Apply(event proto.Message) State {
	switch event := event.(type) {
	case *messages.NodeStarted:
		return State{Links: s.Links} // a link's number is never used again
	case *messages.UpstreamsAssigned:
		return s.assigned(event)
	case *messages.UpstreamSought:
		s.Links = event.GetLink()
		s.Seeking = append(slices.Clip(s.Seeking), Link{event.GetLink(), node(event.GetNode())})
	case *messages.UpstreamConnected:
		if up := s.Upstream; up != nil && up.Node.ID != messages.ServerID && !s.prefers(node(event.GetNode())) {
			s.Dead = with(s.Dead, up.Node.ID)
		}
		s.Dead = without(s.Dead, event.GetNode().GetId())
		s.Upstream = &Link{event.GetLink(), node(event.GetNode())}
		s.Seeking, s.Tried = nil, nil
		s.LostAt, s.ConnectedAt, s.Least = 0, event.GetAtUnixUs(), 0
	case *messages.UpstreamLost:
		return s.lost(event)
	case *messages.UpstreamUnusable:
		s.Seeking = slices.DeleteFunc(slices.Clone(s.Seeking), func(l Link) bool { return l.Number == event.GetLink() })
		if !event.GetOwn() {
			s.Tried = with(s.Tried, event.GetNode().GetId())
		}
		if first := event.GetFirst(); first > 0 && s.Upstream == nil && (s.Least == 0 || first < s.Least) {
			s.Least = first
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
		s.Ancestors = append(s.Ancestors, node(n))
	}
	s.Event = event.GetEvent()
	s.Tried = nil
	above := s.above()
	s.Dead = slices.DeleteFunc(slices.Clone(s.Dead), func(id string) bool {
		return !slices.ContainsFunc(above, func(n Node) bool { return n.ID == id })
	})
	// Who was asked under an address that it no longer has will not answer; while
	// another feeds, only ancestors are waited for.
	s.Seeking = slices.DeleteFunc(slices.Clone(s.Seeking), func(l Link) bool {
		at := slices.IndexFunc(above, func(n Node) bool { return n.ID == l.Node.ID })
		return at < 0 && s.Upstream != nil || at >= 0 && !above[at].same(l.Node)
	})
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
	case event.GetOwn():
	case id != messages.ServerID:
		s.Dead = with(s.Dead, id)
		if event.GetFault() == messages.Fault_FAULT_LYING && !slices.Contains(s.Liars, id) {
			s.Liars = with(s.Liars[max(0, len(s.Liars)+1-maxLiars):], id)
		}
	case unsteady || event.GetHole(): // otherwise the server is asked again at once
		s.Dead = with(s.Dead, id)
	}
	return s
}

// with is ids with id in it, once.
func with(ids []string, id string) []string {
	if slices.Contains(ids, id) {
		return ids
	}
	return append(slices.Clip(ids), id)
}

// without is ids with no id in it.
func without(ids []string, id string) []string {
	if !slices.Contains(ids, id) {
		return ids
	}
	return slices.DeleteFunc(slices.Clone(ids), func(other string) bool { return other == id })
}

// MarshalJSON writes empty lists as [], whatever way they became empty: the same
// state is the same bytes.
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

func node(n *messages.Node) Node {
	return Node{ID: n.GetId(), Name: n.GetName(), Relay: n.GetRelay(), Dials: n.GetDials()}
}

func (n Node) message() *messages.Node {
	return &messages.Node{Id: n.ID, Name: n.Name, Relay: n.Relay, Dials: n.Dials}
}

func (n Node) same(other Node) bool {
	return n.ID == other.ID && n.Relay == other.Relay
}
