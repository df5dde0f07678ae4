package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	// serverPatience is how long a listener may take to reach its server: a name server that
	// answers late, several addresses of which the first ones are silent, a long line.
	serverPatience = 15 * time.Second
	// knownPatience is how long one try at the address may take where the server was before, and
	// knownAgain is how soon the next one begins, while others are under way: a packet that a
	// pulled cable has lost is sent again by the system after 1, 3 and 7 s, which is too late.
	knownPatience, knownAgain = 3 * time.Second, time.Second
	// nameAhead is what the name has ahead of the known address.
	nameAhead = 300 * time.Millisecond
	// nodePatience is how long a node may take to be reached in a search: it must not eat the
	// slack. farthest bounds what is added to that on a long line.
	nodePatience, farthest = 500 * time.Millisecond, 3 * time.Second
)

// DialFunc opens a connection to host:port.
type DialFunc func(ctx context.Context, addr string) (net.Conn, error)

// DialNode reaches a node of the chain: within milliseconds, for others are asked if it does not
// answer. It is given an address; to look up a name may take too long.
func DialNode(ctx context.Context, addr string) (net.Conn, error) {
	return dialWithin(ctx, addr, nodePatience)
}

// DialServer reaches a server for the first time: Go's own dialler asks the name server, and tries
// all addresses, those of IPv6 and IPv4 side by side. It may take seconds.
func DialServer(ctx context.Context, addr string) (net.Conn, error) {
	return dialWithin(ctx, addr, serverPatience)
}

func dialWithin(ctx context.Context, addr string, patience time.Duration) (net.Conn, error) {
	conn, _, err := dialTimed(ctx, addr, patience)
	return conn, err
}

// dialTimed also says how long the address that answered took for it, without the name server and
// without other addresses.
func dialTimed(ctx context.Context, addr string, patience time.Duration) (net.Conn, time.Duration, error) {
	var mu sync.Mutex
	begun := make(map[string]time.Time)
	dialer := net.Dialer{Timeout: patience, KeepAliveConfig: keepAlive}
	dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
		mu.Lock()
		defer mu.Unlock()
		begun[address] = time.Now()
		return nil
	}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, 0, err
	}
	mu.Lock()
	defer mu.Unlock()
	return conn, time.Since(begun[conn.RemoteAddr().String()]), nil
}

// Line is a listener's way to its server and to other nodes. It tells apart what takes seconds,
// to find the server by its name, and what must not: a search for music. There the server's
// stream is asked at the address at which its requests answered last, and nobody waits for a
// name server.
//
// The name is looked up anew for each request connection, for the server may have moved. While the
// name server does not answer, the server is tried where it was.
//
// Safe for many goroutines.
type Line struct {
	host string // the server's, as its user wrote it
	name bool   // host is no address
	dial func(ctx context.Context, addr string, patience time.Duration) (net.Conn, time.Duration, error)

	mu       sync.Mutex
	known    netip.Addr    // where the server is; of a name: where it answered last
	answered bool          // once
	doubted  bool          // who answered there last was not the server
	away     time.Duration // a round trip to it
	last     time.Duration // what the last connection took
}

// NewLine is the way to the server at host:port. dial is the node's network; nil: this machine's.
func NewLine(server string, dial DialFunc) *Line {
	host, _, _ := net.SplitHostPort(server)
	ip, err := netip.ParseAddr(host)
	l := &Line{host: host, name: err != nil, known: ip, dial: dialTimed}
	if dial != nil {
		l.dial = func(ctx context.Context, addr string, patience time.Duration) (net.Conn, time.Duration, error) {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			start := time.Now()
			conn, err := dial(ctx, addr)
			return conn, time.Since(start), err
		}
	}
	return l
}

