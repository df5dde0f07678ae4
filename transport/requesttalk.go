package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"conga/messages"
	"conga/messages/plain"
)

const (
	// firstLinePatience is how long a request connection may say nothing at first.
	firstLinePatience = time.Minute
	// visitorPatience is how long a person may say nothing.
	visitorPatience = 5 * time.Minute
	// waitForRoom is how long a listener waits before it asks a server again that has no room.
	waitForRoom = 10 * time.Second
	// settleIn is how long a song that is queued waits for the disk before it is said that it is not there.
	settleIn = 10 * time.Second
	// badLines is how many lines that are no text end a connection: it is no person.
	badLines = 16
	// asksWaiting is how many Asks of a native may wait behind the one under way.
	asksWaiting = 16
	// nativeSilence is how long a native may say nothing: it pings every second, and a
	// process that is frozen must not hold a place in the chain.
	nativeSilence = 5 * time.Second
	// linesPerSecond and linesAtOnce are the most that one connection gets answered.
	linesPerSecond, linesAtOnce = 50, 200
)

// requestTalk is what one request connection says and hears. It belongs to the goroutine in
// serve, but for asks.
type requestTalk struct {
	cfg      *RequestsConfig
	pace     *pace
	conn     net.Conn // over TLS, if the peer began with that
	r        *bufio.Reader
	session  *session // of TLS; nil in plain text
	guest    *guest
	standIn  *StandIn // the server's own adapter speaks; nil: a peer does
	out      *outbox
	standing *atomic.Pointer[standing]
	heard    atomic.Int64 // when it last said something, unix nanoseconds
	root     *actor.RootContext
	self     *actor.PID
	parent   *actor.PID
	life     context.Context

	visits  bool          // it is no listener, or not yet: a person
	known   bool          // it has shown that it knows the token, where there is one
	strange int           // lines before that
	asking  *rate.Limiter // its requests
	words   *rate.Limiter // what it says and the log keeps

	node    *messages.Node     // a native's; nil for a stranger
	reached *messages.Node     // the same, without a relay that nobody can connect to
	asks    chan *messages.Ask // a native's, answered in order by a goroutine of their own
	busy    sync.WaitGroup     // that goroutine
}

var (
	// errDone: the conversation is over, nothing is wrong.
	errDone = errors.New("said goodbye")
	// errUnheard: the peer reads nothing any more.
	errUnheard = errors.New("it no longer reads answers")
	// errDisk: nothing is promised that the log could not keep.
	errDisk = errors.New("the server's disk is full or broken: the music plays on, but no song can be asked for until it is repaired")
	// errRoom: what is left of the memory is for songs and goodbyes.
	errRoom = errors.New("the server's disk has been full or broken for long: the music plays on, but nobody else can join until it is repaired")
	// errPlace: of its kind there are too many connections, and its address has the most.
	errPlace = errors.New("the server is full, and your address has the most connections: try again later")
)

// serve answers lines until the peer or the server ends the connection. What was asked
// before the peer's end is answered first.
func (t *requestTalk) serve() {
	if err := t.greet(); err != nil {
		if errors.Is(err, errDone) {
			linger(t.conn)
		}
		return // the actor closes the connection
	}
	if t.session != nil && t.session.web || t.standIn == nil && beginsWeb(t.r) {
		t.web()
		return
	}
	t.r = bufio.NewReaderSize(&typed{r: t.r}, messages.MaxLine)
	guard(t.root, t.self, func() { t.out.run(t.conn) })
	defer t.out.end() // also when a panic passes through
	err := t.read()
	t.busy.Wait()
	if before := t.standing.Load(); before.id != "" {
		s := *before
		switch {
		case t.out.slow.Load():
			s.reason = errStuck.Error()
		case timedOut(err):
			s.reason = fmt.Sprintf("it said nothing for %v", nativeSilence)
		case errors.Is(err, io.EOF):
			s.reason = "its request connection ended"
		default:
			s.reason = reasonOf(err)
		}
		t.standing.CompareAndSwap(before, &s)
	}
	t.out.finish()
	linger(t.conn)
}

