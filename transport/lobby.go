package transport

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"
)

// lobby counts a port's connections: those that have not yet said who they are, and
// those that were let in. Of the silent ones, when they become too many, the address
// that has the most loses its oldest: whoever floods the port pushes out himself.
type lobby struct {
	max        int           // let in, strangers not counted
	maxSilent  int           // not yet
	maxAddress int           // of one address, both
	sorry      func() []byte // the last word to a connection too many of its address; may be nil

	mu      sync.Mutex
	hosts   map[netip.Prefix]*host
	silent  int
	inside  int
	seeds   int // let in as strangers
	entered uint64
	porters int
	closed  bool
}

// host is what one address has in a lobby.
type host struct {
	connections int
	seeds       int
	silent      list.List // of *guest, oldest first
}

// guest is one connection in the eyes of its lobby.
type guest struct {
	lobby  *lobby
	conn   net.Conn
	from   netip.Prefix
	number uint64
	since  time.Time
	place  *list.Element // in its host's silent; nil when not there
	in     bool
	seed   bool // it is in as a stranger
}

func newLobby(limits Limits, most int, sorry func() []byte) *lobby {
	limits = limits.filled()
	return &lobby{
		max: most, maxSilent: limits.HalfOpen, maxAddress: limits.PerAddress, sorry: sorry,
		hosts: make(map[netip.Prefix]*host),
	}
}

// enter takes a new connection among the silent ones; nil if it was closed instead: the
// lobby is closed, or the address has as many connections as it may.
func (l *lobby) enter(conn net.Conn) *guest {
	g := &guest{lobby: l, conn: conn, from: address(conn.RemoteAddr()), since: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = conn.Close()
		return nil
	}
	h := l.hosts[g.from]
	if h == nil {
		h = &host{}
		l.hosts[g.from] = h
	}
	if h.connections >= l.maxAddress {
		if h.silent.Len() == 0 {
			l.turnAway(conn)
			return nil
		}
		l.drop(h)
		l.hosts[g.from] = h // drop forgets a host without connections
	}
	l.entered++
	g.number, g.place = l.entered, h.silent.PushBack(g)
	h.connections++
	if l.silent++; l.silent > l.maxSilent {
		l.drop(l.noisiest())
	}
	return g
}

// noisiest is the host with the most silent connections, the oldest among equals.
func (l *lobby) noisiest() *host {
	var worst *host
	for _, h := range l.hosts {
		n := h.silent.Len()
		switch {
		case n == 0, worst != nil && n < worst.silent.Len():
		case worst == nil, n > worst.silent.Len(), h.oldest().number < worst.oldest().number:
			worst = h
		}
	}
	return worst
}

func (h *host) oldest() *guest { return h.silent.Front().Value.(*guest) }

// drop closes the host's oldest silent connection; its actor sees the end and goes.
func (l *lobby) drop(h *host) {
	g := h.oldest()
	l.forget(g)
	_ = g.conn.Close()
}

// forget takes the guest out of all counts; twice is once.
func (l *lobby) forget(g *guest) {
	if g.place == nil && !g.in {
		return
	}
	h := l.hosts[g.from]
	if g.place != nil {
		h.silent.Remove(g.place)
		g.place = nil
		l.silent--
	}
	switch {
	case g.in && g.seed:
		l.seeds--
		h.seeds--
	case g.in:
		l.inside--
	}
	g.in = false
	if h.connections--; h.connections == 0 {
		delete(l.hosts, g.from)
	}
}

// maxPorters bounds the goroutines that say a last word; beyond it none is said.
const maxPorters = 16

// turnAway closes the connection, after a last word if there is somebody to say it.
func (l *lobby) turnAway(conn net.Conn) {
	if l.sorry == nil || l.porters >= maxPorters {
		_ = conn.Close()
		return
	}
	l.porters++
	go func() {
		_ = conn.SetWriteDeadline(time.Now().Add(lingerTime))
		_, _ = conn.Write(l.sorry()) // who does not read it misses nothing else
		linger(conn)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.porters--
	}()
}

// close closes all who have said nothing and all who come later: also those of whom the
// acceptor actor, which stops, will never hear.
func (l *lobby) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, h := range l.hosts {
		for e := h.silent.Front(); e != nil; e = e.Next() {
			_ = e.Value.(*guest).conn.Close()
		}
	}
}

// admit lets the connection in, for it has said who it is. It is false when the house is
// full or the connection was dropped meanwhile. Twice is once.
func (g *guest) admit() bool {
	l := g.lobby
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case g.in:
		return true
	case g.place == nil || l.inside >= l.max:
		return false
	}
	l.inside++
	l.seat(g)
	return true
}

// maxSeeds is how many a port takes in for saying nothing, and maxSeedsOfAddress how many
// from one address: each may cost a decoder, and anybody can say nothing.
const maxSeeds, maxSeedsOfAddress = 64, 16

// admitSeed lets the connection in as a client of the seed's kind, because it waits to be
// spoken to. These never take a native's place.
func (g *guest) admitSeed() bool {
	l := g.lobby
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.place == nil || l.seeds >= maxSeeds || l.hosts[g.from].seeds >= maxSeedsOfAddress {
		return false
	}
	g.seed = true
	l.seeds++
	l.hosts[g.from].seeds++
	l.seat(g)
	return true
}

// seat takes the guest from among the silent ones.
func (l *lobby) seat(g *guest) {
	l.hosts[g.from].silent.Remove(g.place)
	l.silent--
	g.place, g.in = nil, true
}

// leave forgets the connection; twice is once.
func (g *guest) leave() {
	g.lobby.mu.Lock()
	defer g.lobby.mu.Unlock()
	g.lobby.forget(g)
}
