package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
	"conga/messages"
	"conga/messages/ports"
	"conga/transport"
)

// meddling is what becomes of a chunk on one connection: n counts the chunks on all of them, held is what it holds back.
type meddling func(n int, frame transport.Frame, held *transport.Frame) []transport.Frame

// meddler is a relay that lies: it stands before an honest node's port, and all that
// the node sends down passes through it.
type meddler struct {
	net.Listener
	to     string
	meddle meddling
	chunks atomic.Int64
	lied   atomic.Pointer[time.Time] // when the first chunk was passed on that is not as it came
}

func startMeddler(t *testing.T, to string, meddle meddling) *meddler {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &meddler{Listener: listener, to: to, meddle: meddle}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go m.pass(conn)
		}
	}()
	return m
}

func (m *meddler) pass(down net.Conn) {
	defer down.Close()
	up, err := net.Dial("tcp", m.to)
	if err != nil {
		return
	}
	defer up.Close()
	go func() {
		_, _ = io.Copy(up, down)
		_ = up.Close()
	}()
	r := bufio.NewReader(up)
	var held transport.Frame
	for {
		frame, err := transport.ReadFrame(r)
		if err != nil {
			return
		}
		frames := []transport.Frame{frame}
		if frame.Kind == messages.KindChunk {
			frames = m.meddle(int(m.chunks.Add(1)), frame, &held)
			if len(frames) != 1 || !bytes.Equal(frames[0].Payload, frame.Payload) {
				now := time.Now()
				m.lied.CompareAndSwap(nil, &now)
			}
		}
		var wire []byte
		for _, f := range frames {
			if wire, err = transport.AppendFrame(wire, f); err != nil {
				return
			}
		}
		if _, err := down.Write(wire); err != nil {
			return
		}
	}
}

// A relay that alters, repeats, skips or renumbers what it passes on is named in the log,
// bypassed, and feeds nobody any more; those below it lose nothing and never hear a wrong
// frame.
func TestE2E_Liars(t *testing.T) {
	t.Parallel()
	// Every so many chunks, so that everybody is in the middle of it, and it is not only a node that tries another upstream
	// that sees the lie.
	const honest = 30
	for name, meddle := range map[string]meddling{
		"alters a bit": func(n int, f transport.Frame, _ *transport.Frame) []transport.Frame {
			if n%honest == 0 {
				f.Payload = bytes.Clone(f.Payload)
				f.Payload[len(f.Payload)/2] ^= 1
			}
			return []transport.Frame{f}
		},
		"repeats": func(n int, f transport.Frame, _ *transport.Frame) []transport.Frame {
			if n%honest == 0 {
				return []transport.Frame{f, f}
			}
			return []transport.Frame{f}
		},
		"skips": func(n int, f transport.Frame, _ *transport.Frame) []transport.Frame {
			if n%honest == 0 {
				return nil
			}
			return []transport.Frame{f}
		},
		"swaps two": func(n int, f transport.Frame, held *transport.Frame) []transport.Frame {
			if held.Payload != nil {
				late := *held
				*held = transport.Frame{}
				return []transport.Frame{f, late}
			}
			if n%honest == 0 {
				*held = f
				return nil
			}
			return []transport.Frame{f}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			server := launchServer(t, congatest.Long(t, "bach.mp3"), data)
			port := freePort(t)
			liar := startMeddler(t, port, meddle)
			amy := launchListener(t, server, "amy").awaitReady(t, listenerReady)
			bob := launchListener(t, server, "bob", "--listen", port, "--advertise", liar.Addr().String()).awaitReady(t, listenerReady)
			cem := launchListener(t, server, "cem").awaitReady(t, listenerReady)
			dora := launchListener(t, server, "dora").awaitReady(t, listenerReady)
			awaitChain(t, server, []*process{amy, bob, cem, dora})
			eventually(t, "bob is bypassed", func() string {
				if up := cem.dump(t).Live.Relay.Upstream; liar.lied.Load() == nil || up != "amy" {
					return fmt.Sprintf("cem receives from %s, %d chunks passed", up, liar.chunks.Load())
				}
				return ""
			})
			t.Logf("bypassed %v after the lie", time.Since(*liar.lied.Load()))
			repeated := int64(0) // an item that comes again is counted, and dropped
			if name == "repeats" {
				repeated = 1
			}
			for _, p := range []*process{amy, cem, dora} {
				p.hears(t)
				if r := p.dump(t).Live.Relay; r.Lost != 0 || r.Twice > repeated {
					t.Errorf("%s: lost %d, twice %d", p.name, r.Lost, r.Twice)
				}
			}
			_, log, _ := conga(t, "log", "show", "--data", data)
			words := []string{"ListenerMoved", "name=bob"}
			if name == "skips" {
				words = append(words, "fault=FAULT_SKIPPING")
			}
			if !lineWith(log, words...) {
				t.Errorf("the log does not name bob:\n%s", log)
			}
		})
	}
}

// freePort is an address where nobody listens, and which nobody gets by chance.
func freePort(t *testing.T) string { return freePorts(t, 1) }

// freePorts is the address of the first of n such ports in a row.
func freePorts(t *testing.T, n int) string {
	t.Helper()
	first, err := ports.Free(n)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", first)
}

func lineWith(text string, parts ...string) bool {
	for line := range strings.Lines(text) {
		found := true
		for _, part := range parts {
			found = found && strings.Contains(line, part)
		}
		if found {
			return true
		}
	}
	return false
}

// A listener whose port is closed from outside joins in the middle: the chain grows, and
// the one behind it is fed by a connection that it makes itself.
func TestE2E_ClosedPort(t *testing.T) {
	t.Parallel()
	nobody := freePort(t)
	server := launchServer(t, congatest.Long(t, "bach.mp3"), t.TempDir())
	amy := launchListener(t, server, "amy").awaitReady(t, listenerReady)
	bob := launchListener(t, server, "bob", "--advertise", nobody).awaitReady(t, listenerReady)
	cem := launchListener(t, server, "cem").awaitReady(t, listenerReady)
	dora := launchListener(t, server, "dora", "--advertise", nobody).awaitReady(t, listenerReady)
	emil := launchListener(t, server, "emil").awaitReady(t, listenerReady)
	for below, above := range map[*process]string{cem: "bob", emil: "dora", bob: "amy", dora: "cem"} {
		eventually(t, below.name+" is fed by "+above, func() string {
			if up := below.dump(t).Live.Relay.Upstream; up != above {
				return "it is fed by " + up
			}
			return ""
		})
	}
	for _, p := range []*process{amy, bob, cem, dora, emil} {
		p.hears(t)
		p.unhurt(t)
	}
}
