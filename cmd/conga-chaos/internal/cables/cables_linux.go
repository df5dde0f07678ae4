package cables

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// network is where the addresses are from: RFC 2544 keeps it for tests, no host has one.
var network = netip.MustParsePrefix("198.18.0.0/15")

// card is the name of a host's network card.
const card = "eth0"

// Router joins all cables.
type Router struct {
	space  netns.NsHandle
	thread *thread

	mu   sync.Mutex
	laid []*Host
	free []*Host
}

// Host is a place in the network.
type Host struct {
	router *Router
	space  netns.NsHandle
	addr   netip.Addr
	socket string // name of the router's end of the cable

	mu    sync.Mutex
	dirty bool // Pull or Slow was called
	apart []*Host
}

// New returns a router without a host.
func New() (*Router, error) {
	thread := newThread()
	space, err := thread.newSpace()
	if err != nil {
		thread.stop()
		return nil, err
	}
	err = thread.inside(space, func() error {
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
	})
	if err != nil {
		thread.stop()
		return nil, errors.Join(fmt.Errorf("let the router pass on packets: %w", err), space.Close())
	}
	return &Router{space: space, thread: thread}, nil
}

// Host returns a host with a cable that works: one that was given back, or a new one.
func (r *Router) Host() (*Host, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.free); n > 0 {
		h := r.free[n-1]
		r.free = r.free[:n-1]
		return h, nil
	}
	h, err := r.lay(len(r.laid) + 1)
	if err != nil {
		return nil, fmt.Errorf("make a host with a cable: %w", err)
	}
	r.laid = append(r.laid, h)
	return h, nil
}

// Close removes everything. The hosts' sockets work until they are closed.
func (r *Router) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.space.Close()
	for _, h := range r.laid {
		err = errors.Join(err, h.space.Close())
	}
	r.laid, r.free = nil, nil
	r.thread.stop()
	return err
}

// lay makes the n-th host. Its cable has two addresses: the router's is even.
func (r *Router) lay(n int) (*Host, error) {
	at := network.Addr().As4()
	at[1], at[2], at[3] = at[1]+byte(n>>15&1), byte(n>>7), byte(n<<1)
	gateway := netip.AddrFrom4(at)
	h := &Host{router: r, addr: gateway.Next(), socket: fmt.Sprintf("host%d", n)}
	space, err := r.thread.newSpace()
	if err != nil {
		return nil, err
	}
	h.space = space
	if err := h.connect(gateway); err != nil {
		return nil, errors.Join(err, space.Close())
	}
	return h, nil
}

func (h *Host) connect(gateway netip.Addr) error {
	router, err := netlink.NewHandleAt(h.router.space)
	if err != nil {
		return err
	}
	defer router.Close()
	cable := netlink.NewVeth(netlink.LinkAttrs{Name: h.socket})
	cable.PeerName, cable.PeerNamespace = card, netlink.NsFd(h.space)
	if err := router.LinkAdd(cable); err != nil {
		return fmt.Errorf("lay the cable: %w", err)
	}
	if err := raise(router, h.socket, gateway); err != nil {
		return err
	}
	host, err := netlink.NewHandleAt(h.space)
	if err != nil {
		return err
	}
	defer host.Close()
	if err := raise(host, card, h.addr); err != nil {
		return err
	}
	itself, err := host.LinkByName("lo") // for what a host says to itself
	if err == nil {
		err = host.LinkSetUp(itself)
	}
	if err != nil {
		return fmt.Errorf("the host's loopback: %w", err)
	}
	if err := host.RouteAdd(&netlink.Route{Gw: gateway.AsSlice()}); err != nil {
		return fmt.Errorf("route %v by %v: %w", h.addr, gateway, err)
	}
	return nil
}

// raise gives a network card its address and switches it on.
func raise(in *netlink.Handle, name string, addr netip.Addr) error {
	link, err := in.LinkByName(name)
	if err != nil {
		return err
	}
	both := &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(31, 32)}
	if err := in.AddrAdd(link, &netlink.Addr{IPNet: both}); err != nil {
		return fmt.Errorf("give %s the address %v: %w", name, addr, err)
	}
	return in.LinkSetUp(link)
}

// Addr is the host's address.
func (h *Host) Addr() netip.Addr { return h.addr }

// Do calls f on a thread that is on the host: sockets that f opens and processes that it
// starts are the host's, and stay so. f must not leave that to other goroutines, nor wait
// for anybody: there is one such thread for all hosts.
func (h *Host) Do(f func() error) error { return h.router.thread.inside(h.space, f) }

// Dial connects the host to addr, an IPv4 address and a port, by TCP.
func (h *Host) Dial(ctx context.Context, addr string, patience time.Duration) (net.Conn, error) {
	return (&net.Dialer{Timeout: patience, ControlContext: h.exchange}).DialContext(ctx, "tcp4", addr)
}

// exchange puts a socket of the host in the place of one that is about to dial: whose it is,
// is settled when it is made, and to wait for the answer takes no thread.
func (h *Host) exchange(_ context.Context, _, _ string, raw syscall.RawConn) error {
	var fault error
	err := raw.Control(func(fd uintptr) {
		fault = h.Do(func() error {
			socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer func() { _ = syscall.Close(socket) }() // fd is the same socket
			return syscall.Dup3(socket, int(fd), syscall.O_CLOEXEC)
		})
	})
	if err = errors.Join(err, fault); err != nil {
		return fmt.Errorf("make a socket of %v: %w", h.addr, err)
	}
	return nil
}

