package seed

import (
	"context"
	"errors"
	"sync"
	"time"

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

// Porter accepts clients of 2016 at the server. Stream and Request are for the server's
// StreamsConfig.Seed and RequestsConfig.Seed; any goroutine may call them.
type Porter struct {
	cfg     PorterConfig
	joining chan struct{} // has room for one: clients join one after another

	mu      sync.Mutex
	changed map[string]chan struct{} // by host: closed and removed when one of these changes, if somebody waits for that
	callers []*caller                // stream connections whose purpose is not known yet
	waiting []*visitor               // request connections without a client, oldest first
	guests  []*guest                 // clients that have their packets, in the order in which they came
	before  map[string]int           // by host: clients that had a place when the server stopped
	strays  map[string]int           // by host: connections, see stray
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
		cfg: cfg, joining: make(chan struct{}, 1), changed: map[string]chan struct{}{}, before: map[string]int{}, strays: map[string]int{},
	}
	for _, client := range cfg.Before {
		p.before[hostIn(client.GetRelay())]++
	}
	return p
}

// change is closed when something changes that concerns the host. p.mu is held.
func (p *Porter) change(host string) <-chan struct{} {
	if p.changed[host] == nil {
		p.changed[host] = make(chan struct{})
	}
	return p.changed[host]
}

// wake tells those that wait for a change that concerns the host. Others sleep on: hundreds come at the same moment. p.mu is
// held.
func (p *Porter) wake(host string) {
	if changed := p.changed[host]; changed != nil {
		close(changed)
		delete(p.changed, host)
	}
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
	p.wake(c.host)
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
