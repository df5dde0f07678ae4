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
	// pairPatience is the longest time between a client's two connections.
	pairPatience = 3 * time.Second
	// gathering is how long a new connection waits for others that came at the same moment.
	gathering = 50 * time.Millisecond
	// ripe is the age of a request connection at which all stream connections that came before it
	// are known: a stream connection counts only after its peer has said nothing for SeedGrace.
	ripe = transport.SeedGrace + gathering
	// blur is how much later a connection may be seen than one that came after it, to another port.
	blur = 20 * time.Millisecond
	// blurAlone is blur if there is no other connection of the host; a busy machine may need it.
	blurAlone = 250 * time.Millisecond
	// lonelyAfter is after how long a stream connection without a request connection counts as coming for
	// the music, if a client of its host has a place.
	lonelyAfter = 500 * time.Millisecond
	// packetPatience is how long a client may take to read its three packets and hang up.
	packetPatience = 2 * time.Second
)

// PorterConfig configures a Porter.
type PorterConfig struct {
	Ports  *Ports  // the server's stream port
	Feeder *Feeder // the server's
	Max    int     // how many clients may have a place at once
	// Above returns the node that would feed a client that joins now.
	Above func(context.Context) (*messages.Node, error)
	// Before lists the clients that had a place when the server last stopped: they still play.
	Before []*messages.Node
	// Speak gives the server's request port a connection on which a stand-in speaks, or only asks.
	Speak func(*transport.StandIn)
	// CutOff tells the chain that the server no longer feeds this client.
	CutOff func(id, reason string)
}

// talk returns a connection to the server's request port for the client at that address.
func (p *Porter) talk(fedBy string, from net.Addr) net.Conn {
	here, there := net.Pipe()
	p.cfg.Speak(&transport.StandIn{Conn: there, FedBy: fedBy, From: from})
	return here
}

// Porter accepts clients of 2016 at the server. Stream and Request are for the server's
// StreamsConfig.Seed and RequestsConfig.Seed; any goroutine may call them.
type Porter struct {
	cfg     PorterConfig
	joining chan struct{} // has room for one: clients join one after another

	mu      sync.Mutex
	changed chan struct{}  // closed and replaced when one of these changes
	callers []*caller      // stream connections whose purpose is not known yet
	waiting []*visitor     // request connections without a client, oldest first
	guests  []*guest       // clients that have their packets, in the order in which they came
	before  map[string]int // by host: clients that had a place when the server stopped
	strays  map[string]int // by host: connections, see stray
}

// caller is a connection to the stream port.
type caller struct {
	*transport.Stranger
	host string
}

// visitor is a request connection whose client is not known yet.
type visitor struct {
	*transport.Stranger
	host  string
	guest *guest // nil until it is paired
}

// guest is a client in the chain.
type guest struct {
	host   string
	node   *messages.Node // as the chain knows it
	in     *standIn       // nil before it has its place
	told   Format         // the format in its packets
	above  string         // id of the node above it
	apart  bool           // the server feeds it on its own port, wherever it stands
	stray  bool           // it is not known which client it is
	hears  int            // connections on which the server feeds it
	absent *time.Timer    // runs while there is no such connection
	// Between these two times it should come to the server's stream port for its music.
	dueFrom, dueUntil time.Time
	gone              bool
	port              uint16 // the port that it listens on
	visitor           *visitor
}

// due notes that the client will come for its music soon, but not before `from`.
func (g *guest) due(from time.Time) { g.dueFrom, g.dueUntil = from, time.Now().Add(pairPatience) }

// NewPorter returns a Porter.
func NewPorter(cfg PorterConfig) *Porter {
	p := &Porter{
		cfg: cfg, joining: make(chan struct{}, 1), changed: make(chan struct{}), before: map[string]int{}, strays: map[string]int{},
	}
	for _, client := range cfg.Before {
		p.before[hostIn(client.GetRelay())]++
	}
	return p
}

// wake tells waiting goroutines that something has changed. p.mu is held.
func (p *Porter) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Stream handles a silent connection to the stream port. A client that joins is told its place; a client
// that has a place gets its music. Which of the two it is follows from its address and from whether a
// request connection comes right after it. Any other connection gets nothing, however long it
// waits.
func (p *Porter) Stream(ctx context.Context, conn *transport.Stranger) (taken bool) {
	if at, is := p.cfg.Ports.extra(conn.LocalAddr()); is {
		if g := p.apart(ctx, hostOf(conn.RemoteAddr()), at+1); g != nil {
			p.feed(ctx, conn, g)
		}
		return true
	}
	c := &caller{Stranger: conn, host: hostOf(conn.RemoteAddr())}
	p.mu.Lock()
	p.callers = append(p.callers, c)
	p.wake()
	p.mu.Unlock()
	switch g, v := p.tellApart(ctx, c); {
	case v != nil:
		p.join(ctx, conn, v)
	case g != nil:
		p.feed(ctx, conn, g)
	default:
		return false
	}
	return true
}

