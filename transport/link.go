package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// RequestLinkConfig says which server to talk to. It is for one connection: its Link is
// never used again.
type RequestLinkConfig struct {
	Link   uint64
	Addr   string      // host:port of the server's requests
	Member *Membership // speaks TLS, and knows which server to trust; nil: plain text, and every server is trusted
	// Proved is called for each connection that reached somebody: with nil if that was the server, which has
	// the key, otherwise with the error. May be nil.
	Proved func(error)
	Dial   DialFunc // nil: DialServer
	// Local is the clock by which pings are stamped when they are written; nil: they keep the stamp that they have.
	Local func(time.Time) int64
}

// RequestLink is a listener's request connection, a child of its requester. It tells its
// parent RequestsOpened, then RequestsSaid for every line of the server, and in any case
// RequestsClosed at the end. Then it stops; if a goroutine panicked, it fails, and its parent should stop
// it. It never reconnects and sends nothing by itself.
//
// Messages that have a line (Hello, Ask, ClockPing, PeerLost, LeaveChain) go to the server in the order in
// which they come, even if they are sent before the connection is open. Only Hello must come after
// RequestsOpened, because its proofs are valid for one connection. When poisoned, the link first sends what
// it was given. The server ends the connection after LeaveChain, so RequestsClosed then means that the
// server has got it.
func RequestLink(cfg RequestLinkConfig) *actor.Props {
	if cfg.Dial == nil {
		cfg.Dial = DialServer
	}
	if cfg.Proved == nil {
		cfg.Proved = func(error) {}
	}
	return actor.PropsFromProducer(func() actor.Actor { return &link{cfg: &cfg} })
}

type link struct {
	cfg  *RequestLinkConfig
	stop context.CancelCauseFunc
	out  *outbox
	left bool                    // LeaveChain was sent
	conn atomic.Pointer[Secured] // completes Hello; set before RequestsOpened is told
}

// Receive queues messages for the server; linkTalk reads.
func (l *link) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		root, self := ctx.ActorSystem().Root, ctx.Self()
		life, stop := context.WithCancelCause(context.Background())
		l.stop = stop
		l.out = newOutbox(&atomic.Int64{}, func(err error) { stop(err) })
		talk := &linkTalk{cfg: l.cfg, root: root, self: self, parent: ctx.Parent(), out: l.out, secured: &l.conn}
		guard(root, self, func() {
			err := talk.run(life)
			root.Send(talk.parent, &messages.RequestsClosed{Link: l.cfg.Link, Reason: reasonOf(err)})
			root.Stop(self)
		})
	case proto.Message:
		switch said := msg.(type) {
		case *messages.Hello:
			msg = l.introduced(said)
		case *messages.LeaveChain:
			l.left = true
		case *messages.ClockPing:
			l.ping(said)
			return
		}
		if line, err := AppendLine(nil, msg); err == nil { // a message without a line is not for the server
			l.out.push(line)
		}
	case *crashed:
		ctx.Send(ctx.Parent(), &messages.RequestsClosed{Link: l.cfg.Link, Reason: reasonOf(msg.reason)})
		panic(msg.reason)
	case *actor.Stopping, *actor.Restarting:
		if l.left {
			l.stop(errGoodbye)
		} else {
			l.stop(context.Canceled)
		}
	}
}

// ping sends a ping. It is stamped when it is written: a wait before that would look like a long way.
func (l *link) ping(ping *messages.ClockPing) {
	ping = proto.CloneOf(ping) // the sender keeps it
	l.out.pushLate(func() []byte {
		if l.cfg.Local != nil {
			ping.SentUs = l.cfg.Local(time.Now())
		}
		line, _ := AppendLine(nil, ping) // it has a line
		return line
	})
}

// introduced adds to the Hello the proofs for this connection.
func (l *link) introduced(hello *messages.Hello) *messages.Hello {
	if conn := l.conn.Load(); conn != nil {
		return conn.Introduce(hello)
	}
	return hello
}

// linkTalk is the conversation with the server. It belongs to one goroutine.
type linkTalk struct {
	cfg     *RequestLinkConfig
	root    *actor.RootContext
	self    *actor.PID
	parent  *actor.PID
	out     *outbox
	secured *atomic.Pointer[Secured]
}

