package machine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"conga/actors/internal/broadcast"
	"conga/actors/internal/seal"
	"conga/actors/internal/story"
	"conga/messages"
)

// TestMachine_Stories runs a relay and the nodes above it, which do what the story says, on a clock
// that only the story moves. The words are
//
//	told 7 bob amy     the server's event 7 names the ancestors, nearest first
//	run 5s             time passes
//	wait 5s            time passes; what happens meanwhile is not printed
//	bob well           bob passes on at once what the server sends; so do all at first
//	bob slow 50        only this percentage of the music comes over bob's line in time
//	bob holds 300ms    bob delays all music by this time, with false stamps
//	bob mute           bob is alive but sends no music
//	bob silent         nothing comes from bob any more, and he answers nobody
//	bob gone           bob's connections are closed, and nobody answers there
//	bob lies           bob's next item is not the server's
//	bob lacks 30       bob has no items before 30
//	bob skips          bob leaves out the next item
//	server anew 4      the server's log was lost: its broadcast is another one, of epoch 4. All others
//	                   begin anew; this node learns it if the server is not gone
//	server epoch 4     the server was restarted
//	stands 700ms       this node's process does not run
//	server missed      this node's request connection to the server has ended
//	server back        it has a new one, to the same broadcast
//	asleep 20s         this node's machine sleeps; connections break meanwhile
//	receipt            what the relay has counted
func TestMachine_Stories(t *testing.T) {
	story.Each(t, "testdata", func() story.Teller { return newNeighbourhood().tell })
}

// tick is the step of the stories' clock.
const tick = 10 * time.Millisecond

// neighbourhood is a machine, the nodes above it, and their clock.
type neighbourhood struct {
	m      *Machine
	b      *broadcast.Broadcast
	now    time.Duration
	nodes  map[string]*above
	lines  []*lineTo
	search time.Duration // when the search goes on; 0: the timer is not set
	glance time.Duration // when it looks next
	fed    string
	told   []string
}

// above is a node above.
type above struct {
	how   string
	since time.Duration
	share float64
	hold  time.Duration
	least uint64
	skip  bool
	lie   bool
}

// lineTo is a connection to a node above.
type lineTo struct {
	number   uint64
	name     string
	open     *messages.OpenStream
	since    time.Duration
	answered bool
	reader   *broadcast.Reader
}

func newNeighbourhood() *neighbourhood {
	n := &neighbourhood{
		b: broadcast.RecordAt(broadcast.StartAt+messages.Slack.Microseconds(), 400, 400), nodes: map[string]*above{}, glance: Glance,
		m: New(nil, &Tally{}),
	}
	n.input(Begin{})
	n.input(&messages.Welcome{Key: n.b.Key, Epoch: 3})
	return n
}

func (n *neighbourhood) node(name string) *above {
	if n.nodes[name] == nil {
		n.nodes[name] = &above{how: "well"}
	}
	return n.nodes[name]
}

func (n *neighbourhood) tell(_ *testing.T, line string) ([]string, error) {
	words := strings.Fields(line)
	n.told = nil
	switch words[0] {
	case "told":
		msg := &messages.Neighbours{Id: "me"}
		if _, err := fmt.Sscan(words[1], &msg.Event); err != nil {
			return nil, err
		}
		for _, name := range words[2:] {
			msg.Ancestors = append(msg.Ancestors, ancestor(name))
		}
		n.input(msg)
	case "run", "wait":
		long, err := time.ParseDuration(words[1])
		if err != nil {
			return nil, err
		}
		for end := n.now + long; n.now < end; {
			n.now += tick
			n.pass()
		}
		if words[0] == "wait" {
			n.told = nil
		}
	case "stands":
		long, err := time.ParseDuration(words[1])
		n.now += long
		return nil, err
	case "asleep":
		long, err := time.ParseDuration(words[1])
		if err != nil {
			return nil, err
		}
		n.now += long
		for _, l := range slices.Clone(n.lines) {
			n.over(l, &messages.UpstreamClosed{Link: l.number, Reason: "connection reset by peer", Fault: messages.Fault_FAULT_GONE})
		}
	case "receipt":
		l := n.m.Live()
		n.say("received %d, lost %d, twice %d, unproved %d, lies %d", l.Received, l.Lost, l.Twice, l.Unproved, l.Lies)
	default:
		if len(words) < 2 {
			return nil, fmt.Errorf("%q says nothing", line)
		}
		return n.told, n.happens(words[0], words[1:])
	}
	return n.told, nil
}

