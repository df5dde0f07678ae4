package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"conga/cmd/internal/address"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/congatest"
	"conga/messages"
	"conga/transport"
)

// The full attack is -run E2E_Crowd -crowd 5000 -attack 10s; it needs `ulimit -n 16000`.
var (
	crowdSize  = flag.Int("crowd", 500, "silent connections to each port of the server, and to a relay")
	attackTime = flag.Duration("attack", time.Second, "how long somebody sends 10,000 PLAY a second")
)

// fails runs conga and returns the one line that it said when it gave up.
func fails(t *testing.T, code int, args ...string) string {
	t.Helper()
	p := launch(t, "refused", args...)
	if got := p.exit(t); got != code {
		t.Errorf("conga %s: exit %d, want %d", strings.Join(args, " "), got, code)
	}
	line, more, _ := strings.Cut(p.err.String(), "\n")
	if more != "" {
		t.Errorf("conga %s: an error is one line, not %q", strings.Join(args, " "), p.err.String())
	}
	return line
}

// A guarded radio: who knows the token hears everything, who does not hears nothing, at
// any port.
func TestE2E_Auth(t *testing.T) {
	const token = "open sesame"
	t.Setenv("CONGA_AUTH", token)
	data := t.TempDir()
	server := launchServer(t, congatest.Songs(t, congatest.Short), data)
	chain := joinChain(t, server, "amy", "bob")
	for _, listener := range chain {
		listener.hears(t)
		listener.unhurt(t)
	}
	if args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", server.cmd.Process.Pid)); err == nil && bytes.Contains(args, []byte(token)) {
		t.Errorf("the process list shows %q", args)
	}

	if got := netcat(t, server.requests(), "SONGS\nAUTH guess\nAUTH "+token+"\nPLAY nosuch\n"); !regexp.MustCompile(
		`^This server wants its token first: AUTH <token>\nThat is not .*\nThe token is right\. .*\nSong does not exist\n$`).MatchString(got) {
		t.Errorf("nc reads %q", got)
	}
	stranger(t, messages.ServerID, server.stream())
	for _, member := range server.dump(t).State.ChainManager.Chain {
		stranger(t, member.ID, member.Relay)
	}
	if got, err := io.ReadAll(dialNode(t, server.stream())); len(got) > 0 || err != nil { // a seed client waits to be spoken to
		t.Errorf("a seed client is told %q, %v", got, err)
	}
	join := []string{"join", server.requests(), "--output", "null", "--listen", "127.0.0.1:0", "--auth"}
	if got := fails(t, cli.Failed, append(join, "guess")...); !strings.Contains(got, "that is not this server's token") {
		t.Errorf("a guesser reads %q", got)
	}
	if got := fails(t, cli.Usage, append(join, "")...); !strings.Contains(got, "empty token") {
		t.Errorf("an empty token is answered %q", got)
	}

	// A relay that dies, and the server's restart, change nothing for members.
	amy, bob := chain[0], chain[1]
	amy.kill()
	bob.hears(t)
	cem := launchListener(t, server, "cem").awaitReady(t, listenerReady)
	cem.hears(t)
	for _, listener := range []*process{bob, cem} {
		listener.unhurt(t)
	}
	if strings.Contains(server.err.String()+bob.err.String(), token) {
		t.Error("a log holds the token")
	}
}

