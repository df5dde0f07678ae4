package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// streets is a network in which each address, or name, has its own way of answering.
type streets struct {
	mu    sync.Mutex
	ways  map[string]way
	tried map[string]int
}

// way is how an address answers.
type way struct {
	after time.Duration // 0: at once
	lost  int           // so many tries are never answered
	at    string        // the address that answers; empty: the one that was dialled
	err   error
}

func (s *streets) dial(ctx context.Context, addr string) (net.Conn, error) {
	s.mu.Lock()
	w, known := s.ways[addr]
	s.tried[addr]++
	lost := s.tried[addr] <= w.lost
	s.mu.Unlock()
	if !known || lost {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	select {
	case <-time.After(w.after):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if w.err != nil {
		return nil, w.err
	}
	if w.at == "" {
		w.at = addr
	}
	near, far := net.Pipe()
	_ = far.Close()
	return &placed{near, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(w.at))}, nil
}

// placed is a connection to an address.
type placed struct {
	net.Conn
	at net.Addr
}

func (p *placed) RemoteAddr() net.Addr { return p.at }

var (
	errRefusedHere = errors.New("connection refused")
	errNoName      = &net.DNSError{Err: "server misbehaving", Name: "radio"}
)

// How a listener reaches its server, connection after connection.
func TestLine_Server(t *testing.T) {
	const seconds, ms = time.Second, time.Millisecond
	type meeting struct {
		ways  map[string]way
		want  string // the address, or the error
		took  time.Duration
		other bool // who answered was not the server
	}
	for _, test := range []struct {
		name     string
		server   string
		meetings []meeting
	}{
		{"a name server that needs seconds", "radio:7000", []meeting{
			{ways: map[string]way{"radio:7000": {after: 5 * seconds, at: "10.0.0.1:7000"}}, want: "10.0.0.1:7000", took: 5 * seconds},
		}},
		{"a long line", "10.0.0.1:7000", []meeting{
			{ways: map[string]way{"10.0.0.1:7000": {after: 1400 * ms}}, want: "10.0.0.1:7000", took: 1400 * ms},
			{ways: map[string]way{"10.0.0.1:7000": {after: 1400 * ms}}, want: "10.0.0.1:7000", took: 1400 * ms},
		}},
		{"nobody at all", "10.0.0.1:7000", []meeting{{want: context.DeadlineExceeded.Error(), took: serverPatience}}},
		{"the name server is gone", "radio:7000", []meeting{
			{ways: map[string]way{"radio:7000": {at: "10.0.0.1:7000"}}, want: "10.0.0.1:7000"},
			{ways: map[string]way{"10.0.0.1:7000": {}}, want: "10.0.0.1:7000", took: nameAhead},
			{ways: map[string]way{"radio:7000": {err: errNoName}, "10.0.0.1:7000": {after: 10 * ms}}, want: "10.0.0.1:7000", took: 10 * ms},
			{ways: map[string]way{"radio:7000": {err: errNoName}}, want: errNoName.Error(), took: nodePatience},
		}},
		{"it has moved", "radio:7000", []meeting{
			{ways: map[string]way{"radio:7000": {at: "10.0.0.1:7000"}}, want: "10.0.0.1:7000"},
			{ways: map[string]way{"radio:7000": {after: 2 * seconds, at: "10.0.0.2:7000"}}, want: "10.0.0.2:7000", took: 2 * seconds},
			{ways: map[string]way{"10.0.0.2:7000": {}}, want: "10.0.0.2:7000", took: nameAhead},
		}},
		{"another has its old address", "radio:7000", []meeting{
			{ways: map[string]way{"radio:7000": {at: "10.0.0.1:7000"}}, want: "10.0.0.1:7000"},
			{ways: map[string]way{"radio:7000": {after: seconds, at: "10.0.0.2:7000"}, "10.0.0.1:7000": {}}, want: "10.0.0.1:7000", took: nameAhead, other: true},
			{ways: map[string]way{"radio:7000": {after: seconds, at: "10.0.0.2:7000"}, "10.0.0.1:7000": {}}, want: "10.0.0.2:7000", took: seconds},
		}},
		{"a doubted address is better than none", "radio:7000", []meeting{
			{ways: map[string]way{"radio:7000": {at: "10.0.0.1:7000"}}, want: "10.0.0.1:7000", other: true},
			{ways: map[string]way{"radio:7000": {after: seconds, err: errNoName}, "10.0.0.1:7000": {}}, want: "10.0.0.1:7000", took: seconds},
		}},
		{"it is being restarted", "radio:7000", []meeting{
			{ways: map[string]way{"radio:7000": {at: "10.0.0.1:7000"}}, want: "10.0.0.1:7000"},
			{ways: map[string]way{"radio:7000": {after: 10 * ms, err: errRefusedHere}}, want: errRefusedHere.Error(), took: 10 * ms},
		}},
		// A pulled cable has lost the first packets; the system would send them again too late.
		{"lost packets", "10.0.0.1:7000", []meeting{
			{ways: map[string]way{"10.0.0.1:7000": {after: 20 * ms}}, want: "10.0.0.1:7000", took: 20 * ms},
			{ways: map[string]way{"10.0.0.1:7000": {after: 20 * ms, lost: 2}}, want: "10.0.0.1:7000", took: 2*knownAgain + 20*ms},
			{ways: map[string]way{"10.0.0.1:7000": {err: errRefusedHere}}, want: errRefusedHere.Error()},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &streets{}
				line := NewLine(test.server, s.dial)
				for i, m := range test.meetings {
					s.mu.Lock()
					s.ways, s.tried = m.ways, map[string]int{}
					s.mu.Unlock()
					start := time.Now()
					conn, err := line.Server(t.Context(), test.server)
					got, took := "", time.Since(start)
					if err != nil {
						got = err.Error()
					} else {
						got = conn.RemoteAddr().String()
						_ = conn.Close()
						line.Proved(!m.other)
					}
					if got != m.want || took != m.took {
						t.Errorf("connection %d: %s after %v, want %s after %v", i+1, got, took, m.want, m.took)
					}
				}
			})
		})
	}
}

