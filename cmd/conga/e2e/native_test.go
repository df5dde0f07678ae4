package e2e

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"net"
	"sync"
	"testing"
	"time"

	"conga/messages"
	"conga/transport"

	"google.golang.org/protobuf/proto"
)

// anyServer trusts whoever answers.
type anyServer struct{}

func (anyServer) Check(ed25519.PublicKey) error { return nil }
func (anyServer) Keep(ed25519.PublicKey)        {}
func (anyServer) Distrust(error)                {}

// native is a listener that a test plays: a member in good standing, with a key of its own, that
// says what the test wants.
type native struct {
	*transport.Secured
	identity *transport.Identity
	member   *transport.Membership

	mu      sync.Mutex
	above   *messages.Neighbours // the newest
	refused *messages.Refused
	welcome *messages.Welcome
	over    bool
	changed chan struct{}
}

func newNative() *native {
	n := &native{identity: transport.NewIdentity(), changed: make(chan struct{})}
	n.member = transport.NewMembership(n.identity, "", anyServer{})
	return n
}

// joinNative says HELLO and waits for WELCOME. It pings as listeners do, until the test ends.
func joinNative(t testing.TB, server *process, node *messages.Node, leaf bool) *native {
	t.Helper()
	n := newNative()
	n.hello(t, dialNode(t, server.requests()), node, leaf)
	n.wait(t, "a WELCOME", func() bool { return n.welcome != nil || n.refused != nil || n.over })
	if n.welcome == nil {
		t.Fatalf("refused: %v", n.refused)
	}
	return n
}

// hello begins a request connection.
func (n *native) hello(t testing.TB, raw net.Conn, node *messages.Node, leaf bool) {
	t.Helper()
	var err error
	if n.Secured, err = n.member.Secure(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	n.put(t, n.Introduce(&messages.Hello{Version: messages.DialectVersion, Node: node, Leaf: leaf}))
	conn, ctx := n.Secured, t.Context()
	t.Cleanup(func() { _ = raw.Close() })
	var done sync.WaitGroup
	t.Cleanup(done.Wait)
	ctx, cancel := context.WithCancel(ctx)
	t.Cleanup(cancel)
	done.Go(func() {
		every := time.NewTicker(time.Second)
		defer every.Stop()
		for {
			select {
			case <-every.C:
				line, _ := transport.AppendLine(nil, &messages.ClockPing{SentUs: 1})
				_, _ = conn.Write(line) // the reader sees the end
			case <-ctx.Done():
				return
			}
		}
	})
	go n.read(conn)
}

func (n *native) read(conn net.Conn) {
	_ = conn.SetReadDeadline(time.Time{})
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m, err := transport.ParseLine(lines.Text())
		if err != nil {
			continue
		}
		n.tell(func() {
			switch m := m.(type) {
			case *messages.Welcome:
				n.welcome = m
			case *messages.Refused:
				n.refused = m
			case *messages.Neighbours:
				n.above = m
			}
		})
	}
	n.tell(func() { n.over = true })
}

func (n *native) tell(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	close(n.changed)
	n.changed = make(chan struct{})
}

// wait returns when what the server has said so far is enough.
func (n *native) wait(t testing.TB, what string, enough func() bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		n.mu.Lock()
		done, changed := enough(), n.changed
		n.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// ancestors are the newest that the server told, the server itself not among them.
func (n *native) ancestors(t testing.TB) (above []*messages.Node) {
	t.Helper()
	n.wait(t, "neighbours", func() bool { return n.above != nil })
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, node := range n.above.GetAncestors() {
		if node.GetId() != messages.ServerID {
			above = append(above, node)
		}
	}
	return above
}

func (n *native) put(t testing.TB, m proto.Message) {
	t.Helper()
	line, err := transport.AppendLine(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Write(line); err != nil {
		t.Fatal(err)
	}
}

// hiTo is the HI to a node, said now.
func hiTo(t testing.TB, who *transport.Identity, id string) []byte {
	t.Helper()
	open := &messages.OpenStream{Version: messages.DialectVersion, Upstream: id, PlayAtUnixUs: time.Now().UnixMicro()}
	who.SignOpen(open, time.Now().UnixMicro())
	return frameOf(t, messages.KindHi, open)
}

func frameOf(t testing.TB, kind messages.Kind, m proto.Message) []byte {
	t.Helper()
	payload, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := transport.AppendFrame(nil, transport.Frame{Kind: kind, Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// openedBy reads the answer to a HI.
func openedBy(t testing.TB, r *bufio.Reader) *messages.StreamOpened {
	t.Helper()
	frame, err := transport.ReadFrame(r)
	if err != nil {
		t.Fatal(err)
	}
	answer := &messages.StreamOpened{}
	if err := proto.Unmarshal(frame.Payload, answer); err != nil || frame.Kind != messages.KindHi {
		t.Fatalf("%s %v", frame.Kind, err)
	}
	return answer
}
