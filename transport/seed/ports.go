package seed

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// portRest is how long a port is not given to a host again after its last user has gone: the user
// may still listen there, or its system may keep the port for a while.
const portRest = time.Minute

// inUse is how long a port is given, if it is not released.
const inUse = 100 * 365 * 24 * time.Hour

// minPort and maxPort bound the ports that are opened: those below are the system's, and the client
// needs the port above.
const minPort, maxPort = 1024, 65535

// maxPorts is how many further ports a server opens at most.
const maxPorts = 256

// Ports is a server's stream port together with further ports that it opens for clients of
// 2016, whose own port must be one above. It accepts the connections of all of them. Any
// goroutine may call its methods.
type Ports struct {
	net.Listener // the first

	accepted chan any // net.Conn or error
	closed   chan struct{}
	once     sync.Once
	wg       sync.WaitGroup

	mu     sync.Mutex
	more   map[uint16]net.Listener
	given  map[string]time.Time // host:port that clients listen on -> when it may be given again
	latest uint16               // the port given out last
}

// NewPorts takes the stream port over.
func NewPorts(first net.Listener) *Ports {
	p := &Ports{
		Listener: first, accepted: make(chan any), closed: make(chan struct{}),
		more: map[uint16]net.Listener{}, given: map[string]time.Time{},
	}
	p.latest = portOf(first.Addr())
	p.listen(first)
	return p
}

func portOf(addr net.Addr) uint16 {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return uint16(tcp.Port)
	}
	return 0
}

// listen passes the port's connections and errors to Accept, until the port is closed.
func (p *Ports) listen(l net.Listener) {
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			var next any = conn
			if err != nil {
				next = err
			}
			select {
			case p.accepted <- next:
			case <-p.closed:
				if conn != nil {
					_ = conn.Close()
				}
				return
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
		}
	})
}

// Accept waits for the next connection to any of the ports.
func (p *Ports) Accept() (net.Conn, error) {
	for {
		select {
		case next := <-p.accepted:
			if conn, is := next.(net.Conn); is {
				return conn, nil
			}
			err := next.(error)
			select {
			case <-p.closed:
				return nil, net.ErrClosed
			default:
			}
			if !errors.Is(err, net.ErrClosed) { // when a further port is closed, the others go on
				return nil, err
			}
		case <-p.closed:
			return nil, net.ErrClosed
		}
	}
}

// Close closes all ports.
func (p *Ports) Close() error {
	var err error
	p.once.Do(func() {
		close(p.closed)
		err = p.Listener.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, l := range p.more {
			_ = l.Close()
		}
	})
	p.wg.Wait()
	return err
}

// first returns the port for a client that receives from the stream port.
func (p *Ports) first() uint16 { return portOf(p.Addr()) + 1 }

// extra returns the port of the address, and whether it is a further one: clients do not join there.
func (p *Ports) extra(addr net.Addr) (port uint16, is bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, is = p.more[portOf(addr)]
	return portOf(addr), is
}

// reserve gives the port to a client of the host, if no client has it or had it within portRest.
func (p *Ports) reserve(host string, port uint16) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.take(host, port)
}

// take is reserve. p.mu is held.
func (p *Ports) take(host string, port uint16) bool {
	at := net.JoinHostPort(host, strconv.Itoa(int(port)))
	now := time.Now()
	if until, used := p.given[at]; used && now.Before(until) || port < 2 || isOurs(host) && !free(port) {
		return false
	}
	p.sweep(now)
	p.given[at] = now.Add(inUse)
	p.latest = max(p.latest, port)
	return true
}

// sweep removes ports that may be given again, and closes the ports that the server had opened below
// them. p.mu is held.
func (p *Ports) sweep(now time.Time) {
	for at, until := range p.given {
		if now.Before(until) {
			continue
		}
		delete(p.given, at)
		_, port, _ := net.SplitHostPort(at)
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && p.more[uint16(n)-1] != nil {
			_ = p.more[uint16(n)-1].Close()
			delete(p.more, uint16(n)-1)
		}
	}
}

// release gives the port of a client of the host back, for use after portRest. The port that the server has
// opened below stays open until then: the listener that the client fed is told to come there.
func (p *Ports) release(host string, port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := net.JoinHostPort(host, strconv.Itoa(int(port))); !p.given[at].IsZero() {
		p.given[at] = time.Now().Add(portRest)
	}
}

// open opens a further port for a client of the host, and returns the one above, which is the
// client's.
func (p *Ports) open(host string) (uint16, error) {
	bound, _, err := net.SplitHostPort(p.Addr().String())
	if err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.more) >= maxPorts {
		return 0, fmt.Errorf("%d ports are open for seed clients", maxPorts)
	}
	const tries = 500
	next := int(max(p.latest, portOf(p.Addr())))
	for range tries {
		if next++; next >= maxPort {
			next, p.latest = minPort, 0 // there are no more above: begin again below
		}
		port := uint16(next)
		if !p.take(host, port+1) {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(bound, strconv.Itoa(int(port))))
		if err != nil {
			delete(p.given, net.JoinHostPort(host, strconv.Itoa(int(port+1))))
			continue
		}
		p.more[port] = l
		p.listen(l)
		return port + 1, nil
	}
	return 0, errors.New("no two free ports in a row for a seed client")
}

// isOurs reports whether the host is this machine.
func isOurs(host string) bool {
	ip := net.ParseIP(host)
	if ip == nil || ip.IsLoopback() {
		return ip != nil
	}
	addrs, _ := net.InterfaceAddrs()
	for _, addr := range addrs {
		if n, ok := addr.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return false
}

// free reports whether the port is free on all addresses of this machine.
func free(port uint16) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(int(port))))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// listensAt returns the address at which a client of the host listens on the port. A client on this
// machine binds to the address of the machine's name, wherever it came from. listensAt finds it without
// connecting, because the client would take a connection for its listener.
func listensAt(host string, port uint16) string {
	if !isOurs(host) {
		return host
	}
	candidates := []string{host, "127.0.0.1"}
	if name, err := os.Hostname(); err == nil {
		if addrs, err := net.LookupHost(name); err == nil {
			candidates = append(candidates, addrs...)
		}
	}
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, addr := range addrs {
			if n, ok := addr.(*net.IPNet); ok {
				candidates = append(candidates, n.IP.String())
			}
		}
	}
	for _, ip := range candidates {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(int(port))))
		if errors.Is(err, syscall.EADDRINUSE) {
			return ip
		}
		if err == nil {
			_ = l.Close()
		}
	}
	return host
}
