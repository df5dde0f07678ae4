package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"conga/messages"
	"conga/transport"

	"google.golang.org/protobuf/proto"
)

// steering is what makes a terminal do something, and a line that only conga says.
const steering = "\x1b]0;OWNED\x07\x1b[2J\u009b31m\u202eall is well\r\nready relay=6.6.6.6:1"

// mallory is one stranger with one address, members in good standing among her identities, who does
// all at once that a stranger can think of. What becomes of each try does not matter to her.
type mallory struct {
	from   net.Addr
	server *process
	honest []*messages.Node // whom she wants to hurt
	done   sync.WaitGroup

	mu  sync.Mutex
	did map[string]int // what she tried, how often
}

func newMallory(server *process, address string) *mallory {
	return &mallory{from: &net.TCPAddr{IP: net.ParseIP(address)}, server: server, did: map[string]int{}}
}

// targets are the stream ports: node id to address.
func (m *mallory) targets() map[string]string {
	all := map[string]string{messages.ServerID: m.server.stream()}
	for _, node := range m.honest {
		all[node.GetId()] = node.GetRelay()
	}
	return all
}

// tried counts, for the report.
func (m *mallory) tried(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.did[what]++
}

// times is how often it was done.
func (m *mallory) times(what string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.did[what]
}

func (m *mallory) account() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprint(m.did)
}

