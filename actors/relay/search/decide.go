package search

import (
	"cmp"
	"slices"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// Decide returns the events that follow from cmd. Nothing follows from an old link or an old timer.
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

// Knows reports whether the state has newer neighbours already.
func (s State) Knows(told *messages.Neighbours) bool {
	return Older(told, &messages.Neighbours{Epoch: s.Epoch, Event: s.Event})
}

// Older reports whether the server sent a before b. A server that was restored from a copy of its log
// counts its events again from there, but in a later epoch.
func Older(a, b *messages.Neighbours) bool {
	return cmp.Or(cmp.Compare(a.GetEpoch(), b.GetEpoch()), cmp.Compare(a.GetEvent(), b.GetEvent())) < 0
}

func (s State) assign(cmd *messages.Neighbours) []proto.Message {
	if s.Knows(cmd) {
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
	// A running search goes on at its own pace, unless there is a nearer ancestor now.
	if node, found := d.s.candidate(false); found {
		d.ask(node, messages.SearchOn_WHY_NEXT, 0)
	} else if d.s.Upstream == nil && len(d.s.Seeking) == 0 {
		d.exhaust(0)
	}
	return d.events
}

func (s State) opened(cmd *messages.LinkOpened) []proto.Message {
	link, seeking := s.Sought(cmd.GetLink())
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
	case s.Upstream != nil && link.Late() && cmd.GetNewest() < cmd.GetAsked()+Ahead:
		unusable.Ending, unusable.Reason = messages.Ending_ENDING_EMPTY, "it is not ahead of the upstream"
		d.add(unusable)
		d.goOn(link, cmd.GetAtUnixUs())
		return d.events
	case missing > 0 && !(link.Holes && s.accepts(cmd.GetFirst(), cmd.GetStarvedUs())): // perhaps another has it
		unusable.Ending, unusable.Reason = messages.Ending_ENDING_HOLE, "it no longer has the number needed next"
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
	link, seeking := s.Sought(cmd.GetLink())
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

// offered accepts the offer of an ancestor that must dial, if it stands before the present
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

// deciding collects events and the state that they lead to.
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

// goOn continues after the link has failed: the search for an upstream, or the round for which the link was
// asked.
func (d *deciding) goOn(link Link, at int64) {
	switch {
	case d.s.Upstream != nil && link.Late():
		if !slices.ContainsFunc(d.s.Seeking, Link.Late) {
			d.add(&messages.SearchExhausted{Searches: d.s.Searches, AtUnixUs: at})
		}
	case d.s.Upstream != nil && link.Why == messages.SearchOn_WHY_STARVING: // all others were asked, too
	default:
		d.seekOrExhaust(at)
	}
}

// askAll asks all others for music, because the upstream sends none. If a round is running, it
// goes on; if one has ended, its search has found nobody.
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
// is one of them, or if it is urgent: nodes far below a slow one wait for the node just below
// it. Otherwise all of them would turn to the server.
func (d *deciding) askAhead(why messages.SearchOn_Why, at int64) {
	if slices.ContainsFunc(d.s.Seeking, Link.Late) {
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

// seek asks the best ancestor that was not asked yet, if it is better than the present upstream.
func (d *deciding) seek(at int64) {
	if node, found := d.s.candidate(true); found {
		d.ask(node, messages.SearchOn_WHY_NEXT, at)
	}
}

// seekOrExhaust is seek, but gives up for a while if nobody is left that could answer.
func (d *deciding) seekOrExhaust(at int64) {
	d.seek(at)
	if d.s.Upstream == nil && len(d.s.Seeking) == 0 {
		d.exhaust(at)
	}
}

func (d *deciding) exhaust(at int64) {
	d.add(&messages.SearchExhausted{Searches: d.s.Searches + 1, AtUnixUs: at})
}

// Sought returns the link with the number, if its ancestor was asked and has not answered.
func (s State) Sought(number uint64) (Link, bool) {
	at := slices.IndexFunc(s.Seeking, func(l Link) bool { return l.Number == number })
	if at < 0 {
		return Link{}, false
	}
	return s.Seeking[at], true
}
