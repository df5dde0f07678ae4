// Package crowd runs many real listeners of conga in this process and looks at them from outside: each is what `conga
// join --output none` runs, with a tap on the connection by which its music comes.
package crowd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"conga/actors/player"
	"conga/cmd/conga-bench/internal/tap"
	"conga/cmd/conga-bench/internal/usage"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/node"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

// joinWithin is how long one listener may take to join.
const joinWithin = time.Minute

// again is how long it waits if the server is too busy.
const again = 50 * time.Millisecond

// Crowd is the listeners of one server. Its methods must be called one after another.
type Crowd struct {
	server string // host:port of its requests
	logger *slog.Logger
	system *actor.ActorSystem
	nodes  []*member
	joined atomic.Uint32 // ever
	empty  usage.Memory  // before the first listener
}

// member is one listener.
type member struct {
	node  *node.Listener
	host  string // its address
	notes *tap.Notes
	relay string // host:port at which it feeds the next

	mu    sync.Mutex
	conns []net.Conn
}

// New returns an empty crowd. Other processes have the first listeners of the server, as many as others says. logger takes
// what the listeners of this crowd say.
func New(server string, others int, logger *slog.Logger) *Crowd {
	c := &Crowd{server: server, logger: logger, system: node.NewSystem(logger), empty: usage.MemoryNow()}
	c.joined.Store(uint32(others))
	return c
}

// How says how listeners join.
type How struct {
	AtOnce bool // not one after another
	Play   bool // they decode, and a loudspeaker takes what they play; else they only keep books
}

// Join lets n listeners join, and returns how long each took, and all together.
func (c *Crowd) Join(ctx context.Context, n int, how How) (each []time.Duration, all time.Duration, err error) {
	each = make([]time.Duration, n)
	members, errs := make([]*member, n), make([]error, n)
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		name := fmt.Sprintf("n%d", len(c.nodes)+i+1)
		join := func() {
			start := time.Now()
			members[i], errs[i] = c.insist(ctx, name, how)
			each[i] = time.Since(start)
		}
		if how.AtOnce {
			wg.Go(join)
		} else if join(); errs[i] != nil {
			break
		}
	}
	wg.Wait()
	all = time.Since(begin)
	for _, m := range members {
		if m != nil {
			c.nodes = append(c.nodes, m)
		}
	}
	return each, all, firstOf(errs)
}

// insist joins, and tries again if the server is too busy, as people do.
func (c *Crowd) insist(ctx context.Context, name string, how How) (m *member, err error) {
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	for {
		if m, err = c.join(ctx, name, how.output()); err == nil || cli.Pause(ctx, again) != nil {
			return m, err
		}
	}
}

// firstOf returns the first of the errors, and how many there are.
func firstOf(errs []error) error {
	all := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d could not join: %w", len(all), len(errs), all[0])
}

func (h How) output() player.Output {
	if h.Play {
		return newEar()
	}
	output, err := player.ParseOutput("none")
	if err != nil {
		panic(err) // it is one of those that ParseOutput names itself
	}
	return output
}

// join starts one listener.
func (c *Crowd) join(ctx context.Context, name string, output player.Output) (*member, error) {
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	m := &member{notes: tap.New(), host: house(c.joined.Add(1))}
	var err error
	m.node, err = node.StartListener(ctx, node.ListenerOptions{
		Server: c.server, Name: name, Listen: net.JoinHostPort(m.host, "0"), Output: output, Logger: c.logger, System: c.system,
		News: func(*messages.Playing) {}, Bind: m.bind,
		Dial: func(ctx context.Context, addr string) (net.Conn, error) { return m.dial(ctx, addr, c.server) },
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// house is the address of the n-th listener. Each has its own, as most listeners do: the server lets only so many of one
// address come in a minute.
func house(n uint32) string { return net.IPv4(127, 1+byte(n>>16)%250, byte(n>>8), byte(n)).String() }

// dial taps every connection but that of the requests, which is encrypted.
func (m *member) dial(ctx context.Context, addr, server string) (net.Conn, error) {
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(m.host)}}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	m.keep(conn)
	if addr == server {
		return conn, nil
	}
	return m.notes.Conn(conn, addr), nil
}

func (m *member) bind(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	m.relay = listener.Addr().String()
	return &door{listener, m}, nil
}

// door keeps the connections that it accepts, and gives them on as they are: transport looks at their kind.
type door struct {
	net.Listener
	member *member
}

func (d *door) Accept() (net.Conn, error) {
	conn, err := d.Listener.Accept()
	if err == nil {
		d.member.keep(conn)
	}
	return conn, err
}

func (m *member) keep(conn net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns = append(m.conns, conn)
}

// kill ends all its connections at once, as the system does when a process dies, and then the listener.
func (m *member) kill() error {
	m.mu.Lock()
	for _, conn := range m.conns {
		_ = conn.Close()
	}
	m.mu.Unlock()
	m.node.Client.Stop()
	return m.node.Log.Close()
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// Len is how many listeners there are.
func (c *Crowd) Len() int { return len(c.nodes) }

// Close ends all of them, without a goodbye.
func (c *Crowd) Close() error {
	errs := make([]error, len(c.nodes))
	var wg sync.WaitGroup
	for i, m := range c.nodes {
		wg.Go(func() { errs[i] = m.kill() })
	}
	wg.Wait()
	c.nodes = nil
	c.system.Shutdown()
	return errors.Join(errs...)
}

// Memory returns what a listener needs on average.
func (c *Crowd) Memory() usage.Memory { return usage.MemoryNow().Less(c.empty).Each(len(c.nodes)) }

// Trouble counts how often the listeners had nothing to play, and the items that they have lost.
func (c *Crowd) Trouble(ctx context.Context) (n int, err error) {
	for _, m := range c.nodes {
		receipt, err := m.node.Client.Receipt(ctx)
		if err != nil {
			return 0, err
		}
		n += receipt.Underruns + int(receipt.Lost)
	}
	return n, nil
}
