package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
	"conga/cmd/internal/node"
	"conga/messages"
	"conga/transport"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"
)

// movesBy counts in the log whom that node's words have moved, of those.
func movesBy(t *testing.T, data, id string, names ...string) (moves int) {
	t.Helper()
	_, log, _ := conga(t, "log", "show", "--data", data)
	for line := range strings.Lines(log) {
		for _, name := range names {
			if strings.Contains(line, "ListenerMoved") && strings.Contains(line, "seen_by="+id) && regexp.MustCompile(`\bname=`+name+`\b`).MatchString(line) {
				moves++
			}
		}
	}
	return moves
}

// A member in good standing says of whoever feeds it all that can be said, two hundred times. One
// of those moves, perhaps another; nobody is convicted, and nobody hears anything of it.
func TestE2E_OneVoice(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	server := launchServer(t, congatest.Long(t, "bach.mp3"), data)
	names := []string{"amy", "bob", "cem", "dora"}
	honest := joinChain(t, server, names...)
	mallory := joinNative(t, server, nil, true)
	next := time.NewTicker(20 * time.Millisecond)
	defer next.Stop()
	for n := range 200 {
		<-next.C
		if above := mallory.ancestors(t); len(above) > 0 {
			mallory.put(t, &messages.PeerLost{
				Id: above[0].GetId(), Reason: "it is bad", Fault: messages.Fault(n % 8),
			})
		}
	}
	eventually(t, "the server has looked", func() string {
		_, log, _ := conga(t, "log", "show", "--data", data)
		if !lineWith(log, "ListenerAudited") {
			return "nothing of it in the log"
		}
		return ""
	})
	if moves := movesBy(t, data, mallory.identity.ID(), names...); moves > 2 {
		t.Errorf("honest listeners were moved %d times", moves)
	}
	_, log, _ := conga(t, "log", "show", "--data", data)
	for _, fault := range []string{"FAULT_LYING", "FAULT_SKIPPING"} { // a busy machine may look slow
		if lineWith(log, "ListenerAudited", "fault="+fault) || lineWith(log, "convicted=true") {
			t.Errorf("somebody is convicted:\n%s", log)
		}
	}
	for _, listener := range honest {
		listener.hears(t)
		listener.unhurt(t)
	}
}

// A relay alters every tenth chunk. The server hears of it, looks itself, and sees it: from then
// on it feeds nobody, and a newcomer behind it is fed by somebody else.
func TestE2E_LiarConvicted(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	server := launchServer(t, congatest.Long(t, "bach.mp3"), data)
	port := freePort(t)
	liar := startMeddler(t, port, func(n int, f transport.Frame, _ *transport.Frame) []transport.Frame {
		if n%10 == 9 {
			f.Payload[len(f.Payload)/2] ^= 1
		}
		return []transport.Frame{f}
	})
	amy := launchListener(t, server, "amy").awaitReady(t, listenerReady)
	launchListener(t, server, "bob", "--listen", port, "--advertise", liar.Addr().String()).awaitReady(t, listenerReady)
	cem := launchListener(t, server, "cem").awaitReady(t, listenerReady)
	eventually(t, "bob is convicted", func() string {
		_, log, _ := conga(t, "log", "show", "--data", data)
		if !lineWith(log, "ListenerAudited", "name=bob", "fault=FAULT_LYING") {
			return log
		}
		return ""
	})
	dora := launchListener(t, server, "dora").awaitReady(t, listenerReady)
	for _, p := range []*process{amy, cem, dora} {
		p.hears(t)
		p.unhurt(t)
	}
	if up := dora.dump(t).Live.Relay.Upstream; up == "bob" {
		t.Error("dora is fed by bob")
	}
}

// noMusic is what the relays of fakes give out: nothing.
type noMusic struct{}

func (noMusic) Next(ctx context.Context) (*messages.Item, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
func (noMusic) Close() {}

// Sixty of one address join and never send a chunk: they answer whoever comes and say nothing, or
// cannot be reached and never dial. Whoever joins behind them hears all the same, and the server
// feeds few more than before.
func TestE2E_ManyOfOneAddress(t *testing.T) {
	for name, reachable := range map[string]bool{"they are mute": true, "they are closed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			server := launchServer(t, congatest.Long(t, "bach.mp3"), data)
			honest := joinChain(t, server, "amy", "bob")
			system := node.NewSystem(slog.New(slog.DiscardHandler))
			for i := range 60 {
				joinFake(t, server, system, fmt.Sprint("fake", i), reachable)
			}
			honest = append(honest, joinChain(t, server, "cem", "dora", "emil")...)
			for _, p := range honest {
				p.hears(t)
			}
			before := server.dump(t).Live.Pacer
			for _, p := range honest {
				for range 5 {
					p.hears(t)
				}
				p.unhurt(t)
				t.Logf("%s is fed by %s", p.name, p.dump(t).Live.Relay.Upstream)
			}
			after := server.dump(t).Live.Pacer
			sent, streams := after.ChunksSent-before.ChunksSent, int64(after.Next-before.Next)
			t.Logf("the server sent %d chunks of %d", sent, streams)
			if sent > 4*streams {
				t.Errorf("the server feeds %d at once", sent/streams)
			}
		})
	}
}

