package transport

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// pot is what a connection has shown of itself. Each has its own limit: however many there
// are of one kind, they take no place from another.
type pot int

const (
	silent    pot = iota // it has not yet said who it is
	newcomers            // it says HELLO
	visitors             // it is no listener: a person with nc
	webs                 // it speaks HTTP
	seeds                // it speaks the bytes of 2016
	members              // it was let in
	pots
)

// whenFull is what becomes of who comes to a pot that is full.
type whenFull int

const (
	refuse       whenFull = iota // it has to go
	oldestOfMost                 // the address that has the most in the pot loses its oldest: a flood pushes out itself
	newestOfMost                 // that address loses its newest, if it has more than the one that comes: else as refuse
)

// potRule is a pot's limit.
type potRule struct {
	max        int
	perAddress int // 0: max
	full       whenFull
}

// lobby counts a port's connections, by what they have shown and by address.
type lobby struct {
	rules      [pots]potRule
	maxAddress int           // of one address, in all pots
	sorry      func() []byte // the last word to a connection too many of its address; may be nil

	mu      sync.Mutex
	hosts   map[netip.Prefix]*host
	count   [pots]int
	entered uint64
	porters int
	closed  bool
}

// host is what one address has in a lobby.
type host struct {
	connections int
	in          [pots]list.List // of *guest, oldest first
}

// guest is one connection in the eyes of its lobby.
type guest struct {
	lobby  *lobby
	conn   *awake // the connection; while this process stands still, the guest has time
	from   netip.Prefix
	number uint64
	since  time.Time
	pot    pot
	place  *list.Element // in its host's pot; nil: it was forgotten

	// dismissed: its place is another's now. Its reader wakes with a timeout and has
	// lingerTime for a last word.
	dismissed atomic.Bool
	own       bool // this process's own: no limit counts it
}

// maxSeeds is how many a stream port takes in for saying nothing, and maxSeedsOfAddress how
// many from one address: each may cost a decoder, and anybody can say nothing.
const maxSeeds, maxSeedsOfAddress = 64, 16

// askingPlayers is how many may ask for the music, or for a playlist, beside those that a stream port plays for.
const askingPlayers = 16

// streamLobby is for a stream port that serves so many listeners, and plays for so many over HTTP.
func streamLobby(limits Limits, most, players int, sorry func() []byte) *lobby {
	limits = limits.filled()
	return newLobby(limits.PerAddress, sorry, [pots]potRule{
		silent:  {max: limits.HalfOpen, full: oldestOfMost},
		webs:    {max: players + askingPlayers, full: oldestOfMost},
		seeds:   {max: maxSeeds, perAddress: maxSeedsOfAddress},
		members: {max: most},
	})
}

// requestLobby is for the request port. Members are counted by their ids elsewhere, and an
// old connection overlaps with the new one of the same listener: hence twice as many.
func requestLobby(limits Limits, sorry func() []byte) *lobby {
	limits = limits.filled()
	return newLobby(limits.PerAddress, sorry, [pots]potRule{
		silent:    {max: limits.HalfOpen, full: oldestOfMost},
		newcomers: {max: limits.HalfOpen, full: oldestOfMost},
		visitors:  {max: limits.Visitors, full: oldestOfMost},
		webs:      {max: limits.Web, full: oldestOfMost},
		seeds:     {max: limits.Listeners},
		members:   {max: 2 * limits.Listeners, full: newestOfMost},
	})
}

func newLobby(maxAddress int, sorry func() []byte, rules [pots]potRule) *lobby {
	return &lobby{rules: rules, maxAddress: maxAddress, sorry: sorry, hosts: make(map[netip.Prefix]*host)}
}

// enter takes a new connection among the silent ones; nil if it was closed instead: the
// lobby is closed, or the address has as many connections as it may, all of them let in.
func (l *lobby) enter(conn net.Conn) *guest {
	g := &guest{lobby: l, conn: &awake{Conn: conn}, from: address(conn.RemoteAddr()), since: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = conn.Close()
		return nil
	}
	if h := l.hosts[g.from]; h != nil && h.connections >= l.maxAddress && !l.shrink(h) {
		l.turnAway(conn)
		return nil
	}
	h := l.hosts[g.from]
	if h == nil {
		h = &host{}
		l.hosts[g.from] = h
	}
	l.entered++
	h.connections++
	g.number = l.entered
	l.seat(g, silent)
	return g
}