// greet waits for the first byte, and speaks TLS with who begins so. Its error ends the
// connection, of which nobody has noticed anything.
func (t *requestTalk) greet() error {
	t.r = bufio.NewReaderSize(t.conn, messages.MaxLine)
	t.guest.patience(firstLinePatience)
	if t.cfg.Seed != nil && t.cfg.Auth == nil && t.standIn == nil &&
		t.cfg.Seed(t.life, &Stranger{Conn: t.conn, Reader: t.r, Since: t.guest.since, Admit: t.admitSeed}) {
		return errDone
	}
	first, err := t.r.Peek(1)
	if err != nil {
		return err
	}
	if err := t.pace.arrivals.of(t.conn.RemoteAddr()).Wait(t.life); err != nil {
		return err
	}
	if t.cfg.TLS == nil || first[0] != handshakeRecord {
		return nil
	}
	secure, session, err := acceptTLS(t.life, t.conn, t.r, t.cfg.TLS)
	if err != nil {
		return err
	}
	t.conn, t.session, t.r = secure, session, bufio.NewReaderSize(secure, messages.MaxLine)
	t.guest.patience(firstLinePatience)
	if !t.guest.move(newcomers) {
		return errPlace
	}
	return nil
}

// admitSeed lets in who speaks the bytes of 2016.
func (t *requestTalk) admitSeed() bool { return t.guest.move(seeds) }

func (t *requestTalk) read() error {
	defer func() {
		if t.asks != nil {
			close(t.asks)
		}
	}()
	pace := rate.NewLimiter(linesPerSecond, linesAtOnce)
	bad := 0
	for {
		switch {
		case t.node != nil:
			t.guest.patience(nativeSilence)
		case t.visits:
			t.guest.patience(visitorPatience)
		}
		line, err := ReadLine(t.r)
		line = strings.TrimPrefix(line, mark)
		if err == nil {
			t.heard.Store(time.Now().UnixNano())
		}
		switch {
		case t.guest.dismissed.Load():
			return t.dismissed()
		case timedOut(err) && t.visits:
			t.say(fmt.Sprintf("You have said nothing for %.0f minutes. Goodbye.", visitorPatience.Minutes()))
			return err
		case errors.Is(err, ErrLineTooLong):
			t.say(fmt.Sprintf("A line may have at most %d bytes. Goodbye.", messages.MaxLine))
			return err
		case errors.Is(err, ErrNotText):
			// A zero byte nobody types: it is a program that takes this for another port, and
			// may send somebody else's lines.
			if bad++; bad > badLines || strings.ContainsRune(line, 0) {
				t.say("This is not plain text. Goodbye.")
				return err
			}
		case err != nil:
			return err
		}
		if t.cfg.Auth != nil && !t.known { // until then it counts among those who have not said who they are
			if done, err := t.authenticate(line); err != nil {
				return err
			} else if done {
				continue
			}
		}
		if !t.place(line) {
			return t.dismissed()
		}
		if err != nil {
			t.say("This line is not plain text. " + knownWords)
			continue
		}
		if err := pace.Wait(t.life); err != nil { // holds up nobody but this connection
			return err
		}
		// What a listener said BEFORE its end counts also when it hears no answer any more.
		if err := t.handle(line); err != nil && (t.node == nil || !errors.Is(err, errUnheard)) {
			return err
		}
	}
}

// place finds the pot for who says the line, unless it has its own; false if the connection
// was dropped.
func (t *requestTalk) place(line string) bool {
	word, _, _ := strings.Cut(line, " ")
	switch {
	case t.node != nil || t.visits:
		return true
	case word == verb(&messages.Hello{}):
		return t.guest.move(newcomers)
	}
	t.visits = true
	return t.guest.move(visitors)
}

// dismissed says why the connection ends: others need its place.
func (t *requestTalk) dismissed() error {
	if t.node != nil || t.session != nil && !t.visits {
		_ = t.put(&messages.Refused{Reason: errPlace.Error()})
	} else {
		t.say(sentence(errPlace))
	}
	return errPlace
}

// handle does what the line asks; an error ends the connection.
func (t *requestTalk) handle(line string) error {
	m, err := ParseLine(line)
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
		select {
		case t.asks <- m:
		case <-t.life.Done():
			return t.life.Err()
		}
	case *messages.ClockPing: // before any Ask that waits: its delay would look like distance
		t.cfg.Pinged(t.reached, m)
		return t.put(&messages.ClockPong{SentUs: m.GetSentUs(), ServerUnixUs: t.cfg.Now().UnixMicro()})
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
		t.tellEnd(left) // now: its neighbours need not wait for the connection's end
		return errDone
	default: // a word that only a server says
		return t.put(&messages.Refused{Reason: verb(m) + " is for the server to say"})
	}
	return nil
}

