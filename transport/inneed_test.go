package transport

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"conga/messages"
)

// Whoever comes, from wherever and in any order: of those that come in need, and have music elsewhere, no more are let in than
// may be. Whom nobody feeds, and whom the chain sends here, is always let in, and loses the seat to nobody.
func TestSeats_Property_InNeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 3
		var s seats
		here := map[string]bool{} // whom the chain sends here
		sent := func(id string) bool { return here[id] }
		id := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h"})
		inNeed := func() (n int) {
			alone := map[netip.Prefix]bool{}
			for id, seat := range s.taken {
				if here[id] {
					continue
				}
				if seat.fed || !alone[seat.from] {
					n++
				}
				alone[seat.from] = alone[seat.from] || !seat.fed
			}
			return n
		}
		t.Repeat(map[string]func(*rapid.T){
			"move": func(t *rapid.T) {
				id := id.Draw(t, "id")
				here[id] = !here[id]
			},
			"come": func(t *rapid.T) {
				newcomer := &seat{
					id: id.Draw(t, "id"), fed: rapid.Bool().Draw(t, "fed"), expected: true,
					from: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(1, 3).Draw(t, "address"))}), 32),
				}
				if !newcomer.fed || here[newcomer.id] {
					s.take(newcomer)
					return
				}
				had := s.taken[newcomer.id] != nil && !here[newcomer.id]
				before, homes := inNeed(), map[netip.Prefix]int{}
				for id, seat := range s.taken {
					if !here[id] && id != newcomer.id && seat.fed {
						homes[seat.from]++
					}
				}
				out, room := s.room(newcomer, most, sent)
				switch {
				case !room && before < most:
					t.Fatalf("%d have come, and there is no room", before)
				case room && before >= most && !had && out == nil:
					t.Fatalf("%d have come, and one more", before)
				case out == nil:
				case here[out.id] || !out.fed:
					t.Fatalf("%s has to go", out.id)
				case homes[out.from] < homes[newcomer.from]+2:
					t.Fatalf("one of %d goes for one of %d", homes[out.from], homes[newcomer.from]+1)
				default:
					s.leave(out)
				}
				if room {
					s.take(newcomer)
				}
			},
			"leave": func(t *rapid.T) {
				if seat := s.taken[id.Draw(t, "id")]; seat != nil {
					s.leave(seat)
				}
			},
		})
	})
}

// A line whose music is late turns to the server, all at once: it takes in a few, and tells the others to stay. Orphans, and those
// that the chain sends to it, find it open. When somebody goes, another may come.
func TestStreams_InNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crowd := make([]*Identity, leastInNeed+4)
		members := map[string]messages.Standing{amyID: messages.StandingFedByServer, bobID: messages.StandingInChain}
		for i := range crowd {
			crowd[i] = NewIdentity()
			members[crowd[i].ID()] = messages.StandingInChain
		}
		l, expected := newPipes(), NewExpected()
		expected.Members(members, true)
		openStreams(t, l, func(c *StreamsConfig) { c.Expected = expected })
		ask := func(who *Identity, fed bool, from string) (net.Conn, string) {
			conn := l.dialFrom(t, from)
			send(t, conn, saidBy(t, who, &messages.OpenStream{Fed: fed}))
			answer := unmarshal(t, readFrame(t, bufio.NewReader(conn), messages.KindHi).Payload, &messages.StreamOpened{})
			if answer.GetRefused() != "" && answer.GetRefusal() != messages.StreamOpened_REFUSAL_FULL {
				t.Error(answer)
			}
			return conn, answer.GetRefused()
		}
		var conns []net.Conn
		for i, who := range crowd {
			conn, refused := ask(who, true, fmt.Sprintf("198.51.100.%d:1", i))
			if full := i >= leastInNeed; full != (refused == errStay.Error()) {
				t.Errorf("%d is told %q", i, refused)
			}
			conns = append(conns, conn)
		}
		if _, refused := ask(amy, true, "198.51.100.200:1"); refused != "" {
			t.Error("whom the chain sends there is told", refused)
		}
		if _, refused := ask(bob, false, "198.51.100.201:1"); refused != "" {
			t.Error("whom nobody feeds is told", refused)
		}
		for _, conn := range conns[:2] { // bob's is one more than there may be
			_ = conn.Close()
		}
		synctest.Wait()
		if _, refused := ask(crowd[leastInNeed], true, "198.51.100.202:1"); refused != "" {
			t.Error("after one has gone, another is told", refused)
		}
	})
}

