package e2e

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
	"testing"

	"conga/cmd/internal/congatest"
	"conga/messages"
	"conga/transport"
	"conga/transport/seed/seedtest"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
)

// seedServer is a server of 2016 that plays tones.
func seedServer(t *testing.T) *seedtest.Server {
	t.Helper()
	server, err := seedtest.Serve([]string{"a.mp3", "b.mp3"}, tones())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

// joinSeedServer joins with --seed-dialect, and waits until music comes: that server tells
// connections apart by their order.
func joinSeedServer(t *testing.T, server *seedtest.Server, name string) *process {
	t.Helper()
	p := launch(t, name, "join", server.Addr, "--seed-dialect", "--name", name,
		"--output", "null", "--listen", "127.0.0.1:0", "--data", "none").awaitReady(t, listenerReady)
	p.hears(t)
	return p
}

// Who feeds nobody says goodbye as well: a server of 2016 breaks when its listener vanishes.
func TestE2E_SeedServer_LeaveAlone(t *testing.T) {
	t.Parallel()
	server := seedServer(t)
	joinSeedServer(t, server, "native").end(t)
	hearsOfLeaving(t, server)
	if err := server.Err(); err != nil {
		t.Error(err)
	}
	joinSeedServer(t, server, "another")
}

func hearsOfLeaving(t *testing.T, server *seedtest.Server) {
	t.Helper()
	eventually(t, "the server hears that a client leaves", func() string {
		if said := server.Said(); !slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "DC,HOST,127.0.0.1,PORT,") }) {
			return fmt.Sprint(said)
		}
		return ""
	})
}

// Who leaves ends the connection to the client of 2016 above it, and does not reset it.
func TestE2E_SeedServer_LeaveBelowClient(t *testing.T) {
	t.Parallel()
	server := seedServer(t)
	joinSeedServer(t, server, "first")
	client := seedClient(t, server.Addr)
	hears(t, client, 50)
	last := joinSeedServer(t, server, "last")
	last.end(t)
	now, _, _, _ := client.Heard()
	hears(t, client, now+200)
}

// hears waits until the client has heard so many messages.
func hears(t *testing.T, client *seedtest.Client, messages int64) {
	t.Helper()
	eventually(t, "a client of 2016 hears", func() string {
		now, told, _, err := client.Heard()
		if err != nil {
			t.Fatalf("it is broken: %v, after %q", err, told)
		}
		if now < messages {
			return fmt.Sprint(now)
		}
		return ""
	})
}

// Who joins without --seed-dialect is told of it, and hurts nobody: that server pairs connections
// by their order.
func TestE2E_SeedServer_WithoutTheFlag(t *testing.T) {
	t.Parallel()
	server := seedServer(t)
	first := seedClient(t, server.Addr)
	hears(t, first, 50)
	code, _, stderr := conga(t, "join", server.Addr, "--output", "null", "--listen", "127.0.0.1:0", "--data", "none")
	if code == 0 || !strings.Contains(stderr, "--seed-dialect") {
		t.Errorf("it ended with %d and %q", code, stderr)
	}
	hearsOfLeaving(t, server)
	last := seedClient(t, server.Addr)
	hears(t, last, 50)
	now, _, _, _ := first.Heard()
	hears(t, first, now+50)
}

// A native that finds a listener in the chain of a server of 2016 is not fed by it: the numbers
// there are of that listener's own making.
func TestE2E_SeedDialect_RefusesNatives(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Long(t, "a.mp3"), t.TempDir())
	awaitPlaying(t, server)
	posing := launch(t, "posing", "join", server.requests(), "--seed-dialect", "--name", "posing",
		"--output", "null", "--listen", "127.0.0.1:0", "--data", "none").awaitReady(t, listenerReady)
	posing.hears(t)
	native := launchListener(t, server, "native").awaitReady(t, listenerReady)
	native.hears(t)
	if up := native.dump(t).Live.Relay.Upstream; up != messages.ServerID {
		t.Errorf("a native receives from %q, which plays as a client of 2016", up)
	}
	payload, err := proto.Marshal(&messages.OpenStream{Version: 1, Node: &messages.Node{Id: uuid.NewString()}})
	if err != nil {
		t.Fatal(err)
	}
	hi, err := transport.AppendFrame(nil, transport.Frame{Kind: messages.KindHi, Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	conn := dialNode(t, posing.relay())
	if _, err := conn.Write(hi); err != nil {
		t.Fatal(err)
	}
	frame, err := transport.ReadFrame(bufio.NewReader(conn))
	if err != nil {
		t.Fatal(err)
	}
	answer := &messages.StreamOpened{}
	if err := proto.Unmarshal(frame.Payload, answer); err != nil || answer.GetRefused() == "" {
		t.Errorf("a native that asks it is told %s %v, %v", frame.Kind, answer, err)
	}
	native.unhurt(t)
}
