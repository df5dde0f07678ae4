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
)

const (
	// firstLinePatience is how long a request connection may say nothing at first.
	firstLinePatience = time.Minute
	// visitorPatience is how long a person may say nothing.
	visitorPatience = 5 * time.Minute
	// waitForRoom is how long a listener should wait before it asks a server again whose log has no room.
	waitForRoom = 10 * time.Second
	// settleIn is how long the answer to a PLAY waits until the queued song is on the disk.
	settleIn = 10 * time.Second
	// badLines is how many lines that are not text a connection may send: a person would not send more.
	badLines = 16
	// asksWaiting is how many Asks of a native may wait behind the one under way.
	asksWaiting   = 16
	nativeSilence = messages.ListenerSilence
	// linesPerSecond and linesAtOnce bound how many lines of one connection are answered.
	linesPerSecond, linesAtOnce = 50, 200
)

// requestTalk is the conversation on one request connection. It belongs to the goroutine in serve,
// except for asks.
type requestTalk struct {
	cfg     *RequestsConfig
	pace    *pace
	conn    net.Conn      // TLS if the peer began with it
	r       *bufio.Reader // until the peer has shown what it speaks; nil afterwards
	lines   *lineReader   // nil before that
	session *session      // the TLS session; nil in plain text
	guest   *guest
	standIn *StandIn // the server itself speaks for a client of 2016; nil: a peer does
	out     *outbox
	end     *atomic.Pointer[end]
	heard   atomic.Int64 // when it last said something, unix nanoseconds
	root    *actor.RootContext
	self    *actor.PID
	parent  *actor.PID
	life    context.Context

	visits  bool          // it is a person, or has at least not said HELLO
	known   bool          // it has proved the token, if there is one
	strange int           // lines before that
	asking  *rate.Limiter // limits its requests
	words   *rate.Limiter // limits its messages that the log keeps

	node    *messages.Node         // the native's; nil before HELLO
	reached *messages.Node         // the same, without a relay that nobody can connect to
	plays   atomic.Pointer[string] // the name by which players reach it over TLS; nil: none, or not known yet
	asks    chan *messages.Ask     // a native's Asks, answered in order by their own goroutine; nil before the first
	busy    sync.WaitGroup         // that goroutine
}

var (
	// errDone: the conversation is over, nothing is wrong.
	errDone = errors.New("said goodbye")
	// errUnheard: the peer no longer reads.
	errUnheard = errors.New("it no longer reads answers")
	// errDisk: the server makes no promise that the log could not keep.
	errDisk = errors.New("the server's disk is full or broken: the music plays on, but no song can be asked for until it is repaired")
	// errRoom: the memory that is left for the log is for songs and listeners that leave.
	errRoom = errors.New("the server's disk has been full or broken for long: the music plays on, but nobody else can join until it is repaired")
	// errPlace: there are too many connections of its kind, and its address has the most of them.
	errPlace = errors.New("the server is full, and your address has the most connections: try again later")
)

// begin greets the peer, then serves it in another goroutine: the stack of the handshake is many times as deep,
// and would stay as long as its goroutine. over is called when the conversation has ended; the actor closes the
// connection.
func (t *requestTalk) begin(over func()) {
	err := t.greet()
	if err == nil {
		t.spawn(func() {
			t.serve()
			over()
		})
		return
	}
	if errors.Is(err, errDone) {
		linger(t.conn)
	}
	over()
}

// serve answers lines until the peer or the server ends the connection. It first answers what
// the peer asked before it ended the connection.
func (t *requestTalk) serve() {
	if t.session != nil && t.session.web || t.standIn == nil && beginsWeb(t.r) {
		t.web()
		return
	}
	t.lines = &lineReader{from: &begun{Conn: t.conn, r: t.r}}
	if t.session == nil { // telnet knows no TLS
		t.lines.from = &typed{r: t.r}
	}
	t.r = nil
	t.out.open(t.conn, t.spawn)
	defer t.out.end() // after a panic, too
	err := t.read()
	t.busy.Wait()
	if t.end.Load().ends == lost {
		t.end.Store(&end{lost, t.whyLost(err)})
	}
	t.out.finish()
	linger(t.conn)
}

// spawn runs f in a goroutine of the connection.
func (t *requestTalk) spawn(f func()) { guard(t.root, t.self, f) }

// whyLost says why the connection of a listener ended that did not say goodbye.
func (t *requestTalk) whyLost(err error) string {
	switch {
	case t.out.slow.Load():
		return errStuck.Error()
	case timedOut(err):
		return fmt.Sprintf("it said nothing for %v", nativeSilence)
	case errors.Is(err, io.EOF):
		return "its request connection ended"
	}
	return reasonOf(err)
}

// greet waits for the first byte, and starts TLS if the peer begins with it. An error ends the
// connection, before anybody was told of it.
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
	if err := t.pace.arrivals.of(t.from()).Wait(t.life); err != nil {
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

// admitSeed lets in a client of 2016.
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
		line, err := t.lines.readLine()
		line = strings.TrimPrefix(line, mark)
		if err == nil {
			t.heard.Store(time.Now().UnixNano())
		}
		if err := t.over(line, err, &bad); err != nil {
			return err
		}
		if t.cfg.Auth != nil && !t.known && !t.isHost() { // until then it stays in the pot of silent connections
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
		if err := pace.Wait(t.life); err != nil { // holds up only this connection
			return err
		}
		// What a listener said before its end counts even if it no longer reads the answer.
		if err := t.handle(line); err != nil && (t.node == nil || !errors.Is(err, errUnheard)) {
			return err
		}
	}
}

// over returns why the connection ends after this read, and tells the peer; nil: it goes on. bad counts the
// lines that are not text.
func (t *requestTalk) over(line string, err error, bad *int) error {
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
		// Nobody types a zero byte. The peer is a program that takes this for another port,
		// and may send somebody else's lines.
		if *bad++; *bad > badLines || strings.ContainsRune(line, 0) {
			t.say("This is not plain text. Goodbye.")
			return err
		}
	case err != nil:
		return err
	}
	return nil
}

// place moves the connection to the pot that its first line belongs to; false if the connection
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

// dismissed tells the peer that the connection ends because others need its place.
func (t *requestTalk) dismissed() error {
	if t.node != nil || t.session != nil && !t.visits {
		_ = t.put(&messages.Refused{Reason: errPlace.Error()})
	} else {
		t.say(sentence(errPlace))
	}
	return errPlace
}

// put sends one native line. It waits for room in the outbox.
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

// say sends one line of text. It waits for room in the outbox.
func (t *requestTalk) say(line string) { t.out.put([]byte(line + "\n")) }