// Node reaches a relay, or the server's stream.
func (l *Line) Node(ctx context.Context, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	known := l.known
	l.mu.Unlock()
	patience := l.nodePatience()
	if host != l.host {
		conn, _, err := l.dial(ctx, addr, patience)
		return conn, err
	}
	if !known.IsValid() { // nobody searches yet
		patience = serverPatience
	} else {
		addr = net.JoinHostPort(known.String(), port)
	}
	conn, took, err := l.dial(ctx, addr, patience)
	if err == nil {
		l.reached(conn, took)
	}
	return conn, err
}

// nodePatience is how long a node may take to be reached from here.
func (l *Line) nodePatience() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return min(max(nodePatience, 2*l.away), farthest)
}

// Patience is how long a node may say nothing, or take to answer, if usual is enough on a short line: a
// new connection waits for a round trip between its first packets and the next ones.
func (l *Line) Patience(usual time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return min(max(usual, usual*4/5+l.away), farthest)
}

// Proved says whether who answered last was the server. What is known of one that was not counts
// only if the name leads nowhere.
func (l *Line) Proved(is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubted = !is
}

// reached remembers where the server is, and how far away. A packet that was lost makes it seem
// farther: of two connections the quicker one tells.
func (l *Line) reached(conn net.Conn, took time.Duration) {
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && l.name {
		l.known = at.Addr().Unmap()
	}
	if !l.answered {
		l.last = took
	}
	l.away, l.last, l.answered = min(took, l.last), took, true
}

// Server reaches the server's requests. For the first time that is Go's own dialler; later the
// address at which it was is tried, too, again and again, and the first connection wins.
func (l *Line) Server(ctx context.Context, addr string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	at, again, doubted := net.JoinHostPort(l.known.String(), port), l.answered && l.known.IsValid(), l.doubted
	l.mu.Unlock()
	var won dialled
	switch {
	case !again:
		won.conn, won.took, won.err = l.dial(ctx, addr, serverPatience)
	case !l.name:
		won = l.race(ctx, "", at, 0)
	case doubted:
		won = l.race(ctx, addr, at, serverPatience)
	default:
		won = l.race(ctx, addr, at, nameAhead)
	}
	if won.err == nil {
		l.reached(won.conn, won.took)
	}
	return won.conn, won.err
}

// dialled is what became of a try.
type dialled struct {
	addr string
	conn net.Conn
	took time.Duration
	err  error
}

// race dials the name, if there is one, and the known address every second from `ahead` on. If the
// name leads nowhere, the known address is what is left, and has the time of a search.
func (l *Line) race(ctx context.Context, name, known string, ahead time.Duration) dialled {
	whole := knownPatience
	if name != "" {
		whole = serverPatience
	}
	ctx, cancel := context.WithTimeout(ctx, whole)
	defer cancel() // those that have not won yet
	ends := make(chan dialled)
	begin := func(addr string, patience time.Duration) {
		go func() {
			end := dialled{addr: addr}
			end.conn, end.took, end.err = l.dial(ctx, addr, patience)
			select {
			case ends <- end:
			case <-ctx.Done():
				if end.conn != nil {
					_ = end.conn.Close()
				}
			}
		}()
	}
	if name != "" {
		begin(name, serverPatience)
	}
	again := time.NewTimer(ahead)
	defer again.Stop()
	over, lost := (<-chan time.Time)(nil), error(nil)
	for {
		select {
		case <-ctx.Done():
			return dialled{err: ctx.Err()}
		case <-over:
			return dialled{err: lost}
		case <-again.C:
			begin(known, knownPatience)
			again.Reset(knownAgain)
		case end := <-ends:
			switch {
			case end.err == nil, name == "", end.addr == name && !leadsNowhere(end.err):
				return end
			case end.addr == name:
				lost, over = end.err, time.After(l.nodePatience()) // then the name server is asked again
				again.Reset(0)
			}
		}
	}
}

// leadsNowhere says whether the name was not found: there is none, or no name server answers.
func leadsNowhere(err error) bool {
	var lookup *net.DNSError
	return errors.As(err, &lookup)
}
