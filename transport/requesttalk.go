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
	cfg     *RequestsConfig
	pace    *pace
	conn    net.Conn // over TLS, if the peer began with that
	r       *bufio.Reader
	session *session // of TLS; nil in plain text
	guest   *guest
	standIn *StandIn // the server's own adapter speaks; nil: a peer does
	out     *outbox
	end     *atomic.Pointer[end]
	heard   atomic.Int64 // when it last said something, unix nanoseconds
	root    *actor.RootContext
	self    *actor.PID
	parent  *actor.PID
	life    context.Context

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
	if t.end.Load().ends == lost {
		t.end.Store(&end{lost, t.whyLost(err)})
	}
	t.out.finish()
	linger(t.conn)
}

// whyLost is why the connection of a listener ended that did not say goodbye.
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
		if err := t.over(line, err, &bad); err != nil {
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

// over says why the connection ends with what was read, and tells the peer; nil: it goes on. bad counts
// the lines that are no text.
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
		// A zero byte nobody types: it is a program that takes this for another port, and
		// may send somebody else's lines.
		if *bad++; *bad > badLines || strings.ContainsRune(line, 0) {
			t.say("This is not plain text. Goodbye.")
			return err
		}
	case err != nil:
		return err
	}
	return nil
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
