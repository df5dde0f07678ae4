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
	// gathering is how long a new connection is not told apart from others that came with it.
	gathering = 50 * time.Millisecond
	// ripe is the age of a request connection at which all stream connections that came before it
	// are known: a stream connection counts only after it has said nothing for a while.
	ripe = transport.SeedGrace + gathering
	// blur is how much later a connection may be seen than one that came after it, to another port.
	blur = 20 * time.Millisecond
	// blurAlone is the same on a busy machine, where nobody else of the host can be meant.
	blurAlone = 250 * time.Millisecond
	// lonelyAfter is when a connection from the host of a client that has its place, to which no
	// request connection belongs, counts as coming for the music.
	lonelyAfter = 500 * time.Millisecond
	// packetPatience is how long a client may take to read its three packets and hang up.
	packetPatience = 2 * time.Second
)

// PorterConfig says for which server a Porter works.
type PorterConfig struct {
	Ports  *Ports  // of the server's stream
	Feeder *Feeder // of the server
	Max    int     // clients that have a place at once
	// Above asks which node would feed a client that joins now.
	Above func(context.Context) (*messages.Node, error)
	// Before are the clients that had a place when the server stopped last: they play on.
	Before []*messages.Node
	// Speak gives the server's requests a connection on which a stand-in speaks, or only asks.
	Speak func(*transport.StandIn)
	// CutOff tells the chain that the server no longer feeds this client.
	CutOff func(id, reason string)
}

// talk is a connection to the server's requests.
func (p *Porter) talk(fedBy string) net.Conn {
	here, there := net.Pipe()
	p.cfg.Speak(&transport.StandIn{Conn: there, FedBy: fedBy})
	return here
}

// Porter is the server's door for clients of the seed's kind. Stream and Request are what
// the server's StreamsConfig.Seed and RequestsConfig.Seed do; any goroutine may call them.
type Porter struct {
	cfg     PorterConfig
	joining chan struct{} // has room for one: clients join one after the other

	mu      sync.Mutex
	changed chan struct{}  // closed and replaced when one of these changes
	callers []*caller      // stream connections of which it is not clear yet what they want
	waiting []*visitor     // request connections without a client, oldest first
	guests  []*guest       // clients that have their packets, in the order in which they came
	before  map[string]int // clients of a host that had a place when the server stopped
	strays  map[string]int // connections of a host, see stray
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
	host   string
	node   *messages.Node // as the chain knows it
	in     *standIn       // nil before it has its place
	told   Format         // by its packets
	above  string         // id of who stands above it
	apart  bool           // the server feeds it on a port of its own, wherever it stands
	stray  bool           // nobody knows which client it is
	hears  int            // connections on which the server feeds it
	absent *time.Timer    // while it has none
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

// Stream takes a silent connection to the stream port. A client that joins is told its place; one
// that has its place gets its music. The address tells which of the two it is, and whether a
// request connection comes right after it. A connection that is neither gets nothing, however
// long it waits.
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

// hears notes that the client has come for its music, or no longer has it. A client that stays
// away and does not say that it leaves is lost. p.mu is held.
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

// apart waits for the client of the host that listens on the port and receives from one of its
// own: the chain is just told of it.
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

// tellApart waits until it is clear what the caller is: a client that is in the chain, or
// the other half of a visitor; neither, if it is no client.
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

// match is what the caller is, as far as is known now. A client that joins opens its request
// connection right after this one, so a visitor belongs to the last caller before it. Else the
// caller is a client that is due. While a visitor that may belong to it is not ripe, the answer is
// open, and Request calls wake later. p.mu is held.
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

// alone says whether no more than one caller and one visitor of the host are here. p.mu is held.
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

// stray is a client of the host that comes without being due: the node that fed it has sent it
// here, or it had its place before the server was restarted. A host has no more of them than it
// has clients that the server does not feed already. Its caller says when it has gone.
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

// join gives the client its place: behind the last one, on a port above that one's. The chain
// hears of it when it has its packets and listens, BEFORE it is fed.
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

// settle tells the client its place, and then the chain.
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
	return in, in.join(ctx, p.talk(fedBy))
}

// seat is where a client is to receive from, and the port that it is to listen on.
type seat struct {
	host  string
	port  uint16
	own   bool // it will come to the server's stream port
	apart bool // it will come to a port of its own
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
	// No free port is one above that of the node above, so the server feeds the client itself.
	port, err := p.cfg.Ports.open(client)
	return seat{host: here, port: port, apart: true}, err
}

// tell sends the three packets in one go, so that they arrive whole, and waits until the client
// has hung up: then it listens.
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
	return nil // an end, or a reset, which says the same
}

// moved is told the ancestors that the client would have if it were a native. If its upstream has
// left and the server is next, the client is about to come to the server.
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
	g.told = Format{} // what it has heard since is not known here
	g.due(time.Now().Add(-pairPatience))
	p.hears(g, 0)
	p.wake()
}
