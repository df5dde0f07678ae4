package transport

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// pot is the kind of a connection, by what it has shown of itself. Each kind has its own limit, so
// many connections of one kind take no place from another.
type pot int

const (
	silent    pot = iota // it has not yet said who it is
	newcomers            // it says HELLO
	visitors             // it is not a listener: a person with nc
	webs                 // it speaks HTTP
	seeds                // it speaks the bytes of 2016
	members              // it was let in
	pots
)

// whenFull is what happens if a connection comes to a pot that is full.
type whenFull int

const (
	refuse       whenFull = iota // it is refused
	oldestOfMost                 // the address with the most in the pot loses its oldest, so a flood displaces itself
	newestOfMost                 // that address loses its newest, if it has more than the newcomer's; else like refuse
)

// potRule is a pot's limit.
type potRule struct {
	max        int
	perAddress int // 0: max
	full       whenFull
}

// lobby counts a port's connections, by kind and by address, and enforces their limits.
type lobby struct {
	rules      [pots]potRule
	maxAddress int           // of one address, in all pots
	refused    func(Refusal) // counts
	sorry      func() []byte // what is sent to a connection that exceeds maxAddress; may be nil

	mu      sync.Mutex
	hosts   map[netip.Prefix]*host
	count   [pots]int
	entered uint64
	newest  time.Time // when the last one came
	porters int
	closed  bool
}

// host is the connections of one address in a lobby.
type host struct {
	connections int
	in          [pots]list.List // of *guest, oldest first
}

// guest is one connection in its lobby.
type guest struct {
	lobby  *lobby
	conn   *awake
	from   netip.Prefix
	number uint64
	since  time.Time
	pot    pot
	place  *list.Element // in its host's pot; nil: it is no longer counted

	// dismissed: another connection has its place now. Its reader gets a timeout and has
	// lingerTime to send a last message.
	dismissed atomic.Bool
	own       bool // a connection of this process itself: no limit counts it
}

// maxSeeds is how many silent peers a stream port takes for clients of 2016, and maxSeedsOfAddress how
// many from one address. Each may cost a decoder, and anybody can be silent.
const maxSeeds, maxSeedsOfAddress = 64, 16

// askingPlayers is how many HTTP clients may ask for the music or a playlist, beside those that a stream port
// plays for.
const askingPlayers = 16

// streamLobby returns the lobby of a stream port for `most` listeners and `players` players over HTTP.
func streamLobby(limits Limits, most, players int, sorry func() []byte) *lobby {
	limits = limits.filled()
	return newLobby(limits.PerAddress, sorry, [pots]potRule{
		silent:  {max: limits.HalfOpen, full: oldestOfMost},
		webs:    {max: players + askingPlayers, full: oldestOfMost},
		seeds:   {max: maxSeeds, perAddress: maxSeedsOfAddress},
		members: {max: most},
	})
}

// requestLobby returns the lobby of the request port. It allows twice as many members as listeners, because a
// listener's old connection may overlap with its new one; listeners are counted by id elsewhere.
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
	return &lobby{
		rules: rules, maxAddress: maxAddress, sorry: sorry, refused: func(Refusal) {}, hosts: make(map[netip.Prefix]*host),
	}
}

// enter adds a new connection to the silent ones. It closes it and returns nil if the lobby
// is closed, or if the address has its greatest number of connections, all of them members.
func (l *lobby) enter(conn net.Conn) *guest {
	g := &guest{lobby: l, conn: stayAwake(conn), from: address(conn.RemoteAddr()), since: arrival(conn)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = conn.Close()
		return nil
	}
	if h := l.hosts[g.from]; h != nil && h.connections >= l.maxAddress && !l.shrink(h) {
		l.refused(RefusedAddress)
		l.turnAway(conn)
		return nil
	}
	h := l.hosts[g.from]
	if h == nil {
		h = &host{}
		l.hosts[g.from] = h
	}
	// The system's times are rounded, its order is not.
	g.since = latest(g.since, l.newest.Add(1))
	l.newest = g.since
	l.entered++
	h.connections++
	g.number = l.entered
	l.seat(g, silent)
	return g
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// own returns the guest for a connection of this process itself, which no limit counts.
func (l *lobby) own(conn net.Conn) *guest {
	return &guest{lobby: l, conn: stayAwake(conn), since: time.Now(), own: true}
}

// shrink makes room for one more connection of the address by dropping one that is not a member. It
// returns false if there is none.
func (l *lobby) shrink(h *host) bool {
	for _, p := range []pot{silent, visitors, webs, newcomers} {
		if h.in[p].Len() > 0 {
			l.drop(h.first(p))
			return true
		}
	}
	return false
}

// seat puts the guest into the pot. If the pot then exceeds its limit and its rule is oldestOfMost, seat
// drops the oldest of the address with the most.
func (l *lobby) seat(g *guest, p pot) {
	g.pot, g.place = p, l.hosts[g.from].in[p].PushBack(g)
	l.count[p]++
	if l.count[p] > l.rules[p].max && l.rules[p].full == oldestOfMost {
		l.drop(l.most(p).first(p))
	}
}

// move moves the guest to another pot. It returns false if that pot is full, or if the connection was
// dropped meanwhile. A guest that is in the pot already stays there.
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

// relieve drops the newest connection of the address with the most in the pot, if that address
// has more than the newcomer's address would have.
func (l *lobby) relieve(p pot, comes *host) bool {
	most := l.most(p)
	if most == nil || most.in[p].Len() <= comes.in[p].Len()+1 {
		return false
	}
	l.drop(most.last(p))
	return true
}

// outrank drops a member of an address that has more members than the guest's address, to make room
// for the guest. It returns false if there is no such address.
func (g *guest) outrank() bool {
	l := g.lobby
	l.mu.Lock()
	defer l.mu.Unlock()
	return g.place != nil && l.relieve(members, l.hosts[g.from])
}

// admit makes the connection a member after it has said who it is.
func (g *guest) admit() bool { return g.move(members) }

// most returns the address with the most connections in the pot; among equals, the one with the oldest
// connection.
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

// drop ends the connection; its actor notices and stops. If the peer has spoken, it gets a
// last message.
func (l *lobby) drop(g *guest) {
	l.refused(RefusedPlace)
	spoken := g.pot != silent
	l.forget(g)
	if !spoken {
		_ = g.conn.Close()
		return
	}
	g.dismissed.Store(true)
	_ = g.conn.SetReadDeadline(time.Now()) // after dismissed is set: patience checks it after setting a deadline
	time.AfterFunc(lingerTime, func() { _ = g.conn.Close() })
}

// patience sets how long from now the connection's reader may wait; 0: without limit.
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

// forget removes the guest from all counts. A second call does nothing.
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

// maxPorters bounds the goroutines that send a last message; beyond it none is sent.
const maxPorters = 16

// turnAway closes the connection, after a last message if fewer than maxPorters are being sent.
func (l *lobby) turnAway(conn net.Conn) {
	if l.sorry == nil || l.porters >= maxPorters {
		_ = conn.Close()
		return
	}
	l.porters++
	go func() {
		_ = conn.SetWriteDeadline(time.Now().Add(lingerTime))
		_, _ = conn.Write(l.sorry())
		linger(conn)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.porters--
	}()
}

// close closes all silent connections and all that come later, including those of which the stopping
// acceptor will never be told.
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

// leave is forget for callers that do not hold the lobby's lock.
func (g *guest) leave() {
	g.lobby.mu.Lock()
	defer g.lobby.mu.Unlock()
	g.lobby.forget(g)
}