// hello makes the peer a native: its id is bound to this connection BEFORE the chain
// hears of it, so that news of its neighbours finds it.
func (t *requestTalk) hello(hello *messages.Hello) error {
	node, err := t.candidate(hello)
	if err != nil {
		return t.turnAway(err.Error())
	}
	if t.cfg.Disk.Short() {
		return t.turnAwayFor(waitForRoom, errRoom.Error())
	}
	if !t.pace.hellos.of(t.conn.RemoteAddr()).Allow() {
		return t.turnAwayFor(time.Minute, "too many listeners join and leave from your address: try again in a minute")
	}
	unreachable := ""
	if node.GetRelay() != "" {
		var err error
		if node.Relay, err = t.locate(node.GetRelay()); errors.Is(err, errRelay) {
			return t.turnAway(err.Error())
		} else if err != nil {
			unreachable = err.Error()
		}
	}
	node.Http = ownHTTP(hello.GetNode().GetHttp(), t.conn.RemoteAddr())
	was, err := t.bind(node.GetId(), hello.GetInstance())
	// Until we know better, and also if there was no answer: it may be bound, and another
	// connection of the listener closed for it.
	t.stand(standing{id: node.GetId(), ends: lost, reason: errBroken.Error()})
	switch {
	case err != nil:
		return err
	case was.claimed == keepAway:
		t.stand(standing{})
		return t.turnAway(fmt.Sprintf(sayCopy, was.by))
	case was.full:
		t.stand(standing{})
		return t.turnAway(fmt.Sprintf("the server is full, it takes no more than --max-listeners %d: try again later", t.cfg.Limits.Listeners))
	}
	if !t.guest.admit() {
		return t.dismissed()
	}
	// Who names no relay is nobody's source, whatever it says of itself: nobody could reach it.
	leaf := hello.GetLeaf() || node.GetRelay() == ""
	join := &messages.JoinChain{
		Node: node, Leaf: leaf, AtUnixUs: t.cfg.Now().UnixMicro(), Unreachable: unreachable,
		Address: address(t.conn.RemoteAddr()).String(),
	}
	if t.standIn != nil {
		join.Seed, join.FedBy = true, t.standIn.FedBy
	} else if unreachable == "" {
		join.Unreachable = t.probe(node, hello.GetNode().GetKey())
	}
	answer, err := ask(t.life, t.root, t.cfg.Chain, join)
	if err != nil {
		return errors.Join(t.turnAway("the server is busy, try again"), err)
	}
	switch answer := answer.(type) {
	case *messages.Welcome:
		t.node, t.reached = node, node
		if join.GetUnreachable() != "" {
			t.reached = &messages.Node{Id: node.GetId(), Name: node.GetName()}
		}
		answer.Anew = hello.GetSongNumber() > 0 && !t.cfg.Follows(hello.GetSongNumber(), hello.GetSongPlayAtUnixUs())
		if err := t.put(t.cfg.Auth.complete(answer, t.session)); err != nil {
			return err
		}
		t.asks = make(chan *messages.Ask, asksWaiting)
		t.busy.Add(1)
		guard(t.root, t.self, func() {
			defer t.busy.Done()
			t.answerAsks()
		})
		t.root.Send(t.self, &welcomed{})
		return nil
	case *messages.Refused:
		ends := notIn
		if was.replaced {
			ends = lost
		}
		t.stand(standing{id: node.GetId(), ends: ends, reason: errBroken.Error()})
		return t.turnAway(answer.GetReason())
	}
	return fmt.Errorf("join: %T", answer)
}

// stand says what the connection's end means from now on. If the actor has stopped already, that is
// told at once.
func (t *requestTalk) stand(s standing) {
	t.standing.Store(&s)
	if t.life.Err() != nil {
		t.tellEnd(s.ends)
	}
}

// tellEnd tells the acceptor what has ended, unless the actor has.
func (t *requestTalk) tellEnd(ends ending) {
	if s := *t.standing.Swap(&standing{}); s.id != "" {
		s.ends = ends
		t.root.Send(t.parent, &ended{standing: s, conn: t.self})
	}
}

// mayLog counts a word that the log will keep: for the connection and for its address.
func (t *requestTalk) mayLog() bool {
	return t.words.Allow() && t.pace.words.of(t.conn.RemoteAddr()).Allow()
}

// mayReport is mayLog for what nobody waits for an answer to.
func (t *requestTalk) mayReport() bool {
	may := !t.cfg.Disk.Short() && t.mayLog()
	if !may {
		t.pace.dropReport(t.conn.RemoteAddr())
	}
	return may
}

