package main

import (
	"context"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"conga/transport"
)

// memNet is a network in memory, for virtual time: its goroutines block only where
// testing/synctest sees it. It has no delay of its own, keeps bytes for those who do not read, and
// accepts for those who are frozen, as a kernel does.
type memNet struct {
	mu    sync.Mutex
	ports map[int]*memListener
	last  int

	weather func() time.Duration // see memPipe; nil: it is fine
	carried sync.Map             // bytes in both directions, *atomic.Int64 by port
	offers  tree                 // of the nodes in it
	limits  transport.Limits     // of the server in it
	delay   time.Duration        // of all that is sent
}

// tree is how many the server feeds, how many each listener offers to feed (0: one), and how many the server may feed if the
// chain is too deep (0: no more).
type tree struct{ chains, feed, most int }

// bytes returns how many bytes the connections to the port have carried, in both directions.
func (a *memNet) bytes(port int) *atomic.Int64 {
	n, _ := a.carried.LoadOrStore(port, &atomic.Int64{})
	return n.(*atomic.Int64)
}

func newMemNet() *memNet { return &memNet{ports: map[int]*memListener{}, last: 20_000} }

func (a *memNet) network() network {
	n, _ := a.house()
	return n
}

// house is a place in the network, and its uplink.
func (a *memNet) house() (network, *uplink) {
	u := &uplink{delay: a.delay}
	return network{
		addr: "127.0.0.1", feed: a.offers.feed,
		dial: func(_ context.Context, addr string) (net.Conn, error) { return a.dial(u, addr) },
		bind: func(addr string) (net.Listener, error) { return a.bind(u, addr) },
	}, u
}

// uplink is what all connections of a house share to send by.
type uplink struct {
	mu    sync.Mutex
	rate  int           // bytes a second; 0: as fast as may be
	delay time.Duration // after that
	free  time.Time     // when what was sent so far is through
}

func (u *uplink) slow(rate int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.rate = rate
}

// through is when n more bytes are.
func (u *uplink) through(n int) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now := time.Now(); u.free.Before(now) {
		u.free = now
	}
	if u.rate > 0 {
		u.free = u.free.Add(time.Duration(n) * time.Second / time.Duration(u.rate))
	}
	return u.free.Add(u.delay)
}

func memAddr(port int) *net.TCPAddr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port} }