// A search waits for no name server, and for a node only nodePatience, but at least two round trips.
func TestLine_Node(t *testing.T) {
	for _, test := range []struct {
		name string
		away time.Duration
		want time.Duration
	}{
		{"short", 20 * time.Millisecond, nodePatience},
		{"long", 600 * time.Millisecond, 1200 * time.Millisecond},
		{"absurd", 5 * time.Second, farthest},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &streets{ways: map[string]way{"radio:7000": {after: test.away, at: "10.0.0.1:7000"}, "10.0.0.1:7001": {}}, tried: map[string]int{}}
				line := NewLine("radio:7000", s.dial)
				if _, err := line.Server(t.Context(), "radio:7000"); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				if _, err := line.Node(t.Context(), "192.0.2.1:7100"); err == nil || time.Since(start) != test.want {
					t.Errorf("a dead relay: %v after %v, want %v", err, time.Since(start), test.want)
				}
				conn, err := line.Node(t.Context(), "radio:7001")
				if err != nil || conn.RemoteAddr().String() != "10.0.0.1:7001" {
					t.Errorf("the stream: %v", err)
				}
			})
		})
	}
}

// nameServer answers every question for an IPv4 address with 127.0.0.1, after some time. It is this
// process's only one until the test's end.
func nameServer(t *testing.T, after time.Duration) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			question := make([]byte, 512)
			n, from, err := conn.ReadFrom(question)
			if err != nil {
				return
			}
			end := 12
			for question[end] != 0 {
				end += int(question[end]) + 1
			}
			end += 5 // the zero, type and class
			if end > n {
				continue
			}
			isA := question[end-3] == 1
			answer := append(append([]byte{}, question[:2]...), 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0)
			answer = append(answer, question[12:end]...)
			if isA {
				answer[7] = 1
				answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
			}
			time.AfterFunc(after, func() { _, _ = conn.WriteTo(answer, from) })
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		_ = conn.Close()
		<-done
	})
}

// With real connections: the name server needs longer than a search may take, and the line itself
// is a short one.
func TestLine_NameServer(t *testing.T) {
	nameServer(t, nodePatience+100*time.Millisecond)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, host := range []string{"radio.example", "radio.example."} {
		addr := net.JoinHostPort(host, port)
		line := NewLine(addr, nil)
		conn, err := line.Server(t.Context(), addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if line.away >= nodePatience {
			t.Errorf("%s seems to be %v away", host, line.away)
		}
		if conn, err = line.Node(t.Context(), addr); err != nil || !strings.HasPrefix(conn.RemoteAddr().String(), "127.0.0.1:") {
			t.Fatalf("the node: %v", err)
		}
		_ = conn.Close()
	}
}