// sayCopy tells the second of two processes with one key what to do.
const sayCopy = "another listener with this identity is in the chain, from %s: if its data folder was copied, remove listener.pem from the copy, or use another --data"

// bind asks that the id be this connection's, as long as that takes.
func (t *requestTalk) bind(id, instance string) (*bound, error) {
	msg := &bind{id: id, guest: t.guest, since: time.Now(), holder: holder{
		conn: t.self, instance: instance, from: hostOf(t.conn.RemoteAddr()), heard: &t.heard,
	}}
	again := time.NewTicker(claimLook)
	defer again.Stop()
	for {
		answer, err := ask(t.life, t.root, t.parent, msg)
		if err != nil {
			return nil, err
		}
		was, is := answer.(*bound)
		switch {
		case !is:
			return nil, fmt.Errorf("bind %s: %T", id, answer)
		case was.full || was.claimed != waitOn:
			return was, nil
		}
		select {
		case <-again.C:
		case <-t.life.Done():
			return nil, t.life.Err()
		}
	}
}

// candidate is the node as the chain may take it.
func (t *requestTalk) candidate(hello *messages.Hello) (*messages.Node, error) {
	if t.node != nil {
		return nil, errors.New("HELLO was said before")
	}
	if hello.GetVersion() > messages.DialectVersion {
		return nil, fmt.Errorf("this server speaks version %d of the dialect, not %d: use the same version of conga on both sides",
			messages.DialectVersion, hello.GetVersion())
	}
	node := cleanNode(hello.GetNode())
	if node == nil {
		return nil, errID
	}
	if err := t.identified(hello); err != nil {
		return nil, err
	}
	if hello.GetLeaf() {
		node.Relay = ""
	}
	return node, nil
}

// identified says why the HELLO is not from the owner of its id.
func (t *requestTalk) identified(hello *messages.Hello) error {
	switch {
	case t.standIn != nil:
		return nil
	case t.session == nil:
		return errClear
	}
	if !signed(ownKey(hello.GetNode()), hello.GetSignature(), useHello, t.session.identity) {
		return errForged
	}
	return nil
}

// reportsWait is how old a report may be that waited for the server's return.
const reportsWait = time.Hour

// reconnected is the report with what a log may hold, and with the name of who says it.
func (t *requestTalk) reconnected(m *messages.Reconnected) *messages.Reconnected {
	clean := func(n *messages.Node) *messages.Node {
		if n.GetId() == messages.ServerID {
			return &messages.Node{Id: messages.ServerID, Name: messages.ServerID}
		}
		node := cleanNode(n)
		if node != nil {
			node.Relay = "" // a log keeps who it was, not what anybody says of it
		}
		return node
	}
	// While the server was away the report waited: its own time counts, if it can be true.
	now := t.cfg.Now()
	at := m.GetAtUnixUs()
	if at > now.UnixMicro() || at < now.Add(-reportsWait).UnixMicro() {
		at = now.UnixMicro()
	}
	return &messages.Reconnected{
		Id: t.node.GetId(), Upstream: clean(m.GetUpstream()), Lost: clean(m.GetLost()),
		Reason: plain.Text(m.GetReason(), maxReason), SearchUs: m.GetSearchUs(), Missing: m.GetMissing(),
		BufferedUs: m.GetBufferedUs(), AtUnixUs: at,
	}
}

func (t *requestTalk) turnAway(reason string) error { return t.turnAwayFor(0, reason) }

// turnAwayFor also says how long it makes no sense to ask again.
func (t *requestTalk) turnAwayFor(wait time.Duration, reason string) error {
	if err := t.put(&messages.Refused{Reason: reason, WaitSeconds: uint32(wait.Seconds())}); err != nil {
		return err
	}
	return errDone
}

// answerAsks answers a native's Asks one after the other.
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
		_ = t.put(&messages.Answer{RequestId: m.GetRequestId(), Lines: lines}) // what was asked is done, heard or not
	}
}

// maxRequestID leaves room for a uuid and more.
const maxRequestID = 64

// put sends one native line, waiting for room.
func (t *requestTalk) put(m proto.Message) error {
	line, err := AppendLine(nil, m)
	if err != nil {
		return err
	}
	if !t.out.put(line) {
		return errUnheard
	}
	return nil
}

// say sends one plain line.
func (t *requestTalk) say(line string) { t.out.put([]byte(line + "\n")) }