// feed plays to the client.
func (p *Porter) feed(ctx context.Context, conn *transport.Stranger, g *guest) {
	if g.stray {
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.strays[g.host]--
		}()
	}
	if !conn.Admit() {
		return
	}
	count := func(more int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hears(g, more)
	}
	count(1)
	err := p.cfg.Feeder.feed(ctx, conn, audience{node: g.node, told: g.told})
	count(-1)
	if errors.Is(err, errStuck) {
		p.cfg.CutOff(g.node.GetId(), err.Error())
	}
}

// hears adds `more` to the connections on which the client gets its music. A client that has none for
// absentAfter and does not say that it leaves is lost. p.mu is held.
func (p *Porter) hears(g *guest, more int) {
	if g.stray || g.gone {
		return
	}
	g.hears += more
	if g.absent != nil {
		g.absent.Stop()
		g.absent = nil
	}
	if g.hears == 0 {
		g.absent = time.AfterFunc(absentAfter, func() {
			p.mu.Lock()
			here := !g.gone && g.hears == 0
			p.mu.Unlock()
			if here {
				p.cfg.CutOff(g.node.GetId(), errAbsent.Error())
			}
		})
	}
}

// apart waits for the client of the host that listens on the port and that the server feeds on its own
// port: the chain is just being told of it.
func (p *Porter) apart(ctx context.Context, host string, port uint16) *guest {
	deadline := time.NewTimer(pairPatience)
	defer deadline.Stop()
	for {
		p.mu.Lock()
		changed := p.changed
		for _, g := range p.guests {
			if g.apart && g.port == port && g.host == host && g.hears == 0 {
				p.mu.Unlock()
				return g
			}
		}
		p.mu.Unlock()
		select {
		case <-changed:
		case <-deadline.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// tellApart waits until it is clear what the caller is. It returns the client in the chain whose
// stream connection it is, or the visitor that belongs to it, or neither if it is no client.
func (p *Porter) tellApart(ctx context.Context, c *caller) (*guest, *visitor) {
	defer func() {
		p.mu.Lock()
		p.callers = slices.DeleteFunc(p.callers, func(other *caller) bool { return other == c })
		p.wake()
		p.mu.Unlock()
	}()
	// Others that came at the same moment may not be here yet.
	others, lonely, deadline := time.NewTimer(gathering), time.NewTimer(lonelyAfter), time.NewTimer(pairPatience)
	defer others.Stop()
	defer lonely.Stop()
	defer deadline.Stop()
	said, stop := speaks(c.Stranger)
	defer stop()
	select {
	case <-others.C:
	case <-said:
		return nil, nil
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
			if g := p.stray(c.host); g != nil {
				return g, nil
			}
		case <-said:
			return nil, nil
		case <-deadline.C:
			return nil, nil
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// match returns what the caller is, as far as is known now. A client that joins opens its request
// connection right after its stream connection, so a visitor belongs to the last caller before it.
// Otherwise the caller may be a client that is due. While a visitor that may belong to the caller is not
// ripe, match returns neither, and Request calls wake later. p.mu is held.
func (p *Porter) match(c *caller) (*guest, *visitor, <-chan struct{}) {
	slack := blur
	if p.alone(c.host) {
		slack = blurAlone
	}
	for i, v := range p.waiting {
		behind := v.Since.Add(slack)
		if v.host == c.host && behind.After(c.Since) && v.Since.Sub(c.Since) <= pairPatience &&
			!slices.ContainsFunc(p.callers, func(other *caller) bool {
				return other.host == c.host && other.Since.After(c.Since) && !other.Since.After(behind)
			}) {
			if time.Since(v.Since) < ripe {
				return nil, nil, p.changed
			}
			return nil, p.pair(i), p.changed
		}
	}
	for _, g := range p.guests {
		if g.host == c.host && !c.Since.Before(g.dueFrom) && c.Since.Before(g.dueUntil) {
			g.dueUntil = time.Time{}
			return g, nil, p.changed
		}
	}
	return nil, nil, p.changed
}

// alone reports whether the host has at most one caller and one visitor here. p.mu is held.
func (p *Porter) alone(host string) bool {
	callers, visitors := 0, 0
	for _, c := range p.callers {
		if c.host == host {
			callers++
		}
	}
	for _, v := range p.waiting {
		if v.host == host {
			visitors++
		}
	}
	return callers <= 1 && visitors <= 1
}

// pair makes the visitor with this index a client that joins. p.mu is held.
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

// stray returns a guest for a client of the host that is not due: the node that fed it has sent it here,
// or it had its place before the server was restarted. A host has no more strays than clients that the
// server does not feed yet; otherwise stray returns nil. The caller counts it down in p.strays when it has
// gone.
func (p *Porter) stray(host string) *guest {
	p.mu.Lock()
	defer p.mu.Unlock()
	room := p.before[host] - p.strays[host]
	for _, g := range p.guests {
		if g.host == host && g.hears == 0 {
			room++
		}
	}
	if room <= 0 {
		return nil
	}
	p.strays[host]++
	return &guest{host: host, stray: true, node: &messages.Node{Id: uuid.NewString(), Name: "seed-" + host}}
}

// join gives the client its place behind the last one, on the port above that one's. The chain is
// told once the client has its packets and listens, before it is fed.
func (p *Porter) join(ctx context.Context, conn *transport.Stranger, v *visitor) {
	select {
	case p.joining <- struct{}{}:
		defer func() { <-p.joining }()
	case <-ctx.Done():
		return
	}
	g := v.guest
	in, err := p.settle(ctx, conn, g)
	if err != nil {
		p.cfg.Ports.release(g.host, g.port)
		p.mu.Lock()
		g.gone = true
		p.mu.Unlock()
		_ = v.Close()
		return
	}
	p.mu.Lock()
	gone := g.gone // its request connection has ended meanwhile
	if !gone {
		g.in = in
		p.guests = append(p.guests, g)
		if g.above == messages.ServerID {
			p.hears(g, 0)
		}
		p.wake()
	}
	p.mu.Unlock()
	if gone {
		p.cfg.Ports.release(g.host, g.port)
		in.leave(false)
	}
}

// errFull is never sent: such a client understands no reason.
var errFull = errors.New("there is no room for another client of 2016")

// settle tells the client its place, and then the chain of the client.
func (p *Porter) settle(ctx context.Context, conn *transport.Stranger, g *guest) (*standIn, error) {
	p.mu.Lock()
	full := len(p.guests) >= p.cfg.Max
	p.mu.Unlock()
	if full {
		return nil, errFull
	}
	asking, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	above, err := p.cfg.Above(asking)
	if err != nil {
		return nil, err
	}
	s, err := p.seat(conn, above)
	if err != nil {
		return nil, err
	}
	g.port, g.apart, g.told = s.port, s.apart, p.cfg.Feeder.format(ctx)
	told := time.Now()
	if err := p.tell(conn, Join{Format: g.told, Host: s.host, Port: s.port}); err != nil {
		return nil, err
	}
	fedBy := above.GetId()
	if s.apart {
		fedBy = messages.ServerID
	}
	at := net.JoinHostPort(listensAt(g.host, s.port), strconv.Itoa(int(s.port)))
	g.node = &messages.Node{Id: uuid.NewString(), Name: "seed-" + net.JoinHostPort(g.host, strconv.Itoa(int(s.port))), Relay: at}
	g.above = fedBy
	if s.own {
		p.mu.Lock()
		g.due(told)
		p.mu.Unlock()
	}
	in := &standIn{node: g.node, moved: func(ancestors []*messages.Node) { p.moved(g, ancestors) }}
	return in, in.join(ctx, p.talk(fedBy, g.visitor.RemoteAddr()))
}

// seat is the host that a client should receive from, and the port that it should listen on.
type seat struct {
	host  string
	port  uint16
	own   bool // it will come to the server's stream port
	apart bool // it will come to a further port of the server, opened for it alone
}

func (p *Porter) seat(conn net.Conn, above *messages.Node) (seat, error) {
	client, here := hostOf(conn.RemoteAddr()), hostOf(conn.LocalAddr())
	if above.GetId() == messages.ServerID {
		if port := p.cfg.Ports.first(); p.cfg.Ports.reserve(client, port) {
			return seat{host: here, port: port, own: true}, nil
		}
	} else if host, at, err := net.SplitHostPort(above.GetRelay()); err == nil && isIPv4(host) {
		if n, err := strconv.ParseUint(at, 10, 16); err == nil && n < 65535 && p.cfg.Ports.reserve(client, uint16(n)+1) {
			return seat{host: host, port: uint16(n) + 1}, nil
		}
	}
	// The port above that of the node above is not free, so the server feeds the client itself.
	port, err := p.cfg.Ports.open(client)
	return seat{host: here, port: port, apart: true}, err
}

// tell sends the three packets in one write, so that they arrive whole, and waits until the client
// hangs up: then it listens.
func (p *Porter) tell(conn net.Conn, join Join) error {
	var all []byte
	for _, packet := range join.Packets() {
		var err error
		if all, err = AppendPacket(all, packet); err != nil {
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
	return nil // the end of the connection, or a reset, which means the same
}

// moved gets the ancestors that the client would have if it were a native. If its upstream has left and
// the server is next, the client will come to the server.
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
	g.told = Format{} // its feeder may have told it another since
	g.due(time.Now().Add(-pairPatience))
	p.hears(g, 0)
	p.wake()
}