// One address that has taken all the places for listeners in need gives some of them back to others; and if its listeners say that
// nobody feeds them, they take no more than one place from others.
func TestStreams_InNeedOfOneAddress(t *testing.T) {
	for _, fed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			members := map[string]messages.Standing{amyID: messages.StandingInChain}
			hers := make([]*Identity, leastInNeed)
			for i := range hers {
				hers[i] = NewIdentity()
				members[hers[i].ID()] = messages.StandingInChain
			}
			l, expected := newPipes(), NewExpected()
			expected.Members(members, true)
			openStreams(t, l, func(c *StreamsConfig) { c.Expected = expected })
			ask := func(who *Identity, from string, fed bool) net.Conn {
				conn := l.dialFrom(t, from)
				send(t, conn, saidBy(t, who, &messages.OpenStream{Fed: fed}))
				if answer := unmarshal(t, readFrame(t, bufio.NewReader(conn), messages.KindHi).Payload, &messages.StreamOpened{}); answer.GetRefused() != "" {
					t.Fatal(answer)
				}
				return conn
			}
			var last net.Conn
			for _, who := range hers {
				last = ask(who, "198.51.100.66:1", fed)
			}
			ask(amy, "198.51.100.1:1", true)
			if fed {
				ends(t, last)
			}
		})
	}
}

// Of those in need whom others feed, the newest are let go; nobody else, and no more than there are.
func TestSeats_Property_LetGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s seats
		here := map[string]bool{}
		for n := range rapid.IntRange(0, 12).Draw(t, "seats") {
			id := fmt.Sprint(n)
			here[id] = rapid.Bool().Draw(t, "sent")
			from := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(1, 3).Draw(t, "address"))}), 32)
			s.take(&seat{id: id, from: from, expected: true, fed: rapid.Bool().Draw(t, "fed")})
		}
		fed, all := s.inNeed(func(id string) bool { return here[id] })
		alone := map[netip.Prefix]bool{}
		for _, seat := range s.taken {
			if !here[seat.id] && (seat.fed || !alone[seat.from]) {
				all--
				alone[seat.from] = alone[seat.from] || !seat.fed
			}
			if may := seat.fed && !here[seat.id]; may != slices.Contains(fed, seat) {
				t.Fatalf("%s may be let go: %v", seat.id, !may)
			}
		}
		if all != 0 || !slices.IsSortedFunc(fed, func(a, b *seat) int { return int(b.number) - int(a.number) }) {
			t.Fatalf("%d too many are in need, or the newest does not go first: %v", all, fed)
		}
	})
}

// slowLine is an uplink: what goes over it comes through one after another.
type slowLine struct {
	rate int // bytes a second
	mu   sync.Mutex
	free time.Time
}

// over returns the connection as it is at the other end of the line.
func (l *slowLine) over(conn net.Conn) io.Reader { return slowReader{conn, l} }

type slowReader struct {
	net.Conn
	line *slowLine
}

func (r slowReader) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b[:min(len(b), 256)])
	r.line.mu.Lock()
	if now := time.Now(); r.line.free.Before(now) {
		r.line.free = now
	}
	r.line.free = r.line.free.Add(time.Duration(n) * time.Second / time.Duration(r.line.rate))
	wait := time.Until(r.line.free)
	r.line.mu.Unlock()
	time.Sleep(wait)
	return n, err
}

// slowHouse is the server's port behind a line, and the music.
type slowHouse struct {
	*pipes
	line  slowLine
	began time.Time
	stop  chan struct{}
	wait  sync.WaitGroup

	newest atomic.Uint64
	mu     sync.Mutex
	tapes  map[*tape]bool
}

const slowHouseEvery = 100 * time.Millisecond

func (h *slowHouse) open(*messages.OpenStream) (Cursor, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	tape := newTape()
	h.tapes[tape] = true
	return tape, nil
}

// plays gives each tape an item, again and again; one that is full has none.
func (h *slowHouse) plays() {
	for number := uint64(1); ; number++ {
		select {
		case <-h.stop:
			return
		case <-time.After(time.Until(h.began.Add(time.Duration(number) * slowHouseEvery))):
		}
		item := messages.NewChunk(number, int64(number)*4, make([]byte, 400))
		item.Song = testSong
		h.newest.Store(number)
		h.mu.Lock()
		for tape := range h.tapes {
			select {
			case <-tape.closed:
				delete(h.tapes, tape)
			case tape.items <- item:
			default:
			}
		}
		h.mu.Unlock()
	}
}

