package e2e

import (
	"bufio"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/congatest"
	"conga/cmd/internal/keys"
	"conga/messages"
	"conga/transport"
)

// Two copies of one data folder: the second listener is told what to do, and the first plays on.
// When the first is killed, the second takes its place at once.
func TestE2E_CopiedFolder(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	data, copied := t.TempDir(), t.TempDir()
	amy := launchListener(t, server, "amy", "--data", data).awaitReady(t, listenerReady)
	amy.hears(t)
	key, err := os.ReadFile(filepath.Join(data, keys.IdentityFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(copied, keys.IdentityFile), key, 0o600); err != nil {
		t.Fatal(err)
	}
	twin := launchListener(t, server, "twin", "--data", copied)
	if code := twin.exit(t); code != cli.Failed {
		t.Errorf("the copy ends with %d", code)
	}
	if said := twin.err.String(); !strings.Contains(said, "another listener with this identity is in the chain, from 127.0.0.1") ||
		!strings.Contains(said, keys.IdentityFile) {
		t.Errorf("the copy is told %q", said)
	}
	amy.hears(t)
	amy.unhurt(t)
	awaitChain(t, server, []*process{amy})
	id := server.dump(t).State.ChainManager.Chain[0].ID

	amy.kill()
	heir := launchListener(t, server, "heir", "--data", copied).awaitReady(t, listenerReady)
	heir.hears(t)
	awaitChain(t, server, []*process{heir})
	if now := server.dump(t).State.ChainManager.Chain[0].ID; now != id {
		t.Errorf("the same key was %s, is %s", id, now)
	}
	if info, err := os.Stat(filepath.Join(data, keys.IdentityFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
}

// Somebody says HELLO, asks for music and says goodbye in another's name: nothing comes of it.
// (This was: it takes his place and gives him another relay.)
func TestE2E_StolenID(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	chain := joinChain(t, server, "amy", "bob")
	bob := chain[1]
	bob.hears(t)
	before := server.dump(t).State.ChainManager.Chain
	at := slices.IndexFunc(before, func(m chainMember) bool { return m.Name == "bob" })
	bobs := before[at]

	// A member in good standing, which knows what everybody knows: ids and addresses.
	mallory := joinNative(t, server, &messages.Node{Name: "mallory"}, true)
	for name, steal := range map[string]func(*messages.Hello){
		"id":         func(h *messages.Hello) { h.Node.Id = bobs.ID },
		"id, no key": func(h *messages.Hello) { h.Node.Id, h.Node.Key, h.Signature = bobs.ID, nil, nil },
	} {
		other := newNative()
		conn, err := other.member.Secure(t.Context(), dialNode(t, server.requests()))
		if err != nil {
			t.Fatal(err)
		}
		hello := conn.Introduce(&messages.Hello{Version: messages.DialectVersion, Node: &messages.Node{Relay: ":9"}})
		steal(hello)
		line, err := transport.AppendLine(nil, hello)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(line); err != nil {
			t.Fatal(err)
		}
		if answer, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(answer, "REFUSED") {
			t.Errorf("%s: answered %q, %v", name, answer, err)
		}
		_ = conn.Close()
	}
	open := &messages.OpenStream{Version: messages.DialectVersion, Upstream: messages.ServerID}
	mallory.identity.SignOpen(open, time.Now().UnixMicro())
	open.Node.Id = bobs.ID
	conn := dialNode(t, server.stream())
	if _, err := conn.Write(frameOf(t, messages.KindHi, open)); err != nil {
		t.Fatal(err)
	}
	if answer := openedBy(t, bufio.NewReader(conn)); answer.GetRefusal() != messages.StreamOpened_REFUSAL_STRANGER {
		t.Errorf("the server feeds whoever says that it is bob: %v", answer)
	}
	mallory.put(t, &messages.LeaveChain{Id: bobs.ID}) // it leaves itself

	awaitChain(t, server, chain)
	bob.hears(t)
	bob.unhurt(t)
	if after := server.dump(t).State.ChainManager.Chain; !slices.Equal(after, before) {
		t.Errorf("the chain was %v, is %v", before, after)
	}
}

// Strangers with keys of their own ask at the server's and at every listener's port, all the
// time, more of them than there are seats: an orphan finds its next upstream all the same, and
// nobody uploads anything to them. (This was: 64 random ids, and the node is "full".)
func TestE2E_StrangersAtStreams(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	chain := joinChain(t, server, "amy", "bob", "cem")
	for _, listener := range chain {
		listener.hears(t)
	}
	var crowd crowd
	t.Cleanup(crowd.over)
	targets := map[string]string{messages.ServerID: server.stream()}
	for _, member := range server.dump(t).State.ChainManager.Chain {
		targets[member.ID] = member.Relay
	}
	for id, addr := range targets {
		crowd.gather(t, id, addr, 64)
	}
	amy, bob, cem := chain[0], chain[1], chain[2]
	amy.kill()
	bob.hears(t)
	bob.kill()
	cem.hears(t)
	dora := launchListener(t, server, "dora").awaitReady(t, listenerReady)
	dora.hears(t)
	for _, listener := range []*process{cem, dora} {
		listener.unhurt(t)
	}
	if fed, asked := crowd.count(); fed > 0 || asked < 64 {
		t.Errorf("of %d strangers %d were fed", asked, fed)
	}
}

// crowd are strangers at a stream port, each of which asks again when it was refused.
type crowd struct {
	mu         sync.Mutex
	closed     bool
	conns      map[net.Conn]bool
	fed, asked int
	all        sync.WaitGroup
}

// gather lets n strangers ask at the port of the node until the test is over.
func (c *crowd) gather(t testing.TB, id, addr string, n int) {
	for i := range n {
		from := &net.TCPAddr{IP: net.IPv4(127, 0, 9, byte(1+i%4))}
		c.all.Go(func() {
			for c.ask(t, from, id, addr) {
				continue
			}
		})
	}
}

// ask says HI once and takes what comes; false: it is over.
func (c *crowd) ask(t testing.TB, from net.Addr, id, addr string) (again bool) {
	dialer := net.Dialer{LocalAddr: from, Timeout: time.Second}
	conn, err := dialer.Dial("tcp", addr)
	c.mu.Lock()
	over := c.closed
	if err == nil && !over {
		if c.conns == nil {
			c.conns = map[net.Conn]bool{}
		}
		c.conns[conn] = true
	}
	c.mu.Unlock()
	if over || err != nil { // a killed one asks nobody any more
		if err == nil {
			_ = conn.Close()
		}
		return false
	}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.conns, conn)
		_ = conn.Close()
	}()
	if _, err := conn.Write(hiTo(t, transport.NewIdentity(), id)); err != nil {
		return true
	}
	r := bufio.NewReader(conn)
	for first := true; ; first = false {
		frame, err := transport.ReadFrame(r)
		c.mu.Lock()
		if first {
			c.asked++
		}
		if err == nil && frame.Kind == messages.KindChunk {
			c.fed++
		}
		c.mu.Unlock()
		if err != nil {
			return true
		}
	}
}

func (c *crowd) over() {
	c.mu.Lock()
	c.closed = true
	for conn := range c.conns {
		_ = conn.Close()
	}
	c.mu.Unlock()
	c.all.Wait()
}

func (c *crowd) count() (fed, asked int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fed, c.asked
}

// Members that take the server's music out of turn get one stream each, whatever they do.
func TestE2E_MemberAsksAgain(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	amy := joinChain(t, server, "amy")[0]
	amy.hears(t)
	mallory := joinNative(t, server, &messages.Node{Name: "mallory"}, true)
	var open []*bufio.Reader
	var conns []net.Conn
	for range 20 {
		conn := dialNode(t, server.stream())
		if _, err := conn.Write(hiTo(t, mallory.identity, messages.ServerID)); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		if answer := openedBy(t, r); answer.GetRefused() != "" {
			t.Fatal(answer)
		}
		open, conns = append(open, r), append(conns, conn)
	}
	for i, r := range open[:len(open)-1] {
		_ = conns[i].SetReadDeadline(time.Now().Add(patience))
		for {
			if _, err := transport.ReadFrame(r); err != nil {
				if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
					t.Fatalf("stream %d of one member lives on", i+1)
				}
				break
			}
		}
	}
	amy.hears(t)
	amy.unhurt(t)
}