// keepAt does it again and again, in so many goroutines, at most once in `every` each, until
// ctx ends.
func (m *mallory) keepAt(ctx context.Context, what string, workers int, every time.Duration, do func(ctx context.Context, worker int)) {
	for worker := range workers {
		m.done.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for ctx.Err() == nil {
				do(ctx, worker)
				m.tried(what)
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
}

// with talks on one connection from her address, which ends with ctx.
func (m *mallory) with(ctx context.Context, addr string, talk func(net.Conn)) {
	dialer := net.Dialer{LocalAddr: m.from, Timeout: 2 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	talk(conn)
}

// guise is a connection of one of her identities, which stands in the chain.
type guise struct {
	raw   net.Conn
	conn  net.Conn
	above atomic.Pointer[messages.Node] // whom the chain sends it to
}

// say is false when the connection is over.
func (s *guise) say(words ...proto.Message) bool {
	var lines []byte
	for _, word := range words {
		lines, _ = transport.AppendLine(lines, word)
	}
	_ = s.raw.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, err := s.conn.Write(lines)
	return err == nil
}

// listen reads what the server says.
func (s *guise) listen(r *bufio.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m, err := transport.ParseLine(lines.Text())
		if n, is := m.(*messages.Neighbours); err == nil && is && len(n.GetAncestors()) > 0 {
			s.above.Store(n.GetAncestors()[0])
		}
	}
}

// asMember joins as a leaf and talks.
func (m *mallory) asMember(ctx context.Context, who *transport.Identity, talk func(*guise)) {
	m.with(ctx, m.server.requests(), func(raw net.Conn) {
		_ = raw.SetDeadline(time.Now().Add(5 * time.Second))
		conn, err := transport.NewMembership(who, "", anyServer{}).Secure(ctx, raw)
		if err != nil {
			return
		}
		s := &guise{raw: raw, conn: conn}
		if !s.say(conn.Introduce(&messages.Hello{Version: messages.DialectVersion, Node: &messages.Node{Name: "mallory"}, Leaf: true})) {
			return
		}
		r := bufio.NewReaderSize(conn, 64<<10)
		if answer, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(answer, "WELCOME") {
			return
		}
		_ = raw.SetReadDeadline(time.Time{})
		var reading sync.WaitGroup
		reading.Go(func() { s.listen(r) })
		talk(s)
		_ = raw.Close()
		reading.Wait()
	})
}

// faults are all that one node can say of another.
var faults = []messages.Fault{
	messages.Fault_FAULT_UNSPECIFIED, messages.Fault_FAULT_GONE, messages.Fault_FAULT_SILENT, messages.Fault_FAULT_STARVING,
	messages.Fault_FAULT_SLOW, messages.Fault_FAULT_SKIPPING, messages.Fault_FAULT_LYING,
}

// attack begins all of it and returns; it ends with ctx.
func (m *mallory) attack(ctx context.Context, identities int) {
	// One identity accuses everybody of everything, reports what never was, and asks for songs that
	// take a line each to refuse.
	known := transport.NewIdentity()
	m.keepAt(ctx, "floods of words", 1, time.Second, func(ctx context.Context, _ int) {
		m.asMember(ctx, known, func(s *guise) {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				node, fault := m.honest[n%len(m.honest)], faults[n/len(m.honest)%len(faults)]
				if !s.say(
					&messages.PeerLost{Id: node.GetId(), Fault: fault, Reason: steering + strings.Repeat("x", 300)},
					&messages.Reconnected{Upstream: node, Lost: m.honest[0], Reason: steering, SearchUs: 1 << 50, Missing: 1 << 60, BufferedUs: -1 << 50},
					&messages.Ask{RequestId: fmt.Sprint(n), Line: "PLAY " + strings.Repeat("é", 1500)},
				) {
					return
				}
				m.tried("accusations, reports, wishes")
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	})
	// Many identities of hers stand in the chain; each accuses one, and takes its music from where the
	// chain sends it, from the beginning of what there is.
	for i := range identities {
		who := transport.NewIdentity()
		m.keepAt(ctx, "members of hers", 1, time.Second, func(ctx context.Context, _ int) {
			m.asMember(ctx, who, func(s *guise) {
				tick := time.NewTicker(time.Second)
				defer tick.Stop()
				for s.say(&messages.ClockPing{SentUs: 1}, &messages.PeerLost{
					Id: m.honest[i%len(m.honest)].GetId(), Fault: messages.Fault_FAULT_LYING, Reason: "it sent what the server did not",
				}) && ctx.Err() == nil {
					if above := s.above.Load(); above.GetRelay() != "" {
						m.hi(ctx, who, above.GetId(), above.GetRelay(), 4*time.Second)
						m.tried("streams of hers")
					}
					select {
					case <-tick.C:
					case <-ctx.Done():
					}
				}
			})
		})
	}
	m.keepAt(ctx, "comes and goes", 4, 20*time.Millisecond, func(ctx context.Context, worker int) {
		m.asMember(ctx, transport.NewIdentity(), func(s *guise) {
			if worker%2 == 0 {
				s.say(&messages.LeaveChain{})
			}
		})
	})
	// At every port: those whom nobody sent, words that were said before, garbage, web pages, silence.
	for id, addr := range m.targets() {
		m.keepAt(ctx, "strangers' HI", 3, 50*time.Millisecond, func(ctx context.Context, _ int) {
			m.hi(ctx, transport.NewIdentity(), id, addr, time.Second)
		})
		again := m.words(transport.NewIdentity(), id)
		m.keepAt(ctx, "the same HI", 1, 100*time.Millisecond, func(ctx context.Context, _ int) { m.say(ctx, addr, again) })
		m.keepAt(ctx, "silence", 8, time.Second, func(ctx context.Context, _ int) { m.say(ctx, addr, nil) })
		m.keepAt(ctx, "garbage", 1, 200*time.Millisecond, func(ctx context.Context, _ int) {
			m.say(ctx, addr, []byte(strings.Repeat("NS9999", 1000)))
		})
	}
	const post = "POST / HTTP/1.1\r\nHost: radio\r\nOrigin: http://page.example\r\n\r\nPLAY 1\nPLAY 2\nPLAY 3\n"
	m.keepAt(ctx, "web pages", 2, 50*time.Millisecond, func(ctx context.Context, _ int) { m.say(ctx, m.server.requests(), []byte(post)) })
	m.keepAt(ctx, "rebound names", 1, 200*time.Millisecond, func(ctx context.Context, _ int) { m.rebound(ctx) })
	m.keepAt(ctx, "people who stay", 40, time.Second, func(ctx context.Context, _ int) { m.say(ctx, m.server.requests(), []byte("HELP\n")) })
	m.keepAt(ctx, "silence", 40, time.Second, func(ctx context.Context, _ int) { m.say(ctx, m.server.requests(), nil) })
	m.keepAt(ctx, "wishes of 4 kB", 4, 20*time.Millisecond, func(ctx context.Context, _ int) {
		m.say(ctx, m.server.requests(), []byte(strings.Repeat("PLAY "+strings.Repeat("x", 4000)+"\n", 10)+"QUIT\n"))
	})
}

// words is a HI that can be said again.
func (m *mallory) words(who *transport.Identity, to string) []byte {
	open := &messages.OpenStream{Version: messages.DialectVersion, Upstream: to, PlayAtUnixUs: 1}
	who.SignOpen(open, time.Now().UnixMicro())
	payload, _ := proto.Marshal(open)
	frame, _ := transport.AppendFrame(nil, transport.Frame{Kind: messages.KindHi, Payload: payload})
	return frame
}

// hi asks for the music and takes it for so long.
func (m *mallory) hi(ctx context.Context, who *transport.Identity, to, addr string, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m.say(ctx, addr, m.words(who, to))
}

// say says it and hears what comes until the other end hangs up.
func (m *mallory) say(ctx context.Context, addr string, words []byte) {
	m.with(ctx, addr, func(conn net.Conn) {
		_, _ = conn.Write(words)
		_, _ = io.Copy(io.Discard, conn)
	})
}

// rebound asks for the dump by a name of hers.
func (m *mallory) rebound(ctx context.Context) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.server.ready["http"]+"/debug/dump", http.NoBody)
	if err != nil {
		return
	}
	request.Host = "rebound.page.example"
	answer, err := dumper.Do(request)
	if err != nil {
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		m.tried("READ THE DUMP")
	}
}
