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
	// serverPatience is how long the connection to the server may take: the name server may answer late,
	// the first of several addresses may be silent, the line may be long.
	serverPatience = 15 * time.Second
	// knownPatience is how long one try at the server's last address may take. Another try begins every
	// knownAgain, while the earlier ones continue: if a pulled cable has lost a packet, the system sends it
	// again only after 1, 3 and 7 s, which is too late.
	knownPatience, knownAgain = 3 * time.Second, time.Second
	// nameAhead is how much earlier the server's name is tried than its known address.
	nameAhead = 300 * time.Millisecond
	// nodePatience is how long the connection to a node may take in a search, so that the slack lasts.
	// farthest bounds it on a long line.
	nodePatience, farthest = 500 * time.Millisecond, 3 * time.Second
)

// DialFunc opens a connection to host:port.
type DialFunc func(ctx context.Context, addr string) (net.Conn, error)

// DialNode connects to a node of the chain, within nodePatience, because others are asked if it does not
// answer. addr must be an address: looking up a name may take too long.
func DialNode(ctx context.Context, addr string) (net.Conn, error) {
	return dialWithin(ctx, addr, nodePatience)
}

// DialServer connects to a server for the first time: Go's dialler looks up the name and tries all
// addresses, IPv6 and IPv4 side by side (RFC 6555). It may take seconds.
func DialServer(ctx context.Context, addr string) (net.Conn, error) {
	return dialWithin(ctx, addr, serverPatience)
}

func dialWithin(ctx context.Context, addr string, patience time.Duration) (net.Conn, error) {
	conn, _, err := dialAwake(dialTimed)(ctx, addr, patience)
	return conn, err
}

// dialFor connects to host:port within patience, and also returns how long that took.
type dialFor func(ctx context.Context, addr string, patience time.Duration) (net.Conn, time.Duration, error)

// mostDials is how often a connection is tried again because this process did not run when it should have ended.
const mostDials = 3

// dialAwake tries again if the time for a connection was over while this process did not run: the other end may have
// answered, but Go's dialler does not look.
func dialAwake(dial dialFor) dialFor {
	return func(ctx context.Context, addr string, patience time.Duration) (conn net.Conn, took time.Duration, err error) {
		for range 1 + mostDials {
			begun := time.Now()
			conn, took, err = dial(ctx, addr, patience)
			if late := time.Since(begun) - patience; !timedOut(err) || late <= punctual || ctx.Err() != nil {
				break
			}
		}
		return conn, took, err
	}
}

// dialTimed also returns how long the connection to the address that answered took, without the name server
// and other addresses.
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

// Line connects a listener to its server and to other nodes. Finding the server by its name may take
// seconds. A search for music must not: it uses the address at which the server's request port answered
// last, and waits for no name server.
//
// The name is looked up again for each request connection, because the server may have moved. While the
// name server does not answer, the last address is tried.
//
// Safe for many goroutines.
type Line struct {
	host string // the server's, as its user wrote it
	name bool   // host is a name, not an address
	dial dialFor

	mu       sync.Mutex
	known    netip.Addr    // the server's address; if host is a name: where it answered last
	answered bool          // the server has answered before
	doubted  bool          // the last answer was not the server's
	away     time.Duration // a round trip to the server
	last     time.Duration // how long the last connection took
}

// NewLine returns the line to the server at host:port. dial connects to addresses; nil: by this machine's
// network.
func NewLine(server string, dial DialFunc) *Line {
	host, _, _ := net.SplitHostPort(server)
	ip, err := netip.ParseAddr(host)
	l := &Line{host: host, name: err != nil, known: ip, dial: dialAwake(dialTimed)}
	if dial != nil {
		l.dial = dialAwake(func(ctx context.Context, addr string, patience time.Duration) (net.Conn, time.Duration, error) {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			start := time.Now()
			conn, err := dial(ctx, addr)
			return conn, time.Since(start), err
		})
	}
	return l
}

// Node connects to a relay, or to the server's stream port.
func (l *Line) Node(ctx context.Context, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	known := l.known
	l.mu.Unlock()
	patience := NodePatience(l.roundTrip())
	if host != l.host {
		conn, _, err := l.dial(ctx, addr, patience)
		return conn, err
	}
	if !known.IsValid() { // the first connection: no search is waiting for it
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

// NodePatience is how long a connection to a node may take: at least two round trips to the server, which is
// that far away.
func NodePatience(away time.Duration) time.Duration {
	return min(max(nodePatience, 2*away), farthest)
}

// Patience is how long a node may say nothing, or take to answer, if usual is enough on a short line. On a
// long line it adds a round trip to the server, because TCP's slow start pauses for one after the first packets.
func Patience(usual, away time.Duration) time.Duration {
	return min(max(usual, usual*4/5+away), farthest)
}

// Patience is the function of that name on this line.
func (l *Line) Patience(usual time.Duration) time.Duration { return Patience(usual, l.roundTrip()) }

func (l *Line) roundTrip() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.away
}

// Proved tells whether the last answer was the server's. If not, the address is only used when the name
// leads nowhere.
func (l *Line) Proved(is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubted = !is
}

// reached remembers where the server is, and how far away. A lost packet makes it seem farther, so the
// quicker of the last two connections counts.
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

// Server connects to the server's request port. The first time it uses Go's dialler. Later it also tries the
// last address, again and again, and the first connection wins.
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

// dialled is the result of a try.
type dialled struct {
	addr string
	conn net.Conn
	took time.Duration
	err  error
}

// race dials the name, if there is one, and after `ahead` the known address, every second. If the name leads
// nowhere, it goes on with the known address for nodePatience.
func (l *Line) race(ctx context.Context, name, known string, ahead time.Duration) dialled {
	whole := knownPatience
	if name != "" {
		whole = serverPatience
	}
	ctx, cancel := context.WithTimeout(ctx, whole)
	defer cancel() // ends the other tries
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
				lost, over = end.err, time.After(NodePatience(l.roundTrip())) // the caller will ask the name server again
				again.Reset(0)
			}
		}
	}
}

// leadsNowhere reports whether the name was not found: it does not exist, or no name server answers.
func leadsNowhere(err error) bool {
	var lookup *net.DNSError
	return errors.As(err, &lookup)
}
