package transport

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"conga/messages"
)

// nextServer is how long a server's stream port may take to answer before the next server's is tried, too. It is the one that
// served last that is asked last: it is lost, and if its process stands still, its kernel still answers.
const nextServer = 60 * time.Millisecond

// otherServer is the same for a request port when nobody waits for music: most servers answer within it.
const otherServer = 300 * time.Millisecond

// Servers are a listener's ways to the servers of its radio. Mostly there is one. Of several only one leads; the others refuse
// each HELLO and do not listen on their stream ports. Safe for many goroutines.
type Servers struct {
	dial DialFunc

	mu    sync.Mutex
	all   []wayTo
	asked int      // index of the server whose request port is asked
	good  bool     // it has taken this listener in, and may be asked again
	open  net.Conn // to that port, from Reach; nil: there is none, or somebody has it
	fed   int      // index of the server whose stream port answered last
}

type wayTo struct {
	requests, stream string
	line             *Line
}

// NewServers returns the ways, at first one: line leads to the server at host:port. dial is as in NewLine.
func NewServers(server string, line *Line, dial DialFunc) (*Servers, error) {
	stream, err := StreamOf(server)
	if err != nil {
		return nil, err
	}
	return &Servers{dial: dial, all: []wayTo{{server, stream, line}}, good: true}, nil
}

// Told adds what a server of the radio said about the others. Those that it does not name are kept: the one that the listener's
// user named may be behind another address.
func (s *Servers) Told(requests []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, addr := range requests {
		stream, err := StreamOf(addr)
		known := slices.ContainsFunc(s.all, func(w wayTo) bool { return w.requests == addr })
		if err == nil && !known && len(s.all) < messages.MaxServers {
			s.all = append(s.all, wayTo{addr, stream, NewLine(addr, s.dial)})
		}
	}
}

// Joined says that the server that was asked last has taken this listener in.
func (s *Servers) Joined() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.good = true
}

// Requests connects to a request port: that of the server that had this listener in, otherwise of the next one. After Reach it
// returns that connection, once.
func (s *Servers) Requests(ctx context.Context, _ string) (net.Conn, error) {
	if conn := s.take(); conn != nil {
		return conn, nil
	}
	s.mu.Lock()
	if !s.good {
		s.asked = (s.asked + 1) % len(s.all)
	}
	s.good = false
	way := s.all[s.asked]
	s.mu.Unlock()
	return way.line.Server(ctx, way.requests)
}

// take returns the connection that Reach has made, nil if there is none or somebody has it.
func (s *Servers) take() net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn := s.open
	if conn != nil {
		s.open, s.good = nil, false
	}
	return conn
}

// Close closes the connection that Reach has made, if nobody has it.
func (s *Servers) Close() error {
	if conn := s.take(); conn != nil {
		return conn.Close()
	}
	return nil
}

// Reach returns once one of the request ports has answered. The connection is for the next Requests, which must follow soon, or
// Close. If none answers, the error is that of the server that the user named first.
func (s *Servers) Reach(ctx context.Context) error {
	s.mu.Lock()
	all := slices.Clone(s.all)
	s.mu.Unlock()
	at, conn, errs := first(ctx, len(all), otherServer, func(ctx context.Context, i int) (net.Conn, error) {
		return all[i].line.Server(ctx, all[i].requests)
	})
	if conn == nil {
		return errs[0]
	}
	s.mu.Lock()
	s.asked, s.good, s.open = at, true, conn
	s.mu.Unlock()
	return nil
}

// DialAny connects to the first of some addresses that answers, and returns its index, or the error of the first one.
func DialAny(ctx context.Context, addrs []string) (net.Conn, int, error) {
	at, conn, errs := first(ctx, len(addrs), otherServer, func(ctx context.Context, i int) (net.Conn, error) { return DialServer(ctx, addrs[i]) })
	if conn == nil {
		return nil, 0, errs[0]
	}
	return conn, at, nil
}

// Line is the way to the server whose request port is asked.
func (s *Servers) Line() *Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[s.asked].line
}

// Stream connects to the stream port of the server that leads.
func (s *Servers) Stream(ctx context.Context, _ string) (net.Conn, error) {
	s.mu.Lock()
	all, last := slices.Clone(s.all), s.fed
	s.mu.Unlock()
	of := func(i int) int { return (last + 1 + i) % len(all) }
	i, conn, errs := first(ctx, len(all), nextServer, func(ctx context.Context, i int) (net.Conn, error) {
		return all[of(i)].line.Node(ctx, all[of(i)].stream)
	})
	if conn == nil {
		return nil, errors.Join(errs...)
	}
	s.mu.Lock()
	s.fed = of(i)
	s.mu.Unlock()
	return conn, nil
}

// first makes n tries, one after the other, and the next one also if the last has not ended after a while. It returns the first
// connection and its try's number; without one the error of each try.
func first(ctx context.Context, n int, after time.Duration, try func(ctx context.Context, i int) (net.Conn, error)) (int, net.Conn, []error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the other tries
	type end struct {
		at   int
		conn net.Conn
		err  error
	}
	ends, errs := make(chan end), make([]error, n)
	next := time.NewTimer(0)
	defer next.Stop()
	for tried, running := 0, 0; ; {
		select {
		case <-next.C:
			if tried == n {
				continue
			}
			at := tried
			tried++
			running++
			go func() {
				conn, err := try(ctx, at)
				select {
				case ends <- end{at, conn, err}:
				case <-ctx.Done():
					if conn != nil {
						_ = conn.Close()
					}
				}
			}()
			next.Reset(after)
		case end := <-ends:
			running--
			if end.err == nil {
				return end.at, end.conn, nil
			}
			errs[end.at] = end.err
			switch {
			case running == 0 && tried == n:
				return 0, nil, errs
			case running == 0:
				next.Reset(0)
			}
		case <-ctx.Done():
			for i := range errs {
				errs[i] = ctx.Err()
			}
			return 0, nil, errs
		}
	}
}
