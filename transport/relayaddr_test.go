package transport

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"conga/messages"
)

// dials records which addresses the server dials; none answers.
type dials struct {
	mu    sync.Mutex
	asked []string
	names []string
}

func (d *dials) dial(_ context.Context, addr string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, addr)
	return nil, errors.New("nobody is there")
}

func (d *dials) resolve(_ context.Context, host string) ([]netip.Addr, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names = append(d.names, host)
	switch host {
	case "public.example":
		return []netip.Addr{netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("10.0.0.1")}, nil
	case "both.example":
		return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("203.0.113.6")}, nil
	case "inside.example":
		return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
	}
	return nil, errors.New("no such host")
}

// A relay is dialled at its listener's host, or at a named host that is no nearer to the server than
// the listener; a name is looked up once.
func TestRequests_RelayAddress(t *testing.T) {
	for name, c := range map[string]struct {
		from, relay string
		want        string // where others will go
		dialled     string // empty: nowhere
		names       int
		why         string
	}{
		"own host":                     {from: "192.0.2.7:5", relay: ":7100", want: "192.0.2.7:7100", dialled: "192.0.2.7:7100"},
		"own host named":               {from: "192.0.2.7:5", relay: "192.0.2.7:7100", want: "192.0.2.7:7100", dialled: "192.0.2.7:7100"},
		"own host, mapped":             {from: "[::ffff:192.0.2.7]:5", relay: "192.0.2.7:7100", want: "192.0.2.7:7100", dialled: "192.0.2.7:7100"},
		"any host":                     {from: "[2001:db8::7]:5", relay: "[::]:7100", want: "[2001:db8::7]:7100", dialled: "[2001:db8::7]:7100"},
		"a router":                     {from: "192.0.2.7:5", relay: "203.0.113.5:7100", want: "203.0.113.5:7100", dialled: "203.0.113.5:7100"},
		"a name":                       {from: "192.0.2.7:5", relay: "public.example:7100", want: "203.0.113.5:7100", dialled: "203.0.113.5:7100", names: 1},
		"a name of both":               {from: "192.0.2.7:5", relay: "both.example:7100", want: "203.0.113.6:7100", dialled: "203.0.113.6:7100", names: 1},
		"a provider's network":         {from: "192.0.2.7:5", relay: "100.64.0.1:80", want: "192.0.2.7:80", why: "cannot be reached from outside"},
		"nobody":                       {from: "192.0.2.7:5", relay: "255.255.255.255:80", want: "192.0.2.7:80", why: "cannot be reached from outside"},
		"a name of the inside":         {from: "192.0.2.7:5", relay: "inside.example:7100", want: "192.0.2.7:7100", names: 1, why: "cannot be reached from outside"},
		"no name":                      {from: "192.0.2.7:5", relay: "nowhere.example:7100", want: "192.0.2.7:7100", names: 1, why: "cannot look up"},
		"the server itself":            {from: "192.0.2.7:5", relay: "127.0.0.1:22", want: "192.0.2.7:22", why: "cannot be reached from outside"},
		"the server itself, mapped":    {from: "192.0.2.7:5", relay: "[::ffff:127.0.0.1]:22", want: "192.0.2.7:22", why: "cannot be reached from outside"},
		"behind the server's firewall": {from: "192.0.2.7:5", relay: "10.0.0.1:22", want: "192.0.2.7:22", why: "cannot be reached from outside"},
		"its cloud":                    {from: "192.0.2.7:5", relay: "169.254.169.254:80", want: "192.0.2.7:80", why: "cannot be reached from outside"},
		"its link":                     {from: "192.0.2.7:5", relay: "[fe80::1]:80", want: "192.0.2.7:80", why: "cannot be reached from outside"},
		"everybody":                    {from: "192.0.2.7:5", relay: "224.0.0.1:80", want: "192.0.2.7:80", why: "cannot be reached from outside"},
		"a neighbour":                  {from: "10.0.0.7:5", relay: "10.0.0.8:7100", want: "10.0.0.8:7100", dialled: "10.0.0.8:7100"},
		"from the network to loopback": {from: "10.0.0.7:5", relay: "127.0.0.1:22", want: "10.0.0.7:22", why: "cannot be reached from outside"},
		"loopback to anything":         {from: "127.0.0.1:5", relay: "10.0.0.8:7100", want: "10.0.0.8:7100", dialled: "10.0.0.8:7100"},
	} {
		t.Run(name, func(t *testing.T) {
			l, d := newPipes(), &dials{}
			house := openRequests(t, l, func(c *RequestsConfig) { c.Dial, c.Resolve = d.dial, d.resolve })
			conn := secure(t, l.dialFrom(t, c.from), amy)
			sayLine(t, conn, conn.Introduce(&messages.Hello{Version: 1, Node: &messages.Node{Relay: c.relay}}))
			readLine[*messages.Welcome](t, bufio.NewReader(conn))
			join := await[*messages.JoinChain](t, house.chain)
			if got := join.GetNode().GetRelay(); got != c.want {
				t.Errorf("its relay is %s, want %s", got, c.want)
			}
			why := c.why
			if c.dialled != "" {
				why = "nobody is there"
			}
			if !strings.Contains(join.GetUnreachable(), why) || join.GetUnreachable() == "" {
				t.Errorf("unreachable: %q, want %q", join.GetUnreachable(), why)
			}
			if got := strings.Join(d.asked, " "); got != c.dialled || len(d.names) != c.names {
				t.Errorf("dialled %q, want %q; looked up %q", got, c.dialled, d.names)
			}
		})
	}
}

