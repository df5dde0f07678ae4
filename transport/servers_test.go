package transport

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

var errClosedPort = errors.New("connection refused")

// cluster are servers that answer, refuse or are silent, by their addresses.
type cluster struct {
	mu    sync.Mutex
	ports map[string]string // "answers", "silent"; else: refuses
	order []string          // in which they were dialled
}

func (c *cluster) dial(ctx context.Context, addr string) (net.Conn, error) {
	c.mu.Lock()
	c.order = append(c.order, addr)
	how := c.ports[addr]
	c.mu.Unlock()
	switch how {
	case "answers":
		here, there := net.Pipe()
		context.AfterFunc(ctx, func() { _ = there.Close() })
		return &pipeTo{here, addr}, nil
	case "silent":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return nil, errClosedPort
}

// pipeTo has the address that was dialled.
type pipeTo struct {
	net.Conn
	addr string
}

func (p *pipeTo) RemoteAddr() net.Addr {
	addr, _ := net.ResolveTCPAddr("tcp", p.addr)
	return addr
}

func newServers(t *testing.T, c *cluster) *Servers {
	t.Helper()
	s, err := NewServers("192.0.2.1:7000", NewLine("192.0.2.1:7000", c.dial), c.dial)
	if err != nil {
		t.Fatal(err)
	}
	s.Told([]string{"192.0.2.1:7000", "192.0.2.2:7000", "not an address"})
	return s
}

// The music comes from the server whose stream port is open, wherever that is, within the time that a search has.
func TestServers_Stream(t *testing.T) {
	for name, ports := range map[string]map[string]string{
		"the first":                    {"192.0.2.1:7001": "answers"},
		"the second":                   {"192.0.2.2:7001": "answers"},
		"the first, the other silent":  {"192.0.2.1:7001": "answers", "192.0.2.2:7001": "silent"},
		"the second, the other silent": {"192.0.2.2:7001": "answers", "192.0.2.1:7001": "silent"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServers(t, &cluster{ports: ports})
				began := time.Now()
				conn, err := s.Stream(t.Context(), "")
				if err != nil {
					t.Fatal(err)
				}
				_ = conn.Close()
				if addr := conn.RemoteAddr().String(); ports[addr] != "answers" {
					t.Errorf("reached %s", addr)
				}
				if took := time.Since(began); took > nextServer {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// One that stands still, while its kernel answers, is asked after the others.
func TestServers_Stream_StandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{ports: map[string]string{"192.0.2.1:7001": "answers"}}
		s := newServers(t, c)
		for _, want := range []string{"192.0.2.1:7001", "192.0.2.2:7001"} {
			conn, err := s.Stream(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
			if got := conn.RemoteAddr().String(); got != want {
				t.Errorf("reached %s, want %s", got, want)
			}
			c.ports["192.0.2.2:7001"] = "answers" // it has taken over
		}
	})
}

// Whoever joins reaches a server that is there, whatever the others do, and speaks with that one.
func TestServers_Reach(t *testing.T) {
	for _, how := range []string{"silent", "refuses"} {
		synctest.Test(t, func(t *testing.T) {
			c := &cluster{ports: map[string]string{"192.0.2.1:7000": how, "192.0.2.2:7000": "answers"}}
			s := newServers(t, c)
			began := time.Now()
			if err := s.Reach(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > otherServer {
				t.Errorf("if the first %s it takes %v", how, took)
			}
			conn, err := s.Requests(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
			if addr := conn.RemoteAddr().String(); addr != "192.0.2.2:7000" {
				t.Errorf("it speaks with %s", addr)
			}
			if len(c.order) != 2 {
				t.Errorf("connections to %v: the one that answers has been reached already", c.order)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		if err := newServers(t, &cluster{}).Reach(t.Context()); !errors.Is(err, errClosedPort) {
			t.Error(err)
		}
	})
}

// If none answers, the search goes on soon.
func TestServers_Stream_Nobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, err := newServers(t, &cluster{}).Stream(t.Context(), ""); !errors.Is(err, errClosedPort) {
			t.Error(err)
		}
	})
}

// The request port of the one that took the listener in is asked again; if it does not, each in turn.
func TestServers_Requests(t *testing.T) {
	c := &cluster{ports: map[string]string{"192.0.2.1:7000": "answers", "192.0.2.2:7000": "answers"}}
	s := newServers(t, c)
	for _, test := range []struct {
		want   string
		joined bool
	}{{"192.0.2.1:7000", true}, {"192.0.2.1:7000", false}, {"192.0.2.2:7000", false}, {"192.0.2.1:7000", false}, {"192.0.2.2:7000", true}, {"192.0.2.2:7000", true}} {
		conn, err := s.Requests(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if got := conn.RemoteAddr().String(); got != test.want {
			t.Errorf("asked %s, want %s", got, test.want)
		}
		if test.joined {
			s.Joined(false)
		}
	}
	var many []string
	for range 100 {
		many = append(many, "192.0.2.9:"+string(rune('1'+len(many)%9))+"000")
	}
	if s.Told(many); len(s.all) > messages.MaxServers {
		t.Errorf("it knows %d servers", len(s.all))
	}
}

// A server may have several addresses, of which some are of other networks, or are another machine's here. Its music comes from
// where it was asked, at once.
func TestServers_Addresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{ports: map[string]string{
			"192.0.2.1:7000": "answers", "192.0.2.2:7000": "silent", "192.0.2.3:7000": "answers",
			"192.0.2.1:7001": "answers", "192.0.2.2:7001": "silent", "192.0.2.3:7001": "answers",
		}}
		s := newServers(t, c)
		s.Told([]string{"192.0.2.3:7000"})
		if err := s.Reach(t.Context()); err != nil {
			t.Fatal(err)
		}
		ask := func(ask func(context.Context, string) (net.Conn, error), want string, within time.Duration) {
			t.Helper()
			began := time.Now()
			conn, err := ask(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
			if got := conn.RemoteAddr().String(); got != want {
				t.Errorf("reached %s, want %s", got, want)
			}
			if took := time.Since(began); took > within {
				t.Errorf("%s after %v", want, took)
			}
		}
		ask(s.Requests, "192.0.2.1:7000", 0)
		if s.Wrong() { // another machine
			t.Error("all are wrong")
		}
		ask(s.Requests, "192.0.2.3:7000", otherServer)
		s.Joined(true)
		for range 3 {
			ask(s.Stream, "192.0.2.3:7001", 0)
		}
		c.mu.Lock()
		c.ports["192.0.2.3:7000"], c.ports["192.0.2.3:7001"] = "silent", "silent" // the listener goes to the first one's network
		c.mu.Unlock()
		if conn, err := s.Requests(t.Context(), ""); err == nil {
			t.Errorf("reached %s", conn.RemoteAddr())
		}
		ask(s.Requests, "192.0.2.1:7000", otherServer)
		s.Joined(true)
		ask(s.Stream, "192.0.2.1:7001", 0)
	})
}

// If everybody who answers is somebody else, that can be said soon, although others are closed or silent.
func TestServers_Wrong(t *testing.T) {
	s := newServers(t, &cluster{ports: map[string]string{"192.0.2.1:7000": "answers"}})
	for _, all := range []bool{false, true} {
		conn, err := s.Requests(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if got := s.Wrong(); got != all {
			t.Errorf("all are wrong: %v, want %v", got, all)
		}
		if conn, err := s.Requests(t.Context(), ""); !all && err == nil {
			t.Errorf("reached %s, though the only one that is left is closed", conn.RemoteAddr())
		}
	}
}