// happens changes the condition of a node above.
func (n *neighbourhood) happens(name string, words []string) error {
	a := n.node(name)
	a.since = n.now
	var err error
	scan := func(to any) {
		if len(words) != 2 {
			err = fmt.Errorf("%s %s: how much?", name, words[0])
		} else {
			_, err = fmt.Sscan(words[1], to)
		}
	}
	switch words[0] {
	case "well", "mute", "silent", "gone":
		a.how = words[0]
	case "slow":
		a.how = words[0]
		scan(&a.share)
	case "holds":
		a.how = words[0]
		a.hold, err = time.ParseDuration(words[1])
	case "lacks":
		scan(&a.least)
	case "lies":
		a.lie = true
	case "skips":
		a.skip = true
	case "missed":
		n.input(&messages.ServerAway{})
	case "back":
		n.input(&messages.Welcome{Key: n.b.Key, Epoch: 3})
	case "anew", "epoch":
		msg := &messages.Welcome{Key: n.b.Key, Anew: words[0] == "anew"}
		if scan(&msg.Epoch); err != nil {
			return err
		}
		if msg.Anew {
			n.b = broadcast.RecordIn(msg.Epoch, broadcast.StartAt+(n.now+messages.Slack).Microseconds(), 400)
			for _, l := range slices.Clone(n.lines) {
				if l.answered && l.name != name {
					n.over(l, &messages.UpstreamLeaving{Link: l.number})
				}
			}
		}
		if a.how != "gone" {
			n.input(msg)
		}
	default:
		err = errors.New("unknown: " + strings.Join(words, " "))
	}
	return err
}

func (n *neighbourhood) say(format string, args ...any) {
	n.told = append(n.told, fmt.Sprintf("%6.2fs ", n.now.Seconds())+fmt.Sprintf(format, args...))
}

// input passes an input to the machine, and carries out the effects.
func (n *neighbourhood) input(what any) {
	follows := n.m.Step(Moment{time.UnixMicro(broadcast.StartAt).Add(n.now), broadcast.StartAt + n.now.Microseconds()}, what)
	for _, e := range follows.Effects {
		switch e := e.(type) {
		case Dial:
			why := strings.TrimPrefix(e.Sought.GetWhy().String(), "WHY_")
			what := fmt.Sprint("item ", e.Open.GetNext())
			if e.Open.GetNext() == 0 {
				what = "the newest"
			}
			n.say("asks %s for %s: %s", e.Sought.GetNode().GetName(), what, why)
			n.lines = append(n.lines, &lineTo{number: e.Sought.GetLink(), name: e.Sought.GetNode().GetName(), open: e.Open, since: n.now})
		case SearchAfter:
			n.search = n.now + e.Wait
		case SearchNoMore:
			n.search = 0
		case Tell:
			if lost, ok := e.Word.(*messages.PeerLost); ok {
				n.say("accuses %s: %s, %s", lost.GetId(), strings.TrimPrefix(lost.GetFault().String(), "FAULT_"), lost.GetReason())
			}
		case BegunAnew:
			n.say("begins anew")
		}
	}
	if feeder := n.m.Live().Upstream; feeder != n.fed {
		n.fed = feeder
		if feeder == "" {
			feeder = "nobody"
		}
		n.say("is fed by %s", feeder)
	}
	n.lines = slices.DeleteFunc(n.lines, func(l *lineTo) bool { return !n.m.Needs(l.number) })
}

// over ends a connection.
func (n *neighbourhood) over(l *lineTo, how any) {
	n.lines = slices.DeleteFunc(n.lines, func(other *lineTo) bool { return other == l })
	n.input(how)
}

// pass is what happens in one tick.
func (n *neighbourhood) pass() {
	for _, l := range slices.Clone(n.lines) {
		if slices.Contains(n.lines, l) {
			n.flows(l)
		}
	}
	if n.search > 0 && n.now >= n.search {
		n.search = 0
		n.input(&messages.SearchOn{Link: n.m.state.Links})
	}
	if n.now >= n.glance {
		n.glance = n.now + Glance
		n.input(Look{})
	}
}