// stranger asks for the music, with a key of its own and without the pass, and must be refused.
func stranger(t *testing.T, id, addr string) {
	t.Helper()
	conn := dialNode(t, addr)
	if _, err := conn.Write(hiTo(t, transport.NewIdentity(), id)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	if answer := openedBy(t, r); !strings.Contains(answer.GetRefused(), "members") {
		t.Errorf("%s answers a stranger %v", addr, answer)
	}
	if frame, err := transport.ReadFrame(r); err == nil {
		t.Errorf("%s sends a stranger %s", addr, frame.Kind)
	}
}

// A server whose key has changed is not the one that was meant, until its listener says so.
func TestE2E_Keys(t *testing.T) {
	t.Parallel()
	free, err := net.ResolveTCPAddr("tcp", quietPair(t))
	if err != nil {
		t.Fatal(err)
	}
	addr := address.Outward(&net.TCPAddr{IP: net.IPv4zero, Port: free.Port})[0]
	if address.IsLoopback(addr) {
		t.Skip("keys are remembered for other machines' addresses, and this one has none")
	}
	home := t.TempDir()
	songs := congatest.Songs(t, congatest.Short)
	first := launchServer(t, songs, t.TempDir(), "--listen", addr)
	link := regexp.MustCompile(`conga join '(conga://\S+\?key=(\S+))'`)
	var invited []string
	eventually(t, "the server invites", func() string {
		if invited = link.FindStringSubmatch(first.err.String()); invited == nil {
			return "stderr: " + first.err.String()
		}
		return ""
	})
	try := func(server, key string, want string) {
		t.Helper()
		args := []string{"join", server, "--output", "null", "--listen", "127.0.0.1:0", "--http", "off", "--data", "none"}
		if key != "" {
			args = append(args, "--key="+key)
		}
		p := launchOn(t, "tried", func(c *exec.Cmd) { c.Stdin = strings.NewReader("END\n"); c.Env = append(c.Env, "XDG_DATA_HOME="+home) }, args...)
		if code, log := p.exit(t), p.err.String(); (code == 0) != (want == "") || !strings.Contains(log, want) {
			t.Errorf("conga %s: exit %d, %s, want %q", strings.Join(args, " "), code, log, want)
		}
	}
	try(first.requests(), "", "") // the key is remembered
	try(invited[1], "", "")
	first.kill()
	second := launchServer(t, songs, t.TempDir(), "--listen", addr)
	try(second.requests(), "", "another key than before")
	try(invited[1], "", "not the one that you gave")
	try(second.requests(), invited[2], "not the one that you gave")
	eventually(t, "the second server invites", func() string {
		if invited = link.FindStringSubmatch(second.err.String()); invited == nil {
			return "stderr: " + second.err.String()
		}
		return ""
	})
	try(invited[1], "", "")
	try(second.requests(), "", "") // what was given once is remembered
}

// The addresses of a link are not its server's everywhere: in a guest's own network, some may be other machines'.
func TestE2E_LinkAddresses(t *testing.T) {
	t.Parallel()
	songs := congatest.Songs(t, congatest.Short)
	server, other := launchServer(t, songs, t.TempDir()), launchServer(t, songs, t.TempDir())
	plain, err := net.Listen("tcp", "127.0.0.1:0") // it greets, as a printer does
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	go func() {
		for {
			conn, err := plain.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "220 ready\r\n")
			_ = conn.Close()
		}
	}()
	var invited []string
	eventually(t, "the server invites", func() string {
		if invited = regexp.MustCompile(`'conga://\S+\?(key=\S+)'`).FindStringSubmatch(server.err.String()); invited == nil {
			return "stderr: " + server.err.String()
		}
		return ""
	})
	link := fmt.Sprintf("conga://%s?%s&or=%s", other.requests(), invited[1], plain.Addr())
	guest := launch(t, "guest", "join", link+"&or="+server.requests(), "--output", "null", "--listen", "127.0.0.1:0").awaitReady(t, listenerReady)
	guest.hears(t)
	if code, said, log := conga(t, "status", link+"&or="+server.requests()); code != 0 || !strings.Contains(said, "plays ") {
		t.Errorf("conga status: exit %d, %s%s", code, said, log)
	}
	if said := fails(t, cli.Failed, "join", link, "--output", "null", "--listen", "127.0.0.1:0"); !strings.Contains(said, "not the one that you gave") {
		t.Errorf("if all are others, conga join says %q", said)
	}
	if code, _, log := conga(t, "status", link); code == 0 || !strings.Contains(log, "not the one that you gave") {
		t.Errorf("if all are others, conga status says %q, exit %d", log, code)
	}
}

// Nothing listens beyond what was asked for, and the debug port only for this machine.
func TestE2E_Ports(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("who listens where is read from /proc")
	}
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir(), "--listen", ":0", "--no-mdns")
	amy := launchListener(t, server, "amy", "--listen", ":0").awaitReady(t, listenerReady)
	bob := launchListener(t, server, "bob", "--http", "off").awaitReady(t, listenerReady)
	amy.hears(t)
	for p, want := range map[*process]map[string]bool{ // port -> for all machines
		server: {port(server.requests()): true, port(server.stream()): true, port(server.ready["http"]): false},
		amy:    {port(amy.relay()): true, port(amy.ready["http"]): false},
		bob:    {port(bob.relay()): false},
	} {
		got := listening(t, p.cmd.Process.Pid)
		if len(got) != len(want) {
			t.Errorf("%s listens at %v, asked for %v", p.name, got, want)
		}
		for port, everywhere := range want {
			if is, there := got[port]; !there || is != everywhere {
				t.Errorf("%s at port %s: listens %v, for all %v", p.name, port, there, is)
			}
		}
	}
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

