package relay

import (
	"cmp"
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
	// Event is the server's event that Ancestors follow from, in the epoch Epoch.
	Event uint64 `json:"event"`
	Epoch uint64 `json:"epoch,omitempty"`
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
	// LeastAt is when it was offered, in unix microseconds.
	Least    uint64 `json:"least"`
	LeastAt  int64  `json:"leastAtUnixUs,omitempty"`
	Resigned uint32 `json:"resigned"`
}

const (
	// steady is how long an upstream feeds before it counts as found, and how long after
	// a search that ended with a hole the holes are not looked for elsewhere again.
	steady = 2_000_000 // microseconds
	// sameHole is how many items the oldest one kept may have moved on while all were
	// asked: some three seconds.
	sameHole = 32
	// famine is how long an upstream may send no music before it counts as none: then a hole
	// that nobody can fill is taken from another.
	famine = 3_000_000 // microseconds
	// sameSearch is how long an offer with a hole is remembered.
	sameSearch = 10_000_000 // microseconds
	// ahead is how many items more than this node has an ancestor must have sent, to be heard
	// instead of an upstream whose music comes late: some 400 ms of music.
	ahead = 4
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
	// Why is what the ancestor was asked for; Holes, whether a hole before the music was, too.
	Why   messages.SearchOn_Why `json:"why,omitempty"`
	Holes bool                  `json:"holes,omitempty"`
}

// late says whether the ancestor is to be heard only if it is ahead of the upstream.
func (l Link) late() bool {
	return l.Why == messages.SearchOn_WHY_LATE || l.Why == messages.SearchOn_WHY_URGENT
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

// knows says whether something newer was told already.
func (s State) knows(told *messages.Neighbours) bool {
	return older(told, &messages.Neighbours{Epoch: s.Epoch, Event: s.Event})
}

// older says whether the server said a before b. A server that was restored from a copy of its log
// counts its events anew from there, but in a later epoch.
func older(a, b *messages.Neighbours) bool {
	return cmp.Or(cmp.Compare(a.GetEpoch(), b.GetEpoch()), cmp.Compare(a.GetEvent(), b.GetEvent())) < 0
}

func (s State) assign(cmd *messages.Neighbours) []proto.Message {
	if s.knows(cmd) {
		return nil
	}
	var above []*messages.Node
	for _, n := range cmd.GetAncestors() {
		if n.GetId() != cmd.GetId() && len(above) < messages.Ancestors {
			above = append(above, n)
		}
	}
	d := deciding{s: s}
	d.add(&messages.UpstreamsAssigned{Ancestors: above, Event: cmd.GetEvent(), Epoch: cmd.GetEpoch()})
	// A search under way goes on at its own pace, unless there is somebody nearer now.
	if node, found := d.s.candidate(false); found {
		d.ask(node, messages.SearchOn_WHY_NEXT, 0)
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
	unusable := &messages.UpstreamUnusable{Link: link.Number, Node: link.Node.message(), AtUnixUs: cmd.GetAtUnixUs()}
	d := deciding{s: s}
	switch {
	case s.Upstream != nil && link.late() && cmd.GetNewest() < cmd.GetAsked()+ahead:
		unusable.Ending, unusable.Reason = messages.Ending_ENDING_EMPTY, "it is not ahead of the upstream"
		d.add(unusable)
		d.goOn(link, cmd.GetAtUnixUs())
		return d.events
	case missing > 0 && !(link.Holes && s.accepts(cmd.GetFirst(), cmd.GetStarvedUs())): // perhaps another has it
		unusable.Ending, unusable.Reason = messages.Ending_ENDING_HOLE, "it no longer has what is needed next"
		unusable.First = cmd.GetFirst()
		d.add(unusable)
		d.goOn(link, cmd.GetAtUnixUs())
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
			Ending: cmd.GetEnding(), Fault: cmd.GetFault(), AtUnixUs: cmd.GetAtUnixUs(),
		})
	case seeking:
		d.add(&messages.UpstreamUnusable{
			Link: link.Number, Node: link.Node.message(), Reason: cmd.GetReason(),
			Ending: cmd.GetEnding(), Fault: cmd.GetFault(), AtUnixUs: cmd.GetAtUnixUs(),
		})
	default:
		return nil
	}
	d.goOn(link, cmd.GetAtUnixUs())
	return d.events
}