func portIn(addr string) (int, error) {
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

func (a *memNet) bind(u *uplink, addr string) (net.Listener, error) {
	port, err := portIn(addr)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if port == 0 {
		a.last++
		port = a.last
	}
	if a.ports[port] != nil {
		return nil, syscall.EADDRINUSE
	}
	l := &memListener{mem: a, uplink: u, port: port, backlog: make(chan net.Conn, 1024), closed: make(chan struct{})}
	a.ports[port] = l
	return l, nil
}

func (a *memNet) dial(u *uplink, addr string) (net.Conn, error) {
	port, err := portIn(addr)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	listener := a.ports[port]
	if listener == nil {
		return nil, syscall.ECONNREFUSED
	}
	a.last++
	up, down := newMemPipe(u, a.weather, a.bytes(port)), newMemPipe(listener.uplink, a.weather, a.bytes(port))
	near := &memConn{in: down, out: up, local: memAddr(a.last), remote: memAddr(port)}
	far := &memConn{in: up, out: down, local: memAddr(port), remote: memAddr(a.last)}
	select {
	case listener.backlog <- far:
		return near, nil
	default:
		return nil, syscall.ECONNREFUSED
	}
}

type memListener struct {
	mem     *memNet
	uplink  *uplink
	port    int
	backlog chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.backlog:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close also ends the connections that were never accepted.
func (l *memListener) Close() error {
	l.once.Do(func() {
		l.mem.mu.Lock()
		delete(l.mem.ports, l.port)
		l.mem.mu.Unlock()
		close(l.closed)
		for {
			select {
			case conn := <-l.backlog:
				_ = conn.Close()
			default:
				return
			}
		}
	})
	return nil
}

func (l *memListener) Addr() net.Addr { return memAddr(l.port) }

type memConn struct {
	in, out       *memPipe
	local, remote net.Addr
}

func (c *memConn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *memConn) Write(p []byte) (int, error) { return c.out.write(p) }
func (c *memConn) CloseWrite() error           { c.out.end(); return nil }
func (c *memConn) LocalAddr() net.Addr         { return c.local }
func (c *memConn) RemoteAddr() net.Addr        { return c.remote }

func (c *memConn) Close() error {
	c.out.end()
	c.in.stop()
	return nil
}

func (c *memConn) SetDeadline(t time.Time) error {
	c.in.readBy.set(c.in, t)
	c.out.writeBy.set(c.out, t)
	return nil
}

func (c *memConn) SetReadDeadline(t time.Time) error  { c.in.readBy.set(c.in, t); return nil }
func (c *memConn) SetWriteDeadline(t time.Time) error { c.out.writeBy.set(c.out, t); return nil }

// memBuffer is what a kernel keeps for one direction.
const memBuffer = 256 << 10

// memPipe is one direction of a connection.
type memPipe struct {
	mu              sync.Mutex
	changed         *sync.Cond
	buf             []byte
	uplink          *uplink
	behind          int  // bytes at the end of buf that the uplink has not sent yet
	ended           bool // nothing more is written
	stopped         bool // nobody reads any more
	readBy, writeBy deadline
	weather         func() time.Duration // how long nothing comes through, at each write; nil: it is fine
	clears          time.Time            // until then
	bytes           *atomic.Int64        // written so far, with others
}

func newMemPipe(u *uplink, weather func() time.Duration, bytes *atomic.Int64) *memPipe {
	p := &memPipe{uplink: u, weather: weather, bytes: bytes}
	p.changed = sync.NewCond(&p.mu)
	return p
}

func (p *memPipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.stopped:
			return 0, net.ErrClosed
		case p.readBy.over():
			return 0, os.ErrDeadlineExceeded
		case len(p.buf) > p.behind && !time.Now().Before(p.clears):
			n := copy(b, p.buf[:len(p.buf)-p.behind])
			p.buf = p.buf[n:]
			p.changed.Broadcast()
			return n, nil
		case p.ended && len(p.buf) == 0:
			return 0, io.EOF
		}
		p.changed.Wait()
	}
}

func (p *memPipe) write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n < len(b) {
		room := memBuffer - len(p.buf)
		switch {
		case p.ended:
			return n, net.ErrClosed
		case p.stopped:
			return n, syscall.EPIPE
		case p.writeBy.over():
			return n, os.ErrDeadlineExceeded
		case room > 0:
			some := b[n:min(len(b), n+room)]
			p.buf = append(p.buf, some...)
			n += len(some)
			p.bytes.Add(int64(len(some)))
			p.send(len(some))
			p.cloud()
			p.changed.Broadcast()
		default:
			p.changed.Wait()
		}
	}
	return n, nil
}

// send lets the uplink decide when the newest n bytes come through.
func (p *memPipe) send(n int) {
	wait := time.Until(p.uplink.through(n))
	if wait <= 0 && p.behind == 0 {
		return
	}
	p.behind += n
	time.AfterFunc(wait, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.behind = max(0, p.behind-n)
		p.changed.Broadcast()
	})
}

// cloud lets the weather decide when the bytes come through, and those behind them.
func (p *memPipe) cloud() {
	if p.weather == nil {
		return
	}
	if wait := p.weather(); wait > 0 {
		if at := time.Now().Add(wait); at.After(p.clears) {
			p.clears = at
		}
		time.AfterFunc(wait, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.changed.Broadcast()
		})
	}
}

func (p *memPipe) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.changed.Broadcast()
}

func (p *memPipe) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped, p.buf, p.behind = true, nil, 0
	p.changed.Broadcast()
}

// deadline is guarded by its pipe's lock.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) over() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) set(p *memPipe, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.at = at
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if !at.IsZero() {
		d.timer = time.AfterFunc(time.Until(at), func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.changed.Broadcast()
		})
	}
	p.changed.Broadcast()
}
