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
	// Tried are the ids that were asked in this search in vain, Dead those that
	// failed while they fed this node: they are not asked again while the server lists
	// them, unless all else has failed.
	Tried []string `json:"tried"`
	Dead  []string `json:"dead"`
	// Liars are the ids that sent what the server did not: they are never asked again.
	Liars []string `json:"liars"`
	// Links counts the connections ever tried.
	Links uint64 `json:"links"`
	// LostAt is when the upstream was lost, in unix microseconds; 0 while one feeds.
	LostAt int64 `json:"lostAtUnixUs"`
	// Searches counts those that found nobody, in a row.
	Searches uint32 `json:"searches"`
}

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
	d := deciding{s: s}
	d.add(&messages.UpstreamsAssigned{Ancestors: cmd.GetAncestors(), Event: cmd.GetEvent()})
	d.seek(0)
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
	if missing > 0 && s.Searches == 0 { // perhaps another has it; after all were asked, take what there is
		d.add(&messages.UpstreamUnusable{
			Link: link.Number, Node: link.Node.message(), Hole: true,
			Reason: "it no longer has what is needed next", AtUnixUs: cmd.GetAtUnixUs(),
		})
		d.seekOrExhaust(cmd.GetAtUnixUs())
		return d.events
	}
	connected := &messages.UpstreamConnected{
		Link: link.Number, Node: link.Node.message(), Missing: missing, AtUnixUs: cmd.GetAtUnixUs(),
	}
	if s.LostAt > 0 {
		connected.SearchUs = max(1, cmd.GetAtUnixUs()-s.LostAt)
	}
	d.add(connected)
	return d.events
}

func (s State) closed(cmd *messages.LinkClosed) []proto.Message {
	d := deciding{s: s}
	if s.Upstream != nil && s.Upstream.Number == cmd.GetLink() {
		d.add(&messages.UpstreamLost{
			Link: cmd.GetLink(), Node: s.Upstream.Node.message(),
			Reason: cmd.GetReason(), Leaving: cmd.GetLeaving(), Lying: cmd.GetLying(), AtUnixUs: cmd.GetAtUnixUs(),
		})
		d.seekOrExhaust(cmd.GetAtUnixUs())
		return d.events
	}
	link, seeking := s.seeking(cmd.GetLink())
	if !seeking {
		return nil
	}
	d.add(&messages.UpstreamUnusable{
		Link: link.Number, Node: link.Node.message(), Reason: cmd.GetReason(), AtUnixUs: cmd.GetAtUnixUs(),
	})
	d.seekOrExhaust(cmd.GetAtUnixUs())
	return d.events
}

func (s State) searchOn(cmd *messages.SearchOn) []proto.Message {
	if cmd.GetLink() != s.Links || s.Upstream != nil {
		return nil
	}
	d := deciding{s: s}
	d.seek(cmd.GetAtUnixUs())
	return d.events
}

// offered takes the offer of an ancestor that must dial, if it stands before the present
// upstream.
func (s State) offered(cmd *messages.UpstreamOffered) []proto.Message {
	id := cmd.GetNode().GetId()
	for _, node := range s.Ancestors {
		switch {
		case s.Upstream != nil && s.Upstream.Node.same(node):
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

// shuns says whether the node has failed or betrayed this one; asks, whether it is being asked.
func (s State) shuns(id string) bool {
	return slices.Contains(s.Dead, id) || slices.Contains(s.Liars, id)
}

func (s State) asks(id string) bool {
	return slices.ContainsFunc(s.Seeking, func(l Link) bool { return l.Node.ID == id })
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

// seek asks the best ancestor not asked yet, if it is better than who feeds now.
func (d *deciding) seek(at int64) {
	node, found := d.s.candidate()
	if found {
		d.add(&messages.UpstreamSought{Link: d.s.Links + 1, Node: node.message(), AtUnixUs: at})
	}
}

// seekOrExhaust seeks on, and gives up for a while when nobody is left to answer.
func (d *deciding) seekOrExhaust(at int64) {
	d.seek(at)
	if d.s.Upstream == nil && len(d.s.Seeking) == 0 {
		d.add(&messages.SearchExhausted{Searches: d.s.Searches + 1, AtUnixUs: at})
	}
}

// candidate is the nearest ancestor worth asking: it is not dead and has not been
// asked in this search, and it stands before the present upstream. The server comes
// last. Nobody is asked before the server has told the ancestors.
func (s State) candidate() (Node, bool) {
	if s.Event == 0 {
		return Node{}, false
	}
	for _, node := range append(slices.Clip(s.Ancestors), server) {
		switch {
		case s.Upstream != nil && s.Upstream.Node.same(node):
			return Node{}, false
		case node.Dials, slices.Contains(s.Tried, node.ID), s.shuns(node.ID):
		case s.asks(node.ID):
			if s.Upstream != nil {
				return Node{}, false // still fed: no need to race
			}
		default:
			return node, true
		}
	}
	return Node{}, false
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
	case *messages.UpstreamsAssigned:
		s.Ancestors = nil
		for _, n := range event.GetAncestors() {
			s.Ancestors = append(s.Ancestors, node(n))
		}
		s.Event = event.GetEvent()
		s.Tried = nil
		s.Dead = slices.DeleteFunc(slices.Clone(s.Dead), func(id string) bool {
			return !slices.ContainsFunc(s.Ancestors, func(n Node) bool { return n.ID == id })
		})
		s.Seeking = slices.DeleteFunc(slices.Clone(s.Seeking), func(l Link) bool {
			return s.Upstream != nil && !slices.Contains(s.Ancestors, l.Node)
		})
	case *messages.UpstreamSought:
		s.Links = event.GetLink()
		s.Seeking = append(slices.Clip(s.Seeking), Link{event.GetLink(), node(event.GetNode())})
	case *messages.UpstreamConnected:
		s.Upstream = &Link{event.GetLink(), node(event.GetNode())}
		s.Seeking, s.Tried = nil, nil
		s.LostAt, s.Searches = 0, 0
	case *messages.UpstreamLost:
		s.Upstream = nil
		s.LostAt = event.GetAtUnixUs()
		if id := event.GetNode().GetId(); id != messages.ServerID {
			s.Dead = append(slices.Clip(s.Dead), id)
			if event.GetLying() {
				s.Liars = append(slices.Clone(s.Liars[max(0, len(s.Liars)+1-maxLiars):]), id)
			}
		}
	case *messages.UpstreamUnusable:
		s.Seeking = slices.DeleteFunc(slices.Clone(s.Seeking), func(l Link) bool { return l.Number == event.GetLink() })
		s.Tried = append(slices.Clip(s.Tried), event.GetNode().GetId())
	case *messages.SearchExhausted:
		s.Searches = event.GetSearches()
		s.Tried, s.Dead = nil, nil
	}
	return s
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