func (s State) searchOn(cmd *messages.SearchOn) []proto.Message {
	why, at := cmd.GetWhy(), cmd.GetAtUnixUs()
	if why == messages.SearchOn_WHY_NEXT && cmd.GetLink() != s.Links {
		return nil
	}
	d := deciding{s: s}
	switch {
	case s.Upstream == nil:
		d.seek(at)
	case why == messages.SearchOn_WHY_STARVING:
		d.askAll(at)
	case why == messages.SearchOn_WHY_LATE, why == messages.SearchOn_WHY_URGENT:
		d.askAhead(why, at)
	case len(s.Seeking) > 0: // one question at a time
	case why == messages.SearchOn_WHY_NEARER:
		if node, found := s.nearest(); found {
			d.ask(node, why, at)
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
				Link: s.Links + 1, Node: node.message(), AtUnixUs: cmd.GetAtUnixUs(), Offered: true, Holes: s.holes(cmd.GetAtUnixUs()),
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

func (d *deciding) ask(node Node, why messages.SearchOn_Why, at int64) {
	d.add(&messages.UpstreamSought{Link: d.s.Links + 1, Node: node.message(), AtUnixUs: at, Why: why, Holes: d.s.holes(at)})
}

// goOn seeks on after the link has failed: as an orphan, or for whatever it was asked for.
func (d *deciding) goOn(link Link, at int64) {
	switch {
	case d.s.Upstream != nil && link.late():
		if !slices.ContainsFunc(d.s.Seeking, Link.late) {
			d.add(&messages.SearchExhausted{Searches: d.s.Searches, AtUnixUs: at})
		}
	case d.s.Upstream != nil && link.Why == messages.SearchOn_WHY_STARVING: // all others were asked, too
	default:
		d.seekOrExhaust(at)
	}
}

// askAll asks all others for music, since the upstream sends none. A round that is not over
// goes on; one that is over is the end of a search that found nobody.
func (d *deciding) askAll(at int64) {
	if slices.ContainsFunc(d.s.Seeking, func(l Link) bool { return l.Why == messages.SearchOn_WHY_STARVING }) {
		return
	}
	if len(d.s.Tried)+len(d.s.Dead) > 0 {
		d.add(&messages.SearchExhausted{Searches: d.s.Searches, AtUnixUs: at})
	}
	for _, node := range d.s.others() {
		d.ask(node, messages.SearchOn_WHY_STARVING, at)
	}
}

// askAhead asks the other ancestors to show that they are ahead. The server is asked only if it
// is one of them, or if it is urgent: those far below a slow node wait for whoever is just
// below it, or all of them would turn to the server.
func (d *deciding) askAhead(why messages.SearchOn_Why, at int64) {
	if slices.ContainsFunc(d.s.Seeking, Link.late) {
		return
	}
	others := d.s.others()
	if why != messages.SearchOn_WHY_URGENT && !slices.ContainsFunc(d.s.Ancestors, server.same) {
		others = slices.DeleteFunc(others, server.same)
	}
	if len(others) == 0 {
		d.add(&messages.SearchExhausted{Searches: d.s.Searches, AtUnixUs: at})
	}
	for _, node := range others {
		d.ask(node, why, at)
	}
}

// seek asks the best ancestor not asked yet, if it is better than who feeds now.
func (d *deciding) seek(at int64) {
	if node, found := d.s.candidate(true); found {
		d.ask(node, messages.SearchOn_WHY_NEXT, at)
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
		s.Seeking = append(slices.Clip(s.Seeking), Link{event.GetLink(), node(event.GetNode()), event.GetWhy(), event.GetHoles()})
	case *messages.UpstreamConnected:
		if up := s.Upstream; up != nil && up.Node.ID != messages.ServerID && !s.prefers(node(event.GetNode())) {
			s.Dead = with(s.Dead, up.Node.ID)
		}
		s.Dead = without(s.Dead, event.GetNode().GetId())
		s.Upstream = &Link{Number: event.GetLink(), Node: node(event.GetNode())}
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
		s.Ancestors = append(s.Ancestors, node(n))
	}
	s.Event, s.Epoch = event.GetEvent(), event.GetEpoch()
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

// missed notes that somebody offered no less than the number first.
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
