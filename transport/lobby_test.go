package transport

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// far is a connection that comes from an address of its own.
type far struct {
	net.Conn
	from   string
	closed bool
}

func (f *far) RemoteAddr() net.Addr { return someAddr(f.from) }

func (f *far) Close() error { f.closed = true; return nil }

func (f *far) SetWriteDeadline(_ time.Time) error { return nil }

func (f *far) SetReadDeadline(_ time.Time) error { return nil }

// Whoever floods a port pushes out himself.
func TestLobby_Flood(t *testing.T) {
	l := streamLobby(Limits{PerAddress: 50, HalfOpen: 20}, 10, 0, nil)
	quiet := &far{from: "192.0.2.1:1"}
	g := l.enter(quiet)
	flood := make([]*far, 1000)
	for i := range flood {
		flood[i] = &far{from: fmt.Sprintf("198.51.100.9:%d", i+1)}
		l.enter(flood[i])
	}
	if quiet.closed || !g.admit() || !g.admit() {
		t.Error("the flood has pushed another out")
	}
	kept := slices.DeleteFunc(flood, func(f *far) bool { return f.closed })
	if len(kept) != 19 || kept[0].from != "198.51.100.9:982" {
		t.Errorf("%d of the flood are kept, from %v on", len(kept), kept[0].from)
	}
	if g := l.enter(&far{from: "198.51.100.9:1"}); !g.admit() {
		t.Error("the newest of the flood cannot come in")
	}
}

// The lobby's books are right after any story: what the model says. And no pot is ever
// fuller than its rule.
func TestLobby_Model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const addresses = 4
		var rules [pots]potRule
		for p := range rules {
			rules[p] = potRule{
				max:        rapid.IntRange(1, 6).Draw(t, "max"),
				perAddress: rapid.IntRange(0, 4).Draw(t, "per address"),
				full:       whenFull(rapid.IntRange(0, 2).Draw(t, "full")),
			}
		}
		rules[silent] = potRule{max: rules[silent].max, full: oldestOfMost}
		most := rapid.IntRange(1, 12).Draw(t, "of an address")
		l := newLobby(most, nil, rules)
		var guests []*guest
		some := func(t *rapid.T, do func(*guest)) {
			if len(guests) > 0 {
				do(rapid.SampledFrom(guests).Draw(t, "guest"))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"enter": func(t *rapid.T) {
				conn := &far{from: fmt.Sprintf("192.0.2.%d:1", rapid.IntRange(1, addresses).Draw(t, "address"))}
				switch g := l.enter(conn); {
				case g != nil && conn.closed && rules[silent].max > 1:
					t.Error("who comes last is dropped first")
				case g != nil:
					guests = append(guests, g)
				case !conn.closed:
					t.Error("turned away and left open")
				}
			},
			"move": func(t *rapid.T) {
				some(t, func(g *guest) {
					to := pot(rapid.IntRange(int(newcomers), int(members)).Draw(t, "to"))
					if went := g.move(to); went && (g.place == nil || g.pot != to) {
						t.Errorf("it is in pot %d, not in %d", g.pot, to)
					}
				})
			},
			"outrank": func(t *rapid.T) {
				some(t, func(g *guest) {
					before := l.count[members]
					if ranks := g.outrank(); ranks != (l.count[members] == before-1) {
						t.Errorf("outranks: %v, and of %d members %d are left", ranks, before, l.count[members])
					}
				})
			},
			"leave": func(t *rapid.T) { some(t, (*guest).leave) },
			"": func(t *rapid.T) {
				var count [pots]int
				of := map[netip.Prefix]*[pots]int{}
				for _, g := range guests {
					if g.place == nil {
						continue
					}
					if g.conn.Conn.(*far).closed || g.dismissed.Load() {
						t.Fatal("counted and closed")
					}
					if of[g.from] == nil {
						of[g.from] = &[pots]int{}
					}
					count[g.pot]++
					of[g.from][g.pot]++
				}
				if count != l.count || len(of) != len(l.hosts) {
					t.Fatalf("books: %v of %d hosts; real: %v of %d", l.count, len(l.hosts), count, len(of))
				}
				for p, n := range count {
					if n > rules[p].max {
						t.Fatalf("%d in pot %d, which takes %d", n, p, rules[p].max)
					}
				}
				for from, mine := range of {
					all := 0
					for p, n := range mine {
						all += n
						if l.hosts[from].in[p].Len() != n || rules[p].perAddress > 0 && n > rules[p].perAddress {
							t.Fatalf("%v has %v, pot %d says %d", from, mine, p, l.hosts[from].in[p].Len())
						}
					}
					if all != l.hosts[from].connections || all > most {
						t.Fatalf("%v has %d connections of %d, the books say %d", from, all, most, l.hosts[from].connections)
					}
				}
			},
		})
	})
}

// Who waits to be spoken to may be nobody: such take no listener's place, and one address
// does not take all of theirs.
func TestLobby_Seeds(t *testing.T) {
	l := streamLobby(Limits{HalfOpen: 1000, PerAddress: 1000}, 1, 0, nil)
	let := map[string]int{}
	for i := range 200 {
		from := fmt.Sprintf("192.0.2.%d:%d", i%2, i+1)
		if g := l.enter(&far{from: from}); g.move(seeds) {
			let[from[:9]]++
		}
	}
	if let["192.0.2.0"] != maxSeedsOfAddress || let["192.0.2.1"] != maxSeedsOfAddress {
		t.Errorf("let in %v", let)
	}
	for i := range 2 * maxSeeds {
		l.enter(&far{from: fmt.Sprintf("198.51.100.%d:1", i)}).move(seeds)
	}
	if l.count[seeds] != maxSeeds {
		t.Errorf("%d strangers are in", l.count[seeds])
	}
	g := l.enter(&far{from: "192.0.2.0:1"})
	if !g.admit() {
		t.Error("they have taken a native's place")
	}
	g.leave()
	if g := l.enter(&far{from: "192.0.2.0:1"}); !g.admit() {
		t.Error("a place is not free again")
	}
}

// Behind one address, its strangers go before one of its members has to stay outside.
func TestLobby_Household(t *testing.T) {
	l := requestLobby(Limits{PerAddress: 3}, nil)
	member := func() bool {
		g := l.enter(&far{from: "192.0.2.1:1"})
		return g != nil && g.move(newcomers) && g.admit()
	}
	for range 5 {
		l.enter(&far{from: "192.0.2.1:1"}).move(visitors)
	}
	for i := range 3 {
		if !member() {
			t.Errorf("member %d stays outside", i+1)
		}
	}
	if member() || l.enter(&far{from: "192.0.2.1:1"}) != nil {
		t.Error("the address has more than it may")
	}
}

// One address that takes all places of listeners gives them up to those who have fewer, one
// by one, and does not get them back.
func TestLobby_Outrank(t *testing.T) {
	const places = 10
	l := requestLobby(Limits{Listeners: places}, nil)
	many := make([]*guest, places)
	for i := range many {
		many[i] = l.enter(&far{from: "198.51.100.9:1"})
		many[i].admit()
	}
	for i := range places - 1 {
		g := l.enter(&far{from: fmt.Sprintf("192.0.2.%d:1", i+1)})
		if !g.outrank() || !g.admit() || !many[places-1-i].dismissed.Load() {
			t.Errorf("listener %d got no place", i+1)
		}
	}
	if again := l.enter(&far{from: "198.51.100.9:1"}); again.outrank() {
		t.Error("the many come back")
	}
	if l.count[members] != places {
		t.Errorf("%d members", l.count[members])
	}
}
