package transport

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"conga/messages"
	"conga/messages/plain"

	"google.golang.org/protobuf/proto"
)

// handle carries out the line; an error ends the connection.
func (t *requestTalk) handle(line string) error {
	m, err := ParseLine(line)
	if t.cfg.Standby != nil {
		return t.follow(m)
	}
	switch {
	case errors.Is(err, ErrUnknownVerb):
		return t.plain(line)
	case err != nil:
		return t.put(&messages.Refused{Reason: err.Error()})
	}
	if hello, is := m.(*messages.Hello); is {
		return t.hello(hello)
	}
	if t.node == nil {
		return t.put(&messages.Refused{Reason: "say HELLO first"})
	}
	switch m := m.(type) {
	case *messages.Ask:
		t.answers()
		select {
		case t.asks <- m:
		case <-t.life.Done():
			return t.life.Err()
		}
	case *messages.ClockPing: // answered before waiting Asks: a delay would look like distance
		name := ""
		if plays := t.plays.Load(); plays != nil {
			name = *plays
		}
		t.cfg.Pinged(t.reached, name, m)
		wait := t.pace.pings.Next(time.Now())
		return t.put(&messages.ClockPong{SentUs: m.GetSentUs(), WaitUs: wait.Microseconds(), ServerUnixUs: t.cfg.Now().UnixMicro()})
	case *messages.PeerLost:
		if id := m.GetId(); id != t.node.GetId() && (goodID(id) || id == messages.ServerID) && t.mayReport() {
			t.root.Send(t.cfg.Chain, &messages.PeerLost{
				Id: id, SeenBy: t.node.GetId(), Reason: plain.Text(m.GetReason(), maxReason),
				Fault: m.GetFault(), AtUnixUs: t.cfg.Now().UnixMicro(),
			})
		}
	case *messages.ReportSilent:
		if goodID(m.GetId()) {
			t.root.Send(t.cfg.Chain, &messages.ReportSilent{
				Id: m.GetId(), SeenBy: t.node.GetId(), Reason: plain.Text(m.GetReason(), maxReason), AtUnixUs: t.cfg.Now().UnixMicro(),
			})
		}
	case *messages.Reconnected:
		if !t.mayReport() {
			return nil
		}
		t.root.Send(t.cfg.Chain, t.reconnected(m))
	case *messages.LeaveChain:
		t.end.Store(&end{ends: left})
		t.root.Send(t.parent, &goodbye{t.self}) // so that its neighbours need not wait for the connection's end
		return errDone
	default: // a word that only a server sends
		return t.put(&messages.Refused{Reason: "only the server sends " + verb(m)})
	}
	return nil
}

// follow turns away, in place of a server that leads, whoever speaks the dialect, and tells a person why.
func (t *requestTalk) follow(line proto.Message) error {
	if _, is := line.(*messages.Hello); !is {
		t.say(t.cfg.Standby())
		return errDone
	}
	t.cfg.Counters.Refuse(RefusedStandby)
	if err := t.put(&messages.Refused{Reason: t.cfg.Standby(), Follows: true, Servers: t.cfg.Servers}); err != nil {
		return err
	}
	return errDone
}

// mayLog counts a message that the log will keep, for the connection and for its address. It returns
// false if that exceeds a budget.
func (t *requestTalk) mayLog() bool {
	return t.words.Allow() && t.pace.words.of(t.from()).Allow()
}

// mayReport is mayLog for reports, which get no answer. It counts those that are dropped.
func (t *requestTalk) mayReport() bool {
	may := !t.cfg.Disk.Short() && t.mayLog()
	if !may {
		t.pace.dropReport(t.from())
	}
	return may
}

// reportsWait is how old a report may be that was kept while the server was away.
const reportsWait = time.Hour

// longestSearch and mostMissing are the most that a report may say: one that lies must not spoil every sum.
const longestSearch, mostMissing = 24 * time.Hour, 1 << 20

// reconnected returns the report with texts cleaned for the log and with its sender's id.
func (t *requestTalk) reconnected(m *messages.Reconnected) *messages.Reconnected {
	clean := func(n *messages.Node) *messages.Node {
		if n.GetId() == messages.ServerID {
			return &messages.Node{Id: messages.ServerID, Name: messages.ServerID}
		}
		node := cleanNode(n)
		if node != nil {
			node.Relay = "" // the log keeps who it was, not an address that anybody may claim
		}
		return node
	}
	// The report may have waited while the server was away, so its own time counts if it is plausible.
	now := t.cfg.Now()
	at := m.GetAtUnixUs()
	if at > now.UnixMicro() || at < now.Add(-reportsWait).UnixMicro() {
		at = now.UnixMicro()
	}
	return &messages.Reconnected{
		Id: t.node.GetId(), Upstream: clean(m.GetUpstream()), Lost: clean(m.GetLost()),
		Reason: plain.Text(m.GetReason(), maxReason), SearchUs: min(max(m.GetSearchUs(), 0), longestSearch.Microseconds()), Missing: min(m.GetMissing(), mostMissing),
		BufferedUs: m.GetBufferedUs(), AtUnixUs: at,
	}
}

// answers starts the goroutine that answers Asks, with the first one: most listeners never ask.
func (t *requestTalk) answers() {
	if t.asks != nil {
		return
	}
	t.asks = make(chan *messages.Ask, asksWaiting)
	t.busy.Add(1)
	t.spawn(func() {
		defer t.busy.Done()
		t.answerAsks()
	})
}

// answerAsks answers a native's Asks in order.
func (t *requestTalk) answerAsks() {
	for m := range t.asks {
		id := plain.Text(m.GetRequestId(), maxRequestID)
		var lines []string
		switch {
		case id == "" || id != m.GetRequestId():
			lines = []string{fmt.Sprintf("A request needs an id of at most %d plain characters", maxRequestID)}
		case !isText(m.GetLine()) || len(m.GetLine()) > messages.MaxLine:
			lines = []string{"This line is not plain text. " + t.sayable()}
		default:
			lines, _ = t.reply(strings.TrimPrefix(m.GetLine(), mark), id, maxAnswer)
		}
		_ = t.put(&messages.Answer{RequestId: m.GetRequestId(), Lines: lines}) // the request is done even if the answer is lost
	}
}

// maxRequestID leaves room for a uuid and more.
const maxRequestID = 64