// slowGuest is a listener that asks there again and again.
type slowGuest struct {
	who  *Identity
	from string
	fed  bool

	mu     sync.Mutex
	served bool
	ends   int           // of its streams
	worst  time.Duration // how late its music came
}

func (g *slowGuest) listens(t *testing.T, h *slowHouse) {
	for {
		h.hears(t, g)
		select {
		case <-h.stop:
			return
		case <-time.After(5 * time.Second):
		}
	}
}

func (h *slowHouse) hears(t *testing.T, g *slowGuest) {
	here, there := net.Pipe()
	defer here.Close()
	h.conns <- peer{there, someAddr(g.from)}
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-h.stop:
			_ = here.Close()
		case <-over:
		}
	}()
	if _, err := here.Write(saidBy(t, g.who, &messages.OpenStream{Fed: g.fed})); err != nil {
		return
	}
	r := bufio.NewReader(h.line.over(here))
	for {
		frame, err := ReadFrame(r)
		g.mu.Lock()
		if err != nil {
			if g.served {
				g.served = false
				g.ends++
			}
			g.mu.Unlock()
			return
		}
		if item, err := messages.ParseItem(frame.Kind, frame.Payload); err == nil && item.Change == nil {
			g.served = true
			g.worst = max(g.worst, time.Since(h.began.Add(time.Duration(item.Number)*slowHouseEvery)))
		}
		g.mu.Unlock()
	}
}

// Twenty listeners whose music is late come to a server whose uplink carries eight streams. It takes few enough that those come in time
// whom it must feed, and stays with that: nobody is let go again and again. Whom nobody else feeds is never let go.
func TestStreams_FullUplink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const carries = 8
		h := &slowHouse{pipes: newPipes(), began: time.Now(), stop: make(chan struct{}), tapes: map[*tape]bool{}}
		frame := mustItemFrame(t, messages.NewChunk(1000, 4000, make([]byte, 400)))
		h.line.rate = carries * frame * int(time.Second/slowHouseEvery)
		expected := NewExpected()
		members := map[string]messages.Standing{amyID: messages.StandingFedByServer, bobID: messages.StandingInChain}
		guests := []*slowGuest{{who: amy, from: "198.51.100.200:1"}, {who: bob, from: "198.51.100.201:1"}}
		for n := range leastInNeed + 4 {
			guest := &slowGuest{who: NewIdentity(), from: fmt.Sprintf("198.51.100.%d:1", n), fed: true}
			members[guest.who.ID()] = messages.StandingInChain
			guests = append(guests, guest)
		}
		expected.Members(members, true)
		openStreams(t, h, func(c *StreamsConfig) { c.Expected, c.Open, c.Newest = expected, h.open, h.newest.Load })
		h.wait.Go(h.plays)
		for _, guest := range guests {
			h.wait.Go(func() { guest.listens(t, h) })
		}
		time.Sleep(3 * time.Minute)
		for _, guest := range guests {
			guest.mu.Lock()
			guest.worst, guest.ends = 0, 0
			guest.mu.Unlock()
		}
		time.Sleep(3 * time.Minute)
		served, ends := 0, 0
		for n, guest := range guests {
			guest.mu.Lock()
			t.Logf("%d: served %v, %v late, %d ends", n, guest.served, guest.worst, guest.ends)
			if guest.served {
				served++
			}
			if !guest.fed && (!guest.served || guest.ends > 0 || guest.worst > messages.Slack) {
				t.Errorf("%d, whom nobody else feeds: served %v, %d ends, %v late", n, guest.served, guest.ends, guest.worst)
			}
			ends += guest.ends
			guest.mu.Unlock()
		}
		if served > carries || served < carries-3 || ends > 4 {
			t.Errorf("%d are fed over a line for %d, and %d were let go", served, carries, ends)
		}
		close(h.stop)
		h.wait.Wait()
	})
}

// mustItemFrame is how many bytes the item takes.
func mustItemFrame(t *testing.T, item *messages.Item) int {
	t.Helper()
	b, err := AppendFrame(nil, Frame{Kind: item.Kind(), Payload: item.Payload})
	if err != nil {
		t.Fatal(err)
	}
	return len(b)
}
