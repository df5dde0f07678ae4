package seed

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
	"conga/messages/ports"
	"conga/transport"
	"conga/transport/seed/seedtest"
)

// eventually looks every millisecond until try finds nothing wrong.
func eventually(t *testing.T, try func() (wrong string)) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); ; <-tick.C {
		wrong := try()
		if wrong == "" {
			return
		}
		if time.Since(start) > patience {
			t.Fatal(wrong)
		}
	}
}

// The two connections of a client may come in either order, and others of its host between.
func TestPorter_EitherOrder(t *testing.T) {
	for _, order := range []string{"stream first", "requests first"} {
		t.Run(order, func(t *testing.T) {
			h := openHouse(t, song(t, 40, 44100, 4)...)
			c := &conversation{port: h.port, sound: soundOf(ramp(4))}
			lines := []string{"gate dials PORT+1", "requests dials PORT"}
			if order == "requests first" {
				lines[0], lines[1] = lines[1], lines[0]
			}
			run(t, c, append(lines,
				`gate says "NS/2/88200/176" 100`, `gate says "HOST/127.0.0.1" 100`, `gate says "PORT/{PORT+2}" 100`,
				"gate closes", "music dials PORT+1", "music plays 1404 1404",
			)...)
			eventually(t, func() string {
				chain, _ := h.state()
				if len(chain) != 1 || chain[0].GetRelay() != fmt.Sprintf("127.0.0.1:%d", h.port+2) {
					return fmt.Sprintf("chain %v", chain)
				}
				return ""
			})
			if joins := h.joined(); len(joins) != 1 || !joins[0].GetSeed() || joins[0].GetFedBy() != messages.ServerID || !strings.HasSuffix(joins[0].GetNode().GetName(), fmt.Sprintf(":%d", h.port+2)) {
				t.Errorf("the chain was told %v", joins)
			}
			run(t, c, "requests closes") // it dies
			eventually(t, func() string {
				if chain, gone := h.state(); len(chain) != 0 || len(gone) != 1 {
					return fmt.Sprintf("chain %v, gone %v", chain, gone)
				}
				return ""
			})
			if _, gone := h.state(); strings.Contains(fmt.Sprintf("%T", gone[0]), "LeaveChain") {
				t.Errorf("who died without a word is said to have left: %v", gone)
			}
		})
	}
}