// own is a connection of this process itself, which no limit counts.
func (l *lobby) own(conn net.Conn) *guest {
	return &guest{lobby: l, conn: &awake{Conn: conn}, since: time.Now(), own: true}
}

// shrink makes room for one more connection of the address: its own strangers go before its
// members have to stay outside. False: it has none.
func (l *lobby) shrink(h *host) bool {
	for _, p := range []pot{silent, visitors, webs, newcomers} {
		if h.in[p].Len() > 0 {
			l.drop(h.first(p))
			return true
		}
	}
	return false
}

// seat puts the guest into the pot, and drops one of the pot's address that has the most if
// that was one too many.
func (l *lobby) seat(g *guest, p pot) {
	g.pot, g.place = p, l.hosts[g.from].in[p].PushBack(g)
	l.count[p]++
	if l.count[p] > l.rules[p].max && l.rules[p].full == oldestOfMost {
		l.drop(l.most(p).first(p))
	}
}

// move takes the guest from one pot to another. It is false when that one is full, or the
// connection was dropped meanwhile. Where it is already it may stay.
func (g *guest) move(to pot) bool {
	l := g.lobby
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case g.own:
		return true
	case g.place == nil:
		return false
	case g.pot == to:
		return true
	}
	rule, h := l.rules[to], l.hosts[g.from]
	if rule.perAddress > 0 && h.in[to].Len() >= rule.perAddress {
		return false
	}
	if l.count[to] >= rule.max && (rule.full == refuse || rule.full == newestOfMost && !l.relieve(to, h)) {
		return false
	}
	h.in[g.pot].Remove(g.place)
	l.count[g.pot]--
	l.seat(g, to)
	return g.place != nil
}

// relieve drops the newest of the pot's address that has the most, if it has more than the
// address of who comes would have.
func (l *lobby) relieve(p pot, comes *host) bool {
	most := l.most(p)
	if most == nil || most.in[p].Len() <= comes.in[p].Len()+1 {
		return false
	}
	l.drop(most.last(p))
	return true
}

// outrank takes the place of a member whose address has more of them than the guest's. False:
// none has.
func (g *guest) outrank() bool {
	l := g.lobby
	l.mu.Lock()
	defer l.mu.Unlock()
	return g.place != nil && l.relieve(members, l.hosts[g.from])
}

// admit lets the connection in, for it has said who it is.
func (g *guest) admit() bool { return g.move(members) }

// most is the host with the most in the pot, that with the oldest among equals.
func (l *lobby) most(p pot) *host {
	var most *host
	for _, h := range l.hosts {
		n := h.in[p].Len()
		switch {
		case n == 0, most != nil && n < most.in[p].Len():
		case most == nil, n > most.in[p].Len(), h.first(p).number < most.first(p).number:
			most = h
		}
	}
	return most
}

func (h *host) first(p pot) *guest { return h.in[p].Front().Value.(*guest) }
func (h *host) last(p pot) *guest  { return h.in[p].Back().Value.(*guest) }

// drop ends the connection; its actor sees that and goes. One that has spoken may have
// a last word.
func (l *lobby) drop(g *guest) {
	spoken := g.pot != silent
	l.forget(g)
	if !spoken {
		_ = g.conn.Close()
		return
	}
	g.dismissed.Store(true)
	_ = g.conn.SetReadDeadline(time.Now()) // AFTER: who sets another deadline looks then
	time.AfterFunc(lingerTime, func() { _ = g.conn.Close() })
}

// patience is how long the connection's reader may wait for what comes next, from now.
func (g *guest) patience(d time.Duration) {
	deadline := time.Time{}
	if d > 0 {
		deadline = time.Now().Add(d)
	}
	_ = g.conn.SetReadDeadline(deadline)
	if g.dismissed.Load() {
		_ = g.conn.SetReadDeadline(time.Now())
	}
}

// forget takes the guest out of all counts; twice is once.
func (l *lobby) forget(g *guest) {
	if g.place == nil {
		return
	}
	h := l.hosts[g.from]
	h.in[g.pot].Remove(g.place)
	l.count[g.pot]--
	g.place = nil
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
		for e := h.in[silent].Front(); e != nil; e = e.Next() {
			_ = e.Value.(*guest).conn.Close()
		}
	}
}

// leave forgets the connection; twice is once.
func (g *guest) leave() {
	g.lobby.mu.Lock()
	defer g.lobby.mu.Unlock()
	g.lobby.forget(g)
}
