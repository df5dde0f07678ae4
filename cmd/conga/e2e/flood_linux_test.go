package e2e

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"conga/cmd/internal/congatest"
	"conga/messages"
	"conga/transport"
)

// A hundred members in good standing, of four addresses, report as fast as they can. The log
// keeps what their budgets allow, and meanwhile the server answers everybody else: it takes
// newcomers in, mends the chain, queues songs and gives dumps.
func TestE2E_ReportFlood(t *testing.T) {
	const crowd, addresses, reports = 100, 4, 200
	server := launchServer(t, congatest.Long(t, "a.mp3", "b.mp3", "c.mp3"), t.TempDir())
	chain := joinChain(t, server, "amy", "bob")
	awaitPlaying(t, server)
	before := server.dump(t).Event

	members := make([]*native, crowd)
	for i := range members {
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 8, byte(1+i%addresses))}, Timeout: patience}
		conn, err := from.Dial("tcp", server.requests())
		if err != nil {
			t.Fatal(err)
		}
		members[i] = newNative()
		members[i].hello(t, conn, &messages.Node{Name: fmt.Sprint("m", i)}, true)
	}
	for _, m := range members {
		m.wait(t, "a WELCOME or a REFUSED", func() bool { return m.welcome != nil || m.refused != nil || m.over })
	}
	joined := server.dump(t).Event

	line, err := transport.AppendLine(nil, &messages.Reconnected{
		Upstream: &messages.Node{Id: messages.ServerID}, Lost: &messages.Node{Id: members[0].identity.ID()}, Reason: strings.Repeat("x", 200),
	})
	if err != nil {
		t.Fatal(err)
	}
	var said atomic.Int64
	var flood sync.WaitGroup
	for _, m := range members {
		flood.Go(func() {
			for range reports {
				if _, err := m.Write(line); err != nil {
					return // it was cut
				}
				said.Add(1)
			}
		})
	}
	cem := launchListener(t, server, "cem").awaitReady(t, listenerReady)
	if answer := askPlain(t, server.requests(), "PLAY 2\n"); !strings.HasPrefix(answer, "Song ") {
		t.Errorf("PLAY is answered with %q", answer)
	}
	chain[1].kill()
	mended := eventually(t, "bob is out of the chain", func() string {
		if names := server.dump(t).chain(); slices.Contains(names, "bob") {
			return "he is there"
		}
		return ""
	})
	flood.Wait()
	cem.hears(t)
	chain[0].unhurt(t)
	grown := server.dump(t).Event - joined
	t.Logf("%d members wrote %d events when they joined; of %d reports %d went into the log; the chain was mended after %v", crowd, joined-before, said.Load(), grown, mended)
	if said.Load() < crowd*reports/2 || grown > 1000 {
		t.Errorf("of %d reports the log has %d events", said.Load(), grown)
	}
}