// Each HELLO that names another host makes the server connect somewhere, so an address may send only a few.
func TestRequests_NoPortScan(t *testing.T) {
	l, d := newPipes(), &dials{}
	house := openRequests(t, l, func(c *RequestsConfig) { c.Dial, c.Resolve = d.dial, d.resolve })
	for range 3 * namedAtOnce {
		conn := secure(t, l.dialFrom(t, "192.0.2.7:5"), NewIdentity())
		sayLine(t, conn, conn.Introduce(&messages.Hello{Version: 1, Node: &messages.Node{Relay: "203.0.113.5:22"}}))
		readLine[*messages.Welcome](t, bufio.NewReader(conn))
	}
	if len(d.asked) < namedAtOnce || len(d.asked) > namedAtOnce+1 {
		t.Errorf("the server has dialled %d times", len(d.asked))
	}
	conn := secure(t, l.dialFrom(t, "198.51.100.1:5"), amy)
	sayLine(t, conn, conn.Introduce(&messages.Hello{Version: 1, Node: &messages.Node{Relay: "203.0.113.5:7100"}}))
	readLine[*messages.Welcome](t, bufio.NewReader(conn))
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asked[len(d.asked)-1] != "203.0.113.5:7100" {
		t.Error("another's relay is not tried")
	}
	_ = house
}

// Only a listener's own port counts as its relay: one that is merely open, or another listener's, feeds
// nobody.
func TestRequests_ProvedRelay(t *testing.T) {
	open := listen(t)
	go func() {
		for {
			conn, err := open.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
			_ = conn.Close()
		}
	}()
	bobs, amys := listen(t), listen(t)
	openStreams(t, bobs, func(c *StreamsConfig) { c.Identity = bob })
	openStreams(t, amys, func(c *StreamsConfig) { c.Identity = amy })
	for name, c := range map[string]struct {
		relay string
		good  bool
	}{
		"her own":              {amys.Addr().String(), true},
		"bob's":                {bobs.Addr().String(), false},
		"a port for something": {open.Addr().String(), false},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			house := openRequests(t, l, nil)
			conn := secure(t, dial(t, l), amy)
			sayLine(t, conn, conn.Introduce(&messages.Hello{Version: 1, Node: &messages.Node{Relay: c.relay}}))
			readLine[*messages.Welcome](t, bufio.NewReader(conn))
			join := await[*messages.JoinChain](t, house.chain)
			if c.good != (join.GetUnreachable() == "") || !c.good && join.GetUnreachable() != errOtherPort.Error() {
				t.Errorf("unreachable: %q", join.GetUnreachable())
			}
		})
	}
}
