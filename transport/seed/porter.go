package seed

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"conga/messages"
	"conga/transport"
)

const (
	// pairPatience is how far a client's two connections may come from each other.
	pairPatience = 3 * time.Second
	// gathering is how long one who came is not yet told apart from those who came with it.
	gathering = 50 * time.Millisecond
	// blur is how much later a connection may be seen than one that came after it, to another port.
	blur = 20 * time.Millisecond
	// lonelyAfter is when a connection from the host of a client that has its place, to which no
	// request connection belongs, counts as coming for the music.
	lonelyAfter = 500 * time.Millisecond
	// packetPatience is how long a client may take to read its three packets and hang up.
	packetPatience = 5 * time.Second
)

// PorterConfig says for which server a Porter works.
type PorterConfig struct {
	Requests net.Addr                                // of the server's requests: whom stand-ins talk to
	Ports    *Ports                                  // of the server's stream
	Feeder   *Feeder                                 // of the server
	Dial     func(context.Context) (net.Conn, error) // to Requests; nil: TCP
}

// Porter is the server's door for clients of the seed's kind. Stream and Request are what
// the server's StreamsConfig.Seed and RequestsConfig.Seed do; any goroutine may call them.
type Porter struct {
	cfg     PorterConfig
	joining chan struct{} // holds one: clients join one after the other, each behind the one before

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when one of these changes
	callers []*caller     // stream connections of which it is not clear yet what they want
	waiting []*visitor    // request connections without a client, oldest first
	guests  []*guest      // clients that have their packets, in the order in which they came
}

// caller is a connection to the stream port.
type caller struct {
	*transport.Stranger
	host string
}

// visitor is a request connection that has said nothing yet, or not what it is.
type visitor struct {
	*transport.Stranger
	host  string
	guest *guest // nil until it is paired
}

// guest is a client in the chain.
type guest struct {
	host  string
	in    *standIn         // nil before it has its packets
	told  transport.Format // by its packets
	above string           // id of who stands above it
	apart bool             // the server feeds it on a port of its own, wherever it stands
	// It is about to come for its music, to the server's stream port, between these two.
	dueFrom, dueUntil time.Time
	gone              bool
	port              uint16 // that it listens on
	visitor           *visitor
}

// due says that a client will come for its music: not before `from`, and soon.
func (g *guest) due(from time.Time) { g.dueFrom, g.dueUntil = from, time.Now().Add(pairPatience) }

// NewPorter makes a porter.
func NewPorter(cfg PorterConfig) *Porter {
	if cfg.Dial == nil {
		cfg.Dial = func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", reachable(cfg.Requests))
		}
	}
	return &Porter{cfg: cfg, joining: make(chan struct{}, 1), changed: make(chan struct{})}
}