// joinFake joins from 127.0.6.6, with a relay of its own that never sends a chunk.
func joinFake(t *testing.T, server *process, system *actor.ActorSystem, name string, reachable bool) {
	t.Helper()
	port, err := net.Listen("tcp", "127.0.6.6:0")
	if err != nil {
		t.Skip("this machine has one loopback address only:", err)
	}
	fake := newNative()
	if reachable {
		nobody := system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
		pid := system.Root.Spawn(transport.Streams(transport.StreamsConfig{
			Listener: port, Owner: nobody, Identity: fake.identity,
			Self:  func() *messages.Node { return &messages.Node{Id: fake.identity.ID(), Name: name} },
			Epoch: func() uint64 { return 1 },
			Open:  func(*messages.OpenStream) (transport.Cursor, error) { return noMusic{}, nil },
		}))
		t.Cleanup(func() { _ = system.Root.StopFuture(pid).Wait() })
	} else {
		_ = port.Close()
	}
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 6, 6)}, Timeout: patience}
	conn, err := from.Dial("tcp", server.requests())
	if err != nil {
		t.Fatal(err)
	}
	fake.hello(t, conn, &messages.Node{Name: name, Relay: port.Addr().String()}, false)
	fake.wait(t, "a WELCOME", func() bool { return fake.welcome != nil || fake.refused != nil || fake.over })
}

// Forty members say all the time that they lost their upstream and found it again, and others
// come and go without end. Whoever joins meanwhile is let in, who dies is taken out, and the log
// grows by what happened, not by what was said.
func TestE2E_Chatter(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	server := launchServer(t, congatest.Long(t, "bach.mp3"), data)
	honest := joinChain(t, server, "amy", "bob", "cem")
	before := server.dump(t).Event
	ctx, stop := context.WithCancel(t.Context())
	var talking sync.WaitGroup
	defer talking.Wait()
	defer stop()
	for range 40 {
		n := joinNative(t, server, nil, true)
		lost := &messages.Node{Id: uuid.NewString(), Name: strings.Repeat("x", messages.MaxName)}
		back, _ := transport.AppendLine(nil, &messages.Reconnected{Id: n.identity.ID(), Upstream: lost, Lost: lost, Reason: strings.Repeat("y", 200)})
		miss, _ := transport.AppendLine(nil, &messages.PeerLost{Id: n.ancestors(t)[0].GetId(), Fault: messages.Fault_FAULT_GONE})
		context.AfterFunc(ctx, func() { _ = n.Close() }) // wakes a write that the server does not read
		talking.Go(func() {
			for ctx.Err() == nil {
				if _, err := n.Write(append(miss, back...)); err != nil {
					return
				}
			}
		})
	}
	restless := newNative()
	talking.Go(func() {
		for ctx.Err() == nil { // whether it is let in or not
			conn, err := net.Dial("tcp", server.requests())
			if err != nil {
				return
			}
			secured, err := restless.member.Secure(ctx, conn)
			if err == nil {
				line, _ := transport.AppendLine(nil, secured.Introduce(&messages.Hello{Version: messages.DialectVersion, Leaf: true}))
				_, _ = secured.Write(line)
				_, _ = secured.Read(make([]byte, 1))
			}
			_ = conn.Close()
		}
	})
	eventually(t, "they say too much", func() string {
		if text := server.err.String(); !strings.Contains(text, "reports are dropped") {
			return text
		}
		return ""
	})
	late := launchListener(t, server, "late").awaitReady(t, listenerReady)
	honest[1].kill()
	gone := eventually(t, "bob is out of the chain", func() string {
		if chain := server.dump(t).chain(); slices.Contains(chain, "bob") {
			return fmt.Sprint(chain)
		}
		return ""
	})
	for _, p := range []*process{honest[0], honest[2], late} {
		p.hears(t)
		p.unhurt(t)
	}
	events := server.dump(t).Event - before
	t.Logf("bob was taken out after %v; %d events", gone, events)
	if events > 2000 {
		t.Errorf("the log has %d events more", events)
	}
}