var (
	errServerGone = errors.New("the server closed the connection")
	// errGoodbye: the link ends after the server has got its last lines.
	errGoodbye = errors.New("said goodbye")
)

// run connects and reads until the end. The error says why; it is never nil.
func (t *linkTalk) run(life context.Context) error {
	conn, err := t.cfg.Dial(life, t.cfg.Addr)
	if err != nil {
		return fmt.Errorf("dial %s: %w", t.cfg.Addr, err)
	}
	raw := net.Conn(stayAwake(conn)) // closing it never waits; closing TLS may
	conn = raw
	defer raw.Close()
	if t.cfg.Member != nil {
		if conn, err = t.secure(life, raw); err != nil {
			if life.Err() != nil {
				return context.Cause(life)
			}
			return err
		}
	}
	t.out.open(conn, func(f func()) { guard(t.root, t.self, f) })
	ended := make(chan struct{})
	stay := context.AfterFunc(life, func() {
		defer close(ended)
		switch cause := context.Cause(life); {
		case errors.Is(cause, errGoodbye):
			t.out.finish()
			_ = closeWrite(conn)
			_ = conn.SetReadDeadline(time.Now().Add(goodbyeTime)) // the server should end it by then
			return
		case errors.Is(cause, context.Canceled):
			t.out.finish()
		}
		_ = raw.Close() // wakes read
	})
	defer func() {
		if !stay() {
			<-ended
			_, _ = io.Copy(io.Discard, conn) // ends at once, except after a goodbye
		}
		_ = raw.Close()
		t.out.finish()
	}()
	t.root.Send(t.parent, &messages.RequestsOpened{Link: t.cfg.Link})
	err = t.read(life, conn)
	switch {
	case life.Err() != nil:
		return context.Cause(life)
	case errors.Is(err, io.EOF):
		return errServerGone
	}
	return err
}

// secure starts TLS with the intended server.
func (t *linkTalk) secure(life context.Context, raw net.Conn) (net.Conn, error) {
	conn, err := t.cfg.Member.Secure(life, raw)
	if life.Err() == nil {
		t.cfg.Proved(err)
	}
	if err != nil {
		t.cfg.Member.report(err)
		return nil, err
	}
	t.secured.Store(conn)
	return conn, nil
}

// read passes the server's lines on. It ignores words of a later dialect.
func (t *linkTalk) read(life context.Context, conn net.Conn) error {
	lines := &lineReader{from: conn}
	linked := false
	defer func() {
		if linked {
			t.cfg.Member.expected.linked(-1)
		}
	}()
	pace := rate.NewLimiter(linesPerSecond, linesAtOnce) // so that a flood waits in the kernel, not in the parent's mailbox
	for {
		line, err := lines.read(readReply)
		at := time.Now()
		if err != nil {
			return err
		}
		m, err := ParseLine(line)
		switch {
		case errors.Is(err, ErrUnknownVerb):
		case err != nil:
			return err
		default:
			makePlain(m.ProtoReflect())
			if t.cfg.Member != nil {
				taken, err := t.member(m)
				if err != nil {
					return err
				}
				if taken && !linked {
					linked = true
					t.cfg.Member.expected.linked(+1)
				}
			}
			t.root.Send(t.parent, &messages.RequestsSaid{Link: t.cfg.Link, Said: m, At: at})
		}
		if err := pace.Wait(life); err != nil {
			return err
		}
	}
}

// member takes from the server's message what concerns the membership. taken: the listener is in the chain.
func (t *linkTalk) member(m proto.Message) (taken bool, err error) {
	switch m := m.(type) {
	case *messages.Welcome:
		if err := t.cfg.Member.welcome(t.secured.Load().session, m); err != nil {
			t.cfg.Member.report(err)
			return false, err
		}
		return true, nil
	case *messages.Neighbours:
		t.cfg.Member.neighbours(m)
	}
	return false, nil
}

// readReply reads one line of up to maxReply bytes.
func readReply(r *bufio.Reader) (string, error) {
	var long []byte
	for {
		part, err := r.ReadSlice('\n')
		if err == nil && long == nil {
			return string(part[:len(part)-1]), nil
		}
		long = append(long, part...)
		switch {
		case err == nil:
			return string(long[:len(long)-1]), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		case len(long) > maxReply:
			return "", ErrLineTooLong
		}
	}
}
