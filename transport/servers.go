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

// Servers are a listener's ways to the servers of its radio. Mostly there is one server, perhaps with several addresses. Of several
// servers only one leads; the others refuse each HELLO and do not listen on their stream ports. Safe for many goroutines.
type Servers struct {
	dial DialFunc

	mu     sync.Mutex
	all    []wayTo
	asked  int      // index of the server whose request port is asked
	good   bool     // it has taken this listener in, and may be asked again
	open   net.Conn // to that port, from Reach; nil: there is none, or somebody has it
	fed    int      // index of the server whose stream port answered last
	alone  bool     // it is the only one, and all of these are its addresses
	wrongs int      // answers by others than the radio's servers, since a server has taken this listener in
}

type wayTo struct {
	requests, stream string
	line             *Line
	wrong            bool // somebody else answers there
}

// NewServers returns the ways, at first one: line leads to the server at host:port. dial is as in NewLine.
func NewServers(server string, line *Line, dial DialFunc) (*Servers, error) {
	stream, err := StreamOf(server)
	if err != nil {
		return nil, err
	}
	return &Servers{dial: dial, all: []wayTo{{requests: server, stream: stream, line: line}}, good: true}, nil
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
			s.all = append(s.all, wayTo{requests: addr, stream: stream, line: NewLine(addr, s.dial)})
		}
	}
}

// Joined says that the server that was asked last has taken this listener in. alone: it is the radio's only one.
func (s *Servers) Joined(alone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.good, s.alone, s.wrongs = true, alone, 0
	s.forgive()
}

// Wrong says that what was asked last is not one of the radio's servers: a private address is another machine's in another
// network. all: as often as there are addresses.
func (s *Servers) Wrong() (all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[s.asked].wrong = true
	s.wrongs++
	return s.wrongs >= len(s.all)
}

// forgive lets all be asked again.
func (s *Servers) forgive() {
	for i := range s.all {
		s.all[i].wrong = false
	}
}

// Requests connects to a request port: that of the server that had this listener in, otherwise of the next one that answers.
// After Reach it returns that connection, once.
func (s *Servers) Requests(ctx context.Context, _ string) (net.Conn, error) {
	if conn := s.take(); conn != nil {
		return conn, nil
	}
	s.mu.Lock()
	all, turn := slices.Clone(s.all), []int{s.asked}
	if !s.good {
		turn = s.others()
	}
	s.good = false
	s.mu.Unlock()
	i, conn, errs := first(ctx, len(turn), otherServer, func(ctx context.Context, i int) (net.Conn, error) {
		return all[turn[i]].line.Server(ctx, all[turn[i]].requests)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if conn == nil {
		s.forgive() // this machine may be in another network now
		return nil, errs[0]
	}
	s.asked = turn[i]
	return conn, nil
}

// others are the servers in the order in which they are asked after the one that was asked last.
func (s *Servers) others() (turn []int) {
	for i := range s.all {
		if at := (s.asked + 1 + i) % len(s.all); !s.all[at].wrong {
			turn = append(turn, at)
		}
	}
	if turn == nil {
		turn = []int{s.asked}
	}
	return turn
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

// DialAny connects to the first of some addresses that answers and that prove accepts, and returns its index, or the error of
// each. prove returns the connection to use; if it fails, it has closed the one that it got.
func DialAny(ctx context.Context, addrs []string, prove func(ctx context.Context, i int, conn net.Conn) (net.Conn, error)) (net.Conn, int, []error) {
	at, conn, errs := first(ctx, len(addrs), otherServer, func(ctx context.Context, i int) (net.Conn, error) {
		conn, err := DialServer(ctx, addrs[i])
		if err != nil {
			return nil, err
		}
		return prove(ctx, i, conn)
	})
	return conn, at, errs
}

// Line is the way to the server whose request port is asked.
func (s *Servers) Line() *Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[s.asked].line
}

// Stream connects to the stream port of the server that leads. If there is only one, it is reached where it was asked.
func (s *Servers) Stream(ctx context.Context, _ string) (net.Conn, error) {
	s.mu.Lock()
	all, from := slices.Clone(s.all), s.fed+1
	if s.alone {
		from = s.asked
	}
	s.mu.Unlock()
	of := func(i int) int { return (from + i) % len(all) }
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