// flows is what comes over a connection in one tick.
func (n *neighbourhood) flows(l *lineTo) {
	a := n.node(l.name)
	switch a.how {
	case "gone":
		n.over(l, &messages.UpstreamClosed{Link: l.number, Reason: "connection refused", Fault: messages.Fault_FAULT_GONE})
		return
	case "silent":
		if n.now-max(a.since, l.since) >= messages.SilenceIsDeath {
			n.over(l, &messages.UpstreamClosed{Link: l.number, Reason: "silent for 1s", Fault: messages.Fault_FAULT_SILENT})
		}
		return
	}
	has, stamp := n.now, n.now // what it has given out by now, and what it says when it sends
	switch a.how {
	case "slow":
		has = a.since + time.Duration(float64(n.now-a.since)*a.share/100)
		stamp = has
	case "holds":
		has -= a.hold
	case "mute":
		has = a.since
	}
	newest := uint64(0)
	for _, item := range n.b.Items {
		if item.PlayAt()-messages.Slack.Microseconds() > broadcast.StartAt+has.Microseconds() {
			break
		}
		newest = item.Number
	}
	if !l.answered {
		l.answered = true
		next := l.open.GetNext()
		if next == 0 {
			next = 1
		}
		next = max(next, a.least)
		l.reader = &broadcast.Reader{B: n.b, Asked: l.open.GetNext(), At: next}
		answer := &messages.StreamOpened{Epoch: n.m.epoch, Newest: newest}
		if newest >= next && a.how != "mute" {
			answer.First = next
		}
		n.input(&messages.UpstreamOpened{Link: l.number, Answer: answer})
	}
	for slices.Contains(n.lines, l) && int(l.reader.At) <= len(n.b.Items) && l.reader.At <= newest {
		if a.skip {
			a.skip = false
			l.reader.At++
			continue
		}
		s, song, item := l.reader.Next()
		if a.lie {
			a.lie = false
			s = seal.Sign(broadcast.Key(9), 3, n.b.Fresh(1), []*messages.Item{item})
		}
		if s != nil {
			n.input(&messages.UpstreamSeal{Link: l.number, Seal: s})
		}
		for _, i := range []*messages.Item{song, item} {
			if i != nil {
				n.input(&messages.UpstreamItem{Link: l.number, Item: i, SentUs: broadcast.StartAt + stamp.Microseconds()})
			}
		}
	}
}

// The connection that a node above has made goes to the link that asks it, or is refused.
func TestMachine_Ticket(t *testing.T) {
	n := newNeighbourhood()
	n.input(&messages.Neighbours{Id: "me", Event: 1, Ancestors: []*messages.Node{ancestor("bob~"), ancestor("amy")}})
	for _, c := range []struct {
		name, from string
		ticket     uint64
		taken      bool
	}{
		{"an ancestor that must dial", "bob~", 7, true},
		{"again, while it is asked", "bob~", 8, false},
		{"a stranger", "x~", 9, false},
	} {
		follows := n.m.Step(n.m.now, &messages.StreamOffered{Node: ancestor(c.from), Ticket: c.ticket})
		var taken, refused bool
		for _, e := range follows.Effects {
			switch e := e.(type) {
			case Dial:
				taken = e.Ticket == c.ticket && e.Sought.GetOffered()
			case Refuse:
				refused = e.Ticket == c.ticket
			}
		}
		if taken != c.taken || refused == c.taken {
			t.Errorf("%s: taken %v, refused %v", c.name, taken, refused)
		}
	}
}

// ancestor is the node of that name; one with ~ behind it cannot be reached.
func ancestor(word string) *messages.Node {
	name, dials := strings.CutSuffix(word, "~")
	n := &messages.Node{Id: name, Name: name, Relay: name + ":1", Dials: dials}
	if name == messages.ServerID {
		n.Relay = ""
	}
	return n
}

// A node that does not run when it should gives its ancestor the time again, but not for ever.
func TestMachine_TooSlowItself(t *testing.T) {
	for _, c := range []struct {
		late  time.Duration
		again int
	}{{0, 0}, {Patience, 0}, {Patience + time.Millisecond, mostSlow}, {10 * time.Second, mostSlow}} {
		n := newNeighbourhood()
		n.node("bob").how, n.node("amy").how = "silent", "silent"
		n.input(&messages.Neighbours{Id: "me", Event: 1, Ancestors: []*messages.Node{ancestor("bob"), ancestor("amy")}})
		again := 0
		for len(n.lines) == 1 && again < 10 {
			n.now = n.search + c.late
			if n.input(&messages.SearchOn{Link: n.m.state.Links}); len(n.lines) == 1 {
				again++
			}
		}
		if again != c.again {
			t.Errorf("%v late it gives bob the time again %d times, want %d", c.late, again, c.again)
		}
	}
}