// listening is the ports where the process takes connections, and whether from everywhere.
func listening(t *testing.T, pid int) map[string]bool {
	t.Helper()
	sockets := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, "socket:[") {
			sockets[strings.Trim(target, "socket:[]")] = true
		}
	}
	ports := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		file, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(file)) {
			f := strings.Fields(line)
			const listen = "0A"
			if len(f) < 10 || !sockets[f[9]] || strings.HasPrefix(table, "tcp") && f[3] != listen {
				continue
			}
			host, hex, _ := strings.Cut(f[1], ":")
			n, err := strconv.ParseUint(hex, 16, 16)
			if err != nil {
				t.Fatal(err)
			}
			ports[strconv.FormatUint(n, 10)] = strings.Trim(host, "0") == ""
		}
	}
	return ports
}

// Thousands who say nothing and one who never stops asking hurt nobody.
func TestE2E_Crowd(t *testing.T) {
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir(), "--max-requests", "2") // also the slowest machine is too fast
	chain := joinChain(t, server, "amy", "bob", "cem")
	for _, listener := range chain {
		listener.hears(t)
	}
	before := resident(server)
	for _, addr := range []string{server.requests(), server.stream(), chain[0].relay()} {
		for range *crowdSize {
			dialNode(t, addr)
		}
	}
	sent, answered, refused := bother(t, server.requests(), *attackTime)
	newcomer := launchListener(t, server, "dan").awaitReady(t, listenerReady)
	t.Logf("server's memory: %d MB before, %d MB behind %d silent connections on each port and %d PLAY in %v, of which %d were answered, %d with no",
		before>>20, resident(server)>>20, *crowdSize, sent, *attackTime, answered, refused)
	if grown := resident(server) - before; grown > 192<<20 { // with the race detector; 20 MB without
		t.Errorf("the server's memory has grown by %d MB", grown>>20)
	}
	if refused == 0 {
		t.Error("nobody told the one who asks too much")
	}
	for _, listener := range append(chain, newcomer) {
		listener.hears(t)
		listener.unhurt(t)
		if p := listener.dump(t).Live.Player; p.Underruns != 0 { // a busy machine does that by itself: told, not asserted
			t.Logf("%s fell silent %d times: %s", listener.name, p.Underruns, story(t, listener, "PlayerUnderran"))
		}
	}
}

// story is what the node's log says of the last minutes, events of one kind only.
func story(t *testing.T, p *process, kind string) string {
	t.Helper()
	answer, err := dumper.Get("http://" + p.ready["http"] + "/debug/log?since=10m")
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	var told []string
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if strings.Contains(lines.Text(), kind) {
			told = append(told, lines.Text())
		}
	}
	return strings.Join(told, "\n")
}

// bother sends PLAY at 10,000 a second, or as fast as it is read, over one connection.
func bother(t *testing.T, addr string, how time.Duration) (sent, answered, refused int) {
	t.Helper()
	conn := dialNode(t, addr)
	_ = conn.SetDeadline(time.Now().Add(patience + how))
	told := make(chan [2]int)
	go func() {
		all, no := 0, 0
		for lines := bufio.NewScanner(conn); lines.Scan(); all++ {
			if strings.HasPrefix(lines.Text(), "Too many requests") {
				no++
			}
		}
		told <- [2]int{all, no}
	}()
	const each = 100
	burst := []byte(strings.Repeat("PLAY nosuch\n", each))
	tick := time.NewTicker(each * time.Second / 10_000)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < how; <-tick.C {
		_ = conn.SetWriteDeadline(start.Add(how))
		n, err := conn.Write(burst)
		sent += n / len("PLAY nosuch\n")
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break // the server reads no faster
		} else if err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Second / 2)) // what is still on its way
	got := <-told
	return sent, got[0], got[1]
}

// resident is the process's memory in bytes; 0 where that cannot be known.
func resident(p *process) int64 {
	file, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(file))
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