func run(t *testing.T, c *conversation, lines ...string) {
	t.Helper()
	if c.conns == nil {
		c.begin()
	}
	for _, line := range lines {
		if err := c.step(t, line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
}

// A connection to the stream port that no request connection belongs to is no client.
func TestPorter_Alone(t *testing.T) {
	h := openHouse(t)
	run(t, &conversation{port: h.port}, "gate dials PORT+1", "gate ends")
	if chain, _ := h.state(); len(chain) > 0 {
		t.Errorf("the chain is %v", chain)
	}
}

// A person who says nothing for a while is no client, and is answered in lines.
func TestPorter_SlowPerson(t *testing.T) {
	h := openHouse(t)
	run(t, &conversation{port: h.port}, "nc dials PORT", `nc sends "SON"`, `nc sends "GS\n"`,
		`nc says "1. air.mp3\n2. it's \"é\".mp3\n\n"`, `nc sends "QUIT\n"`, "nc ends")
}

// Three in a row, whose ports are given out upwards; the second goes, and his port rests.
func TestPorter_Chain(t *testing.T) {
	h := openHouse(t, song(t, 40, 44100, 4, 4)...)
	var clients []*seedtest.Client
	for i := range 3 {
		c, err := seedtest.Join(fmt.Sprintf("127.0.0.1:%d", h.port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Kill()
		if c.Port != h.port+2+i {
			t.Errorf("client %d is to listen on PORT+%d", i, c.Port-h.port)
		}
		clients = append(clients, c)
		eventually(t, func() string {
			if chain, _ := h.state(); len(chain) != i+1 || chain[i].GetRelay() == "" {
				return fmt.Sprintf("chain %v", chain)
			}
			return ""
		})
	}
	eventually(t, func() string { // else the second has nobody to say goodbye to
		if n, _, _, err := clients[2].Heard(); n == 0 || err != nil {
			return fmt.Sprintf("the third has heard %d messages, %v", n, err)
		}
		return ""
	})
	if err := clients[1].Leave(0); err != nil {
		t.Error(err)
	}
	eventually(t, func() string {
		chain, gone := h.state()
		if len(chain) != 2 || len(gone) != 1 || chain[1].GetRelay() != fmt.Sprintf("127.0.0.1:%d", h.port+4) {
			return fmt.Sprintf("chain %v, gone %v", chain, gone)
		}
		return ""
	})
	eventually(t, func() string {
		if _, told, _, err := clients[2].Heard(); len(told) != 1 || err != nil {
			return fmt.Sprintf("the third was told %q, %v", told, err)
		}
		return ""
	})
}

// A port is given to a host once, and rests when its user has gone.
func TestPorts_Rest(t *testing.T) {
	first, err := ports.Free(6)
	if err != nil {
		t.Fatal(err)
	}
	p := NewPorts(listen(t, first))
	defer p.Close()
	if at := p.first(); int(at) != first+1 || !p.reserve("127.0.0.1", at) || p.reserve("127.0.0.1", at) {
		t.Errorf("the first client's port is PORT+%d", int(at)-first)
	}
	p.release("127.0.0.1", p.first())
	if p.reserve("127.0.0.1", p.first()) {
		t.Error("a port is given again at once")
	}
	if !p.reserve("192.0.2.1", p.first()) {
		t.Error("another host cannot have it")
	}
	p.mu.Lock()
	p.sweep(time.Now().Add(portRest + time.Second))
	p.mu.Unlock()
	if !p.reserve("127.0.0.1", p.first()) {
		t.Error("it is never given again")
	}
	port, err := p.open("127.0.0.1")
	if err != nil || int(port) < first+3 {
		t.Fatalf("opened below %d, %v", port, err)
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port-1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if at, is := p.extra(accepted.LocalAddr()); !is || at != port-1 {
		t.Fatalf("accepted %v, %v", accepted, err)
	}
	_ = accepted.Close()
	p.release("127.0.0.1", port)
	p.mu.Lock()
	p.sweep(time.Now().Add(portRest + time.Second))
	p.mu.Unlock()
	if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port-1)); err == nil {
		_ = conn.Close()
		t.Error("the further port is open for ever")
	}
}

// Above the last port there are none: a server that has given that out begins below.
func TestPorts_Last(t *testing.T) {
	first, err := ports.Free(1)
	if err != nil {
		t.Fatal(err)
	}
	p := NewPorts(listen(t, first))
	defer p.Close()
	for _, latest := range []uint16{65533, 65534, 65535} {
		p.latest = latest
		port, err := p.open("127.0.0.1")
		if err != nil || port <= minPort {
			t.Errorf("after port %d comes %d, %v", latest, port, err)
		}
	}
}

// A client of 2016 can only listen on the port above that of the node that feeds it. If a program of its host uses that, were it
// only for a connection, the server feeds the client itself.
func TestPorter_PortInUse(t *testing.T) {
	h := openHouse(t, song(t, 40, 44100, 4)...)
	first, err := ports.Free(2)
	if err != nil {
		t.Fatal(err)
	}
	other := listen(t, 0)
	defer other.Close()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: first + 1}}
	conn, err := from.Dial("tcp", other.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	h.mu.Lock()
	h.chain = []*messages.Node{{Id: "amy", Name: "amy", Relay: fmt.Sprintf("127.0.0.1:%d", first)}}
	h.mu.Unlock()
	c, err := seedtest.Join(fmt.Sprintf("127.0.0.1:%d", h.port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Kill() }()
	eventually(t, func() string {
		if joins := h.joined(); len(joins) != 1 || joins[0].GetFedBy() != messages.ServerID || c.Port == first+1 {
			return fmt.Sprintf("it listens on %d, %v", c.Port, joins)
		}
		return ""
	})
}

// A client of 2016 knows IPv4 only: whatever address the node above has, it is told one of its kind.
func TestPorter_IPv4(t *testing.T) {
	h := openHouse(t, song(t, 40, 44100, 4)...)
	for _, relay := range []string{"[::1]:9", "[2001:db8::1]:9"} {
		h.mu.Lock()
		h.chain = []*messages.Node{{Id: "above", Relay: relay}}
		h.mu.Unlock()
		c, err := seedtest.Join(fmt.Sprintf("127.0.0.1:%d", h.port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Kill()
		if want := fmt.Sprintf("%-100s", "HOST/127.0.0.1"); c.Packets[1] != want {
			t.Errorf("below %s it is told %q", relay, c.Packets[1])
		}
		eventually(t, func() string {
			if n, _, _, err := c.Heard(); n == 0 || err != nil {
				return fmt.Sprintf("below %s it has heard %d messages, %v", relay, n, err)
			}
			return ""
		})
	}
}

func TestOverIPv4(t *testing.T) {
	l := listen(t, 0)
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for addr, want := range map[string]string{
		"10.0.0.1:7001": "10.0.0.1:7001", "[::ffff:10.0.0.1]:7001": "10.0.0.1:7001",
		"localhost:" + port: "127.0.0.1:" + port, "[::1]:" + port: "127.0.0.1:" + port,
		"[::1]:1": "", "[2001:db8::1]:7001": "", "": "", "nonsense": "",
	} {
		if got, found := overIPv4(t.Context(), addr); got != want || found != (want != "") {
			t.Errorf("%s is %q, want %q", addr, got, want)
		}
	}
}

// Where music came from nobody answers any more: after a while that is the end of it.
func TestRadio_Lost(t *testing.T) {
	r, now := &Radio{lost: make(chan struct{})}, time.Unix(0, 0)
	lost := func() bool {
		select {
		case <-r.Lost():
			return true
		default:
			return false
		}
	}
	r.dialled(false, now)
	r.dialled(true, now.Add(goneAfter-time.Second))
	r.dialled(false, now.Add(goneAfter))
	r.dialled(false, now.Add(2*goneAfter-time.Second))
	if lost() {
		t.Error("it was given up although somebody answered meanwhile")
	}
	r.dialled(false, now.Add(2*goneAfter))
	r.dialled(false, now.Add(3*goneAfter))
	if !lost() {
		t.Error("it is never given up")
	}
}

// A client that has its place and does not come for its music is lost after a while, unless it goes.
func TestPorter_Absent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := make(chan string, 3)
		p := NewPorter(PorterConfig{CutOff: func(id, _ string) { cut <- id }})
		sid, sue, sol := &guest{node: &messages.Node{Id: "sid"}}, &guest{node: &messages.Node{Id: "sue"}}, &guest{node: &messages.Node{Id: "sol"}}
		start := time.Now()
		p.mu.Lock()
		for _, g := range []*guest{sid, sue, sol} {
			p.hears(g, 0)
		}
		p.hears(sue, 1)
		sol.gone = true
		p.mu.Unlock()
		if lost := <-cut; lost != "sid" || time.Since(start) != absentAfter {
			t.Errorf("%s is lost after %v", lost, time.Since(start))
		}
		<-time.After(absentAfter)
		p.mu.Lock()
		p.hears(sue, -1)
		p.mu.Unlock()
		if lost := <-cut; lost != "sue" || time.Since(start) != 3*absentAfter {
			t.Errorf("%s is lost after %v", lost, time.Since(start))
		}
	})
}

// Clients of one host that come at the same moment may be paired crosswise; who leaves says
// which he is.
func TestPorter_Crosswise(t *testing.T) {
	now := time.Now()
	one := &visitor{Stranger: &transport.Stranger{Since: now}, host: "h"}
	two := &visitor{Stranger: &transport.Stranger{Since: now}, host: "h"}
	later := &visitor{Stranger: &transport.Stranger{Since: now.Add(time.Hour)}, host: "h"}
	p := &Porter{}
	for i, v := range []*visitor{one, two, later} {
		v.guest = &guest{host: "h", port: uint16(7002 + i), visitor: v}
		p.guests = append(p.guests, v.guest)
	}
	p.correct(one, 7003)
	if one.guest.port != 7003 || two.guest.port != 7002 || one.guest.visitor != one || two.guest.visitor != two {
		t.Errorf("the first stands for port %d, the second for %d", one.guest.port, two.guest.port)
	}
	p.correct(one, 7004) // a port that has passed on to somebody who came much later
	p.correct(&visitor{host: "h"}, 7002)
	if one.guest.port != 7003 || later.guest.port != 7004 || two.guest.visitor != two {
		t.Error("a stranger or a newcomer was taken for another client")
	}
}

// A client whose upstream has gone is due, and another of its host joins: whoever of them comes
// first, who joins is told its place, and who is due gets its music.
func TestPorter_JoinsWhileAnotherIsDue(t *testing.T) {
	for _, first := range []string{"who joins", "who is due"} {
		synctest.Test(t, func(t *testing.T) {
			due := &guest{host: "h", hears: 1}
			due.due(time.Now())
			p := NewPorter(PorterConfig{})
			p.guests = []*guest{due}
			stranger := func() *transport.Stranger {
				here, there := net.Pipe()
				t.Cleanup(func() { _, _ = here.Close(), there.Close() })
				return &transport.Stranger{Conn: there, Reader: bufio.NewReader(there), Since: time.Now(), Admit: func() bool { return true }}
			}
			type known struct {
				who string
				g   *guest
				v   *visitor
			}
			told := make(chan known, 2)
			call := func(who string) {
				c := &caller{Stranger: stranger(), host: "h"}
				time.AfterFunc(transport.SeedGrace, func() {
					p.mu.Lock()
					p.callers = append(p.callers, c)
					p.wake("h")
					p.mu.Unlock()
					g, v := p.tellApart(t.Context(), c)
					told <- known{who, g, v}
				})
			}
			join := func() {
				call("who joins")
				<-time.After(5 * time.Millisecond)
				v := &visitor{Stranger: stranger(), host: "h"}
				p.mu.Lock()
				p.waiting = append(p.waiting, v)
				p.mu.Unlock()
				time.AfterFunc(ripe, func() {
					p.mu.Lock()
					defer p.mu.Unlock()
					p.wake("h")
				})
			}
			if first == "who joins" {
				join()
				<-time.After(30 * time.Millisecond)
				call("who is due")
			} else {
				call("who is due")
				<-time.After(time.Millisecond)
				join()
			}
			for range 2 {
				if k := <-told; (k.g != nil) != (k.who == "who is due") || (k.v != nil) != (k.who == "who joins") {
					t.Errorf("%s comes first: %s is guest %v, visitor %v", first, k.who, k.g != nil, k.v != nil)
				}
			}
		})
	}
}

// Hundreds of listeners that come at the same moment may all be silent at first: each wakes only whoever waits for its host.
func TestPorter_WakesOneHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPorter(PorterConfig{})
		come := func(host string) (leave func()) {
			here, there := net.Pipe()
			ctx, leave := context.WithCancel(t.Context())
			c := &caller{Stranger: &transport.Stranger{Conn: there, Reader: bufio.NewReader(there), Since: time.Now()}, host: host}
			p.callers = append(p.callers, c)
			go func() {
				p.tellApart(ctx, c)
				_, _ = here.Close(), there.Close()
			}()
			return leave
		}
		leave := come("a")
		defer leave()
		time.Sleep(gathering)
		synctest.Wait()
		p.mu.Lock()
		waits := p.changed["a"]
		p.mu.Unlock()
		if waits == nil {
			t.Fatal("nobody waits for a change")
		}
		woken := func() bool {
			select {
			case <-waits:
				return true
			default:
				return false
			}
		}
		come("b")()
		synctest.Wait()
		if woken() {
			t.Error("a caller was woken because another host has gone")
		}
		come("a")()
		synctest.Wait()
		if !woken() {
			t.Error("a caller was not woken although another of its host has gone")
		}
		leave()
		synctest.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.changed) > 0 {
			t.Errorf("%d hosts are remembered after all have gone", len(p.changed))
		}
	})
}

// On a busy machine the stream port may see a client's first connection after the request port has seen
// the second. Where only one client can be meant, it is that one.
func TestPorter_SeenTheOtherWayRound(t *testing.T) {
	now := time.Now()
	for _, others := range []int{0, 1} {
		p := NewPorter(PorterConfig{})
		came := func(ago time.Duration) *transport.Stranger {
			return &transport.Stranger{Since: now.Add(-ago), Admit: func() bool { return false }}
		}
		c := &caller{Stranger: came(ripe), host: "h"}
		p.callers = append(p.callers, c)
		for range others {
			p.callers = append(p.callers, &caller{Stranger: came(ripe), host: "h"})
		}
		p.waiting = []*visitor{{Stranger: came(ripe + blurAlone/2), host: "h"}}
		if _, v, _ := p.match(c); (v != nil) != (others == 0) {
			t.Errorf("with %d others of its host it is a client that joins: %v", others, v != nil)
		}
	}
}
