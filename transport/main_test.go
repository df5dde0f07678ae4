package transport

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	amy, bob, cem       = IdentityOf(keyFrom(11)), IdentityOf(keyFrom(12)), IdentityOf(keyFrom(13))
	amyID, bobID, cemID = amy.ID(), bob.ID(), cem.ID()
)

// patience is how long a test waits for what must come; it is never waited out.
const patience = 10 * time.Second

func newSystem(t *testing.T) *actor.ActorSystem {
	t.Helper()
	// A dead letter leaves a goroutine behind for as long as this interval.
	t.Cleanup(func() { <-time.After(2 * time.Millisecond) })
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond),
	)
}

// spawn starts an actor that the test stops at its end.
func spawn(t *testing.T, system *actor.ActorSystem, props *actor.Props) *actor.PID {
	t.Helper()
	pid := system.Root.Spawn(props)
	t.Cleanup(func() { stop(t, system, pid) })
	return pid
}

// stumble breaks an actor that is spawned with stumbling.
type stumble struct{}

var stumbling = actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(ctx actor.ReceiverContext, envelope *actor.MessageEnvelope) {
		if _, is := envelope.Message.(stumble); is {
			panic("it stumbled")
		}
		next(ctx, envelope)
	}
})

// stop waits until the actor and its children are gone. (StopFuture would leave a timer
// in a synctest bubble.)
func stop(t *testing.T, system *actor.ActorSystem, pid *actor.PID) {
	t.Helper()
	gone := make(chan struct{})
	watcher := system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case *actor.Started:
			ctx.Watch(pid)
			ctx.Stop(pid)
		case *actor.Terminated:
			close(gone)
			ctx.Stop(ctx.Self())
		}
	}))
	_ = watcher
	<-gone
}

// probe is an actor that keeps all it is told.
func probe(t *testing.T, system *actor.ActorSystem) (*actor.PID, <-chan any) {
	t.Helper()
	heard := make(chan any, 4096)
	return spawn(t, system, actor.PropsFromFunc(func(ctx actor.Context) {
		switch msg := ctx.Message().(type) {
		case actor.AutoReceiveMessage, actor.SystemMessage, *actor.Started, *actor.Stopping, *actor.Stopped:
		default:
			heard <- msg
		}
	})), heard
}

// await returns the next message of type M and fails on any other.
func await[M any](t *testing.T, heard <-chan any) M {
	t.Helper()
	select {
	case m := <-heard:
		if said, is := m.(*messages.RequestsSaid); is { // of whichever link the test has
			m = said.Said
		}
		want, is := m.(M)
		if !is {
			t.Fatalf("heard %T %v, want a %T", m, m, want)
		}
		return want
	case <-time.After(patience):
		var want M
		t.Fatalf("waited in vain for a %T", want)
		return want
	}
}

// pipes is a listener over net.Pipe, whose deadlines follow a synctest bubble's clock.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial(t *testing.T) net.Conn {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { _ = here.Close() })
	p.conns <- there
	return here
}

// dialFrom dials as a peer with another address does.
func (p *pipes) dialFrom(t *testing.T, from string) net.Conn {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { _ = here.Close() })
	p.conns <- peer{there, someAddr(from)}
	return here
}

// peer is a connection from an address.
type peer struct {
	net.Conn
	from net.Addr
}

func (p peer) RemoteAddr() net.Addr { return p.from }

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	return conn
}

// ends reads until the other side has closed; what it said before does not matter.
func ends(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(2 * patience))
	if _, err := io.Copy(io.Discard, conn); timedOut(err) {
		t.Fatal("the connection lives on")
	}
}

func mustFrame(t *testing.T, kind messages.Kind, m proto.Message) []byte {
	t.Helper()
	payload, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	b, err := AppendFrame(nil, Frame{Kind: kind, Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readFrame reads the next frame and fails unless it is of the kind.
func readFrame(t *testing.T, r *bufio.Reader, kind messages.Kind) Frame {
	t.Helper()
	frame, err := ReadFrame(r)
	if err != nil {
		t.Fatalf("waiting for %s: %v", kind, err)
	}
	if frame.Kind != kind {
		t.Fatalf("read %s, want %s", frame.Kind, kind)
	}
	return frame
}

func unmarshal[M proto.Message](t *testing.T, b []byte, m M) M {
	t.Helper()
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatal(err)
	}
	return m
}

var errTest = errors.New("no room at the inn")
