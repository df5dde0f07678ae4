package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
	"conga/messages"
	"conga/transport"
)

// What killed the seed program does not matter here: on both ports of the server and on
// a listener's, while another listener hears every chunk once.
func TestE2E_Hostile(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	chain := joinChain(t, server, "amy", "bob")
	amy, bob := chain[0], chain[1]
	bob.hears(t)

	ports := map[string]string{"requests": server.requests(), "stream": server.stream(), "relay": amy.relay()}
	for name, addr := range ports {
		dialNode(t, addr) // says nothing as long as the test runs
		for range 20 {
			reset(t, addr, "NS")
			reset(t, addr, "")
		}
		garbage := make([]byte, 64<<10)
		_, _ = rand.NewChaCha8([32]byte{1}).Read(garbage)
		flood(t, addr, garbage)
		answer := flood(t, addr, bytes.Repeat([]byte("x"), 10<<20))
		if name == "requests" && answer != "" && !strings.Contains(answer, "4096") {
			t.Errorf("10 MB without a newline are answered %q", answer)
		}
	}
	if got := netcat(t, server.requests(), strings.Repeat("x", 5000)+"\nSONGS\n"); !strings.Contains(got, "4096") || strings.Contains(got, "air") {
		t.Errorf("a line beyond 4 KiB is answered %q", got)
	}
	slowly(t, dialNode(t, server.requests()), []byte("SONGS\nPLAY nosuch\n"), "Song does not exist\n")
	dora := joinNative(t, server, nil, true) // she may ask those above her
	listenSlowly(t, dora.identity, messages.ServerID, server.stream())
	for _, above := range dora.ancestors(t) {
		listenSlowly(t, dora.identity, above.GetId(), above.GetRelay())
	}
	_ = dora.Close()

	for _, listener := range chain {
		listener.hears(t)
		listener.unhurt(t)
	}
	awaitChain(t, server, chain)
}

// A node that only asks, and takes no music, is no end of the chain for the next one.
func TestE2E_RequestsWithoutStream(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	amy := joinChain(t, server, "amy")[0]
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close() // nobody listens there
	ghost := joinNative(t, server, &messages.Node{Name: "ghost", Relay: gone.Addr().String()}, false)
	bob := joinChain(t, server, "bob")[0]
	bob.hears(t)
	for _, listener := range []*process{amy, bob} {
		listener.unhurt(t)
	}
	_ = ghost.Close()
	awaitChain(t, server, []*process{amy, bob})
	bob.hears(t)
	bob.unhurt(t)
}

// reset says something and destroys the connection.
func reset(t testing.TB, addr, said string) {
	t.Helper()
	conn := dialNode(t, addr)
	_, _ = io.WriteString(conn, said)
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// flood says more than anybody should listen to, and returns what it is answered before
// the other side hangs up, as it must.
func flood(t testing.TB, addr string, said []byte) string {
	t.Helper()
	conn := dialNode(t, addr)
	_, err := conn.Write(said) // usually cut short
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("%s neither reads nor hangs up", addr)
	}
	_ = conn.CloseWrite()
	answer, err := io.ReadAll(conn)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("%s does not hang up", addr)
	}
	return string(answer)
}

// slowly says it byte by byte, each in a packet of its own, and waits for the last answer.
func slowly(t testing.TB, conn *net.TCPConn, said []byte, last string) {
	t.Helper()
	drip(t, conn, said)
	r, answer := bufio.NewReader(conn), ""
	for !strings.HasSuffix(answer, last) {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", answer, err)
		}
		answer += line
	}
}

func drip(t testing.TB, conn *net.TCPConn, said []byte) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for i := range said {
		if _, err := conn.Write(said[i : i+1]); err != nil {
			t.Fatal(err)
		}
		<-tick.C
	}
}

// listenSlowly takes the stream with a header that comes byte by byte.
func listenSlowly(t testing.TB, who *transport.Identity, id, addr string) {
	t.Helper()
	conn := dialNode(t, addr)
	drip(t, conn, hiTo(t, who, id))
	r := bufio.NewReader(conn)
	for chunks := 0; chunks < 10; {
		got, err := transport.ReadFrame(r)
		if err != nil {
			t.Fatalf("%s, after %d chunks: %v", addr, chunks, err)
		}
		if got.Kind == messages.KindChunk {
			chunks++
		}
	}
}
