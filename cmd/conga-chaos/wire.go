package main

import (
	"context"
	"io"
	"net"
	"os/exec"
	"sync"
	"time"

	"conga/cmd/conga-chaos/internal/cables"
	"conga/transport"
)

// network is a node's place in a network: this machine's, one with a cable, or one in memory.
type network struct {
	addr  string // without a port
	dial  transport.DialFunc
	bind  func(addr string) (net.Listener, error)
	start func(*exec.Cmd) error // starts a process in that place; nil in memory
	cable *cables.Host          // nil: it has none
	feed  int                   // how many a listener there offers to feed; 0: one
}

// loopback is this machine's network.
func loopback() network {
	return network{addr: "127.0.0.1", dial: dialSoon, start: (*exec.Cmd).Start, bind: func(addr string) (net.Listener, error) {
		return net.Listen("tcp", addr)
	}}
}

const dialWithin = 500 * time.Millisecond

func dialSoon(ctx context.Context, addr string) (net.Conn, error) {
	return (&net.Dialer{Timeout: dialWithin}).DialContext(ctx, "tcp", addr)
}

// wired returns a place with its own cable.
func wired(router *cables.Router) (network, error) {
	host, err := router.Host()
	if err != nil {
		return network{}, err
	}
	return network{
		addr: host.Addr().String(), cable: host,
		dial: func(ctx context.Context, addr string) (net.Conn, error) {
			return host.Dial(ctx, addr, dialWithin)
		},
		bind: func(addr string) (l net.Listener, err error) {
			err = host.Do(func() error { l, err = net.Listen("tcp", addr); return err })
			return l, err
		},
		start: func(cmd *exec.Cmd) error { return host.Do(cmd.Start) },
	}, nil
}

// free gives the place to others.
func (n network) free() {
	if n.cable != nil {
		_ = n.cable.Free() // if its cable cannot be repaired, the place is not used again
	}
}

// wire is one node's whole network. It can die as with kill -9: all sockets are closed at once,
// without a goodbye. It can be frozen as with SIGSTOP: nothing is read, written or closed,
// while the kernel still accepts connections and bytes.
type wire struct {
	net network

	mu         sync.Mutex
	open       map[io.Closer]bool // sockets
	ports      []net.Listener     // those of them that listen
	frozen     chan struct{}      // closed at the thaw; nil: it flows
	dead, gone bool
}

func newWire(n network) *wire {
	return &wire{net: n, open: map[io.Closer]bool{}}
}

// fall closes the ports, so that nobody comes in while others die with this one.
func (w *wire) fall() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hold()
	w.dead = true
	for _, port := range w.ports {
		_ = port.Close()
	}
}

// die closes every socket. The node itself does not notice: it hangs, because a killed process
// uses no processor, neither to search nor to end in order. cut removes it.
func (w *wire) die() {
	w.fall()
	w.mu.Lock()
	sockets := w.open
	w.open = nil
	w.mu.Unlock()
	for socket := range sockets {
		_ = socket.Close()
	}
}

// cut closes everything, and lets the node notice.
func (w *wire) cut() {
	w.die()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	w.flow()
}

func (w *wire) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hold()
}

// hold lets nobody pass from now on. The caller holds mu.
func (w *wire) hold() {
	if w.frozen == nil && !w.gone {
		w.frozen = make(chan struct{})
	}
}

func (w *wire) thaw() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.dead {
		w.flow()
	}
}

// flow lets waiting goroutines go on. The caller holds mu.
func (w *wire) flow() {
	if w.frozen != nil {
		close(w.frozen)
		w.frozen = nil
	}
}

// pass waits while the wire is frozen; after the cut nothing passes.
func (w *wire) pass() error {
	for {
		w.mu.Lock()
		frozen, gone := w.frozen, w.gone
		w.mu.Unlock()
		switch {
		case gone:
			return net.ErrClosed
		case frozen == nil:
			return nil
		}
		<-frozen
	}
}

// own adds a socket to those that die with the wire.
func (w *wire) own(socket io.Closer) error {
	w.mu.Lock()
	dead := w.dead
	if !dead {
		w.open[socket] = true
	}
	w.mu.Unlock()
	if !dead {
		return nil
	}
	_ = socket.Close()
	return w.pass()
}

func (w *wire) disown(socket io.Closer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, socket)
}

// dial and bind are the network as the node sees it.
func (w *wire) dial(ctx context.Context, addr string) (net.Conn, error) {
	if err := w.pass(); err != nil {
		return nil, err
	}
	conn, err := w.net.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return w.lead(conn)
}

func (w *wire) lead(conn net.Conn) (net.Conn, error) {
	if err := w.own(conn); err != nil {
		return nil, err
	}
	if err := w.pass(); err != nil {
		return nil, err
	}
	return &wireConn{conn, w}, nil
}

func (w *wire) bind(addr string) (net.Listener, error) {
	listener, err := w.net.bind(addr)
	if err != nil {
		return nil, err
	}
	if err := w.own(listener); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ports = append(w.ports, listener)
	return &wireListener{listener, w}, nil
}

type wireListener struct {
	net.Listener
	w *wire
}

func (l *wireListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		_ = l.w.pass() // a dead node does not see that its port is closed
		return nil, err
	}
	return l.w.lead(conn)
}

func (l *wireListener) Close() error {
	_ = l.w.pass() // after the cut there is nothing to wait for
	l.w.disown(l.Listener)
	return l.Listener.Close()
}

type wireConn struct {
	net.Conn
	w *wire
}

// Read returns data only while the wire flows: a frozen process has not seen it yet.
func (c *wireConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if gone := c.w.pass(); gone != nil {
		return 0, gone
	}
	return n, err
}

func (c *wireConn) Write(p []byte) (int, error) {
	if err := c.w.pass(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *wireConn) CloseWrite() error {
	if err := c.w.pass(); err != nil {
		return err
	}
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return net.ErrClosed
	}
	return half.CloseWrite()
}

func (c *wireConn) Close() error {
	_ = c.w.pass()
	c.w.disown(c.Conn)
	return c.Conn.Close()
}