// reachable is the address as this machine reaches it.
func reachable(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

// wake tells those who wait that something has changed. p.mu is held.
func (p *Porter) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Stream takes a connection to the stream port that waits to be spoken to: a client that joins
// is told its place, one that has its place gets its music. Which of the two it is shows by
// the address, and by whether a request connection comes with it; in which order the
// two come does not matter.
func (p *Porter) Stream(ctx context.Context, conn *transport.Stranger) {
	if p.cfg.Ports.extra(conn.LocalAddr()) {
		p.cfg.Feeder.Feed(ctx, conn)
		return
	}
	c := &caller{Stranger: conn, host: hostOf(conn.RemoteAddr())}
	p.mu.Lock()
	p.callers = append(p.callers, c)
	p.wake()
	p.mu.Unlock()
	g, v := p.tellApart(ctx, c)
	switch {
	case v != nil:
		p.join(ctx, conn, v)
	case g != nil:
		p.cfg.Feeder.feed(ctx, conn, g.told)
	}
}

// tellApart waits until it is clear what the caller is: a client that is in the chain, or
// the other half of a visitor; neither, if it is no client.
func (p *Porter) tellApart(ctx context.Context, c *caller) (*guest, *visitor) {
	defer func() {
		p.mu.Lock()
		p.callers = slices.DeleteFunc(p.callers, func(other *caller) bool { return other == c })
		p.wake()
		p.mu.Unlock()
	}()
	// Those who came at the same moment are not all here yet.
	others, lonely, deadline := time.NewTimer(gathering), time.NewTimer(lonelyAfter), time.NewTimer(pairPatience)
	defer others.Stop()
	defer lonely.Stop()
	defer deadline.Stop()
	select {
	case <-others.C:
	case <-ctx.Done():
		return nil, nil
	}
	for {
		p.mu.Lock()
		g, v, changed := p.match(c)
		p.mu.Unlock()
		if g != nil || v != nil {
			return g, v
		}
		select {
		case <-changed:
		case <-lonely.C:
			if p.hosts(c.host) { // its upstream has sent it here, and we did not know that it would
				return &guest{}, nil
			}
		case <-deadline.C:
			return nil, nil
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// match is what the caller is as far as is known now. A client that joins opens its request
// connection right after this one, so a visitor belongs to the last caller before it; then
// comes who is due; then a visitor that overtook its caller. p.mu is held.
func (p *Porter) match(c *caller) (*guest, *visitor, <-chan struct{}) {
	for i, v := range p.waiting {
		behind := v.Since.Add(blur)
		if v.host == c.host && behind.After(c.Since) && v.Since.Sub(c.Since) <= pairPatience &&
			!slices.ContainsFunc(p.callers, func(other *caller) bool {
				return other.host == c.host && other.Since.After(c.Since) && !other.Since.After(behind)
			}) {
			return nil, p.pair(i), p.changed
		}
	}
	for _, g := range p.guests {
		if g.host == c.host && !c.Since.Before(g.dueFrom) && c.Since.Before(g.dueUntil) {
			g.dueUntil = time.Time{}
			return g, nil, p.changed
		}
	}
	for i, v := range p.waiting {
		if v.host == c.host && c.Since.Sub(v.Since).Abs() <= pairPatience {
			return nil, p.pair(i), p.changed
		}
	}
	return nil, nil, p.changed
}

// pair takes the visitor for a client that joins. p.mu is held.
func (p *Porter) pair(i int) *visitor {
	v := p.waiting[i]
	p.waiting = slices.Delete(slices.Clone(p.waiting), i, i+1)
	v.guest = &guest{host: v.host, visitor: v}
	if v.Admit() {
		_ = v.SetReadDeadline(time.Time{})
	}
	p.wake()
	return v
}

// hosts says whether a client of the host has a place.
func (p *Porter) hosts(host string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.guests, func(g *guest) bool { return g.host == host })
}

// join gives the client its place: behind the last one, on a port above that one's.
func (p *Porter) join(ctx context.Context, conn *transport.Stranger, v *visitor) {
	select {
	case p.joining <- struct{}{}:
		defer func() { <-p.joining }()
	case <-ctx.Done():
		return
	}
	g := v.guest
	in := &standIn{
		dial:  p.cfg.Dial,
		node:  &messages.Node{Id: uuid.NewString(), Name: "seed-" + g.host, Seed: true},
		moved: func(ancestors []*messages.Node) { p.moved(g, ancestors) },
	}
	ancestors, err := in.join(ctx, "")
	if err != nil {
		p.drop(v)
		return
	}
	s, err := p.seat(conn, ancestors)
	format, told := p.cfg.Feeder.format(ctx), time.Now()
	if err == nil {
		err = p.tell(conn, transport.Join{Format: format, Host: s.host, Port: s.port})
	}
	if err == nil {
		relay := net.JoinHostPort(listensAt(g.host, s.port), strconv.Itoa(int(s.port)))
		_, err = in.join(ctx, relay)
	}
	if err != nil {
		p.cfg.Ports.release(g.host, s.port)
		in.leave(true)
		p.drop(v)
		return
	}
	p.mu.Lock()
	gone := g.gone // its request connection has ended meanwhile
	if !gone {
		g.in, g.told, g.apart, g.port = in, format, s.apart, s.port
		if s.own {
			g.due(told)
		}
		p.guests = append(p.guests, g)
		p.wake()
	}
	p.mu.Unlock()
	if gone {
		p.cfg.Ports.release(g.host, s.port)
		in.leave(false)
	}
}

// drop ends a client that could not join.
func (p *Porter) drop(v *visitor) {
	p.mu.Lock()
	v.guest.gone = true
	p.mu.Unlock()
	_ = v.Close()
}

// seat is where a client is to receive from, and the port that it is to listen on.
type seat struct {
	host  string
	port  uint16
	own   bool // it will come to the server's stream port
	apart bool // it will come to a port of its own
}

func (p *Porter) seat(conn net.Conn, ancestors []*messages.Node) (seat, error) {
	client, here := hostOf(conn.RemoteAddr()), hostOf(conn.LocalAddr())
	if len(ancestors) > 0 && ancestors[0].GetId() != messages.ServerID && !ancestors[0].GetDials() {
		above, at, err := net.SplitHostPort(ancestors[0].GetRelay())
		if n, bad := strconv.ParseUint(at, 10, 16); err == nil && bad == nil && n < 65535 && p.cfg.Ports.reserve(client, uint16(n)+1) {
			return seat{host: above, port: uint16(n) + 1}, nil
		}
	} else if port := p.cfg.Ports.first(); len(ancestors) > 0 && ancestors[0].GetId() == messages.ServerID && p.cfg.Ports.reserve(client, port) {
		return seat{host: here, port: port, own: true}, nil
	}
	// Who is above cannot be reached from a port below one that is free, so the server feeds it.
	port, err := p.cfg.Ports.open(client)
	return seat{host: here, port: port, apart: true}, err
}

// tell says the three packets in one go, so that they arrive whole, and waits until the
// client has hung up: it then listens.
func (p *Porter) tell(conn net.Conn, join transport.Join) error {
	var all []byte
	for _, packet := range join.Packets() {
		var err error
		if all, err = transport.AppendPacket(all, packet); err != nil {
			return err
		}
	}
	_ = conn.SetDeadline(time.Now().Add(packetPatience))
	if _, err := conn.Write(all); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, io.LimitReader(conn, messages.MaxPayload))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return nil // an end, or a reset, which says the same
}

// moved hears whom the client would receive from, were it a native. One whose upstream has
// left is about to come to the server, if that is the next.
func (p *Porter) moved(g *guest, ancestors []*messages.Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(ancestors) == 0 {
		return
	}
	before := g.above
	g.above = ancestors[0].GetId()
	if g.in == nil || g.apart || g.above == before || g.above != messages.ServerID {
		return
	}
	g.told = transport.Format{} // what it has heard since is not known here
	g.due(time.Now().Add(-pairPatience))
	p.wake()
}