// Pull takes the plug out: nothing comes or goes. Connections that stand are not told; who
// dials the host hears from the router that there is no way.
func (h *Host) Pull() error {
	h.mark()
	return h.cable(h.router.space, h.socket, (*netlink.Handle).LinkSetDown)
}

// Plug puts it in again.
func (h *Host) Plug() error {
	return h.cable(h.router.space, h.socket, (*netlink.Handle).LinkSetUp)
}

// queue is how many bytes wait in front of a slow cable before it loses some.
const queue = 16 << 10

// Slow lets the host send so many bytes a second and no more; it receives as before.
func (h *Host) Slow(bytesPerSecond uint64) error {
	h.mark()
	return h.cable(h.space, card, func(in *netlink.Handle, link netlink.Link) error {
		const atOnce = 4 << 10
		return in.QdiscReplace(&netlink.Tbf{
			QdiscAttrs: netlink.QdiscAttrs{
				LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT,
			},
			Rate: bytesPerSecond, Limit: queue, Buffer: uint32(netlink.Xmittime(bytesPerSecond, atOnce)),
		})
	})
}

// Fast ends Slow.
func (h *Host) Fast() error {
	return h.cable(h.space, card, func(in *netlink.Handle, link netlink.Link) error {
		queues, err := in.QdiscList(link)
		if err != nil {
			return err
		}
		for _, q := range queues {
			if q.Type() == "tbf" {
				return in.QdiscDel(q)
			}
		}
		return nil
	})
}

// Part lets nothing pass between the two hosts, in either direction. Nobody is told.
func (h *Host) Part(other *Host) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.apart = append(h.apart, other)
	return h.rules(other, (*netlink.Handle).RuleAdd)
}

// Meet ends all Parts of this host.
func (h *Host) Meet() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.meet()
}

func (h *Host) meet() (err error) {
	for _, other := range h.apart {
		err = errors.Join(err, h.rules(other, (*netlink.Handle).RuleDel))
	}
	h.apart = nil
	return err
}

// rules changes the router's rules for what the two hosts say to each other.
func (h *Host) rules(other *Host, change func(*netlink.Handle, *netlink.Rule) error) error {
	in, err := netlink.NewHandleAt(h.router.space)
	if err != nil {
		return fmt.Errorf("the router's rules: %w", err)
	}
	defer in.Close()
	for _, way := range [][2]*Host{{h, other}, {other, h}} {
		rule := netlink.NewRule()
		rule.Src, rule.Dst, rule.Type = only(way[0].addr), only(way[1].addr), syscall.RTN_BLACKHOLE
		if err := change(in, rule); err != nil {
			return fmt.Errorf("part %v from %v, or end that: %w", way[0].addr, way[1].addr, err)
		}
	}
	return nil
}

func only(addr netip.Addr) *net.IPNet {
	return &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(32, 32)}
}

func (h *Host) mark() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dirty = true
}

// Free gives the host back, its cable mended. Its sockets must be closed.
func (h *Host) Free() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.meet(); err != nil {
		return err
	}
	if h.dirty {
		if err := errors.Join(h.Plug(), h.Fast()); err != nil {
			return err // nobody else gets it
		}
	}
	h.dirty = false
	h.router.mu.Lock()
	defer h.router.mu.Unlock()
	h.router.free = append(h.router.free, h)
	return nil
}

func (h *Host) cable(space netns.NsHandle, name string, do func(*netlink.Handle, netlink.Link) error) error {
	in, err := netlink.NewHandleAt(space)
	if err != nil {
		return fmt.Errorf("the cable of %v: %w", h.addr, err)
	}
	defer in.Close()
	link, err := in.LinkByName(name)
	if err == nil {
		err = do(in, link)
	}
	if err != nil {
		return fmt.Errorf("the cable of %v: %w", h.addr, err)
	}
	return nil
}

// thread is a thread that goes from one namespace to another. A thread for each call would
// cost more than the call, and what is to be measured with it.
type thread struct {
	calls chan func()
	gone  chan struct{} // closed by stop
}

func newThread() *thread {
	c := &thread{calls: make(chan func()), gone: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // for ever: nobody else could use a thread that is in a namespace
		for {
			select {
			case call := <-c.calls:
				call()
			case <-c.gone:
				return
			}
		}
	}()
	return c
}

func (c *thread) stop() { close(c.gone) }

func (c *thread) newSpace() (netns.NsHandle, error) {
	space := netns.None()
	err := c.do(func() (err error) {
		space, err = netns.New()
		return err
	})
	if errors.Is(err, os.ErrPermission) {
		return space, fmt.Errorf("make a network namespace: %w (run it as root, or inside of: unshare --user --map-root-user)", err)
	}
	if err != nil {
		return space, fmt.Errorf("make a network namespace: %w", err)
	}
	return space, nil
}

func (c *thread) inside(space netns.NsHandle, f func() error) error {
	return c.do(func() error {
		if err := netns.Set(space); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return f()
	})
}

func (c *thread) do(f func() error) error {
	done := make(chan error, 1)
	select {
	case c.calls <- func() { done <- f() }:
		return <-done
	case <-c.gone:
		return net.ErrClosed
	}
}
