package transport

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/time/rate"

	"conga/messages"
	"conga/messages/raced"
)

func TestAddress(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7:1":            "192.0.2.7/32",
		"[::ffff:192.0.2.7]:1":   "192.0.2.7/32",
		"[2001:db8:1:2:3::4]:1":  "2001:db8:1:2::/64",
		"[2001:db8:1:2:ff::9]:1": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1":       "fe80::/64",
		"nonsense":               "invalid Prefix",
	} {
		if got := address(someAddr(text)).String(); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
	if address(nil).IsValid() {
		t.Error("no address is one")
	}
}

type someAddr string

func (someAddr) Network() string { return "tcp" }

func (a someAddr) String() string { return string(a) }

// Any number of addresses needs bounded memory, and busy ones are remembered.
func TestBuckets_Bounded(t *testing.T) {
	b := newBuckets(rate.Every(time.Hour), 2)
	busy := someAddr("192.0.2.7:1")
	b.of(busy).Allow()
	for i := range 3 * maxBuckets {
		b.of(someAddr(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1).String()))
	}
	if n := len(b.known); n > maxBuckets {
		t.Errorf("%d addresses are kept", n)
	}
	if tokens := b.of(busy).Tokens(); tokens > 1.5 {
		t.Errorf("the busy one has %v tokens again", tokens)
	}
	for i := range 3 * maxBuckets { // all of them busy
		b.of(someAddr(netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 1).String())).Allow()
	}
	if n := len(b.known); n > maxBuckets {
		t.Errorf("%d busy addresses are kept", n)
	}
}

// An address that has reached its limit of connections is told so, on both ports.
func TestLimits_PerAddress(t *testing.T) {
	limits := Limits{PerAddress: 2}
	t.Run("requests", func(t *testing.T) {
		l := listen(t)
		house := openRequests(t, l, func(c *RequestsConfig) { c.Limits = limits })
		for _, who := range []*Identity{amy, bob} {
			join(t, house, dial(t, l), who)
		}
		conn := dial(t, l)
		send(t, conn, []byte("REQUESTS\n"))
		if got, err := io.ReadAll(conn); !strings.HasPrefix(string(got), "Your address has 2 connections") {
			t.Errorf("read %q, %v", got, err)
		}
	})
	t.Run("streams", func(t *testing.T) {
		l := listen(t)
		openStreams(t, l, func(c *StreamsConfig) { c.Limits = limits })
		for _, who := range []*Identity{amy, bob} {
			conn := dial(t, l)
			send(t, conn, saidBy(t, who, &messages.OpenStream{}))
			readFrame(t, bufio.NewReader(conn), messages.KindHi)
		}
		_, told := child(t, newSystem(t), Upstream(UpstreamConfig{Link: 1, Addr: l.Addr().String(), Identity: amy, Open: &messages.OpenStream{Upstream: messages.ServerID}}))
		if closed := await[*messages.UpstreamClosed](t, told); closed.Reason != "refused: "+errCrowd.Error() {
			t.Errorf("closed: %s", closed.Reason)
		}
	})
}

// Requests are counted for the connection and for the address: more connections do not
// help, and each request beyond the limit is answered.
func TestLimits_Requests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		openRequests(t, l, func(c *RequestsConfig) { c.Limits = Limits{Requests: 2} })
		const share, all = burstSeconds*2 + 1, crowd*burstSeconds*2 + 1 // no time passes here
		served := 0
		var conn net.Conn
		for i := range 2 * household {
			conn = l.dial(t)
			r := bufio.NewReader(conn)
			mine := 0
			for range 3 * share {
				send(t, conn, []byte("REQUESTS\n"))
				switch line, err := readReply(r); line {
				case sayNoWishes:
					mine++
					_, _ = r.ReadString('\n') // the list's end
				case fmt.Sprintf(sayTooFast, 2.0):
				default:
					t.Fatalf("connection %d read %q, %v", i, line, err)
				}
			}
			if served += mine; mine > share {
				t.Errorf("connection %d got %d answers", i, mine)
			}
		}
		if served != all {
			t.Errorf("the address got %d answers, want %d", served, all)
		}
		time.Sleep(time.Minute)
		send(t, conn, []byte("PLAY\nREQUESTS\n"))
		r := bufio.NewReader(conn)
		for _, want := range []string{sayWhich, sayNoWishes} {
			if line, err := readReply(r); line != want {
				t.Errorf("a minute later: %q, %v", line, err)
			}
		}
	})
}

// An Ask counts like a line.
func TestLimits_Asks(t *testing.T) {
	l := listen(t)
	house := openRequests(t, l, func(c *RequestsConfig) { c.Limits = Limits{Requests: 0.1} })
	conn, r := join(t, house, dial(t, l), amy)
	var last []string
	for i := range 3 {
		sayLine(t, conn, &messages.Ask{RequestId: fmt.Sprint(i), Line: "PLAY nosuch"})
		last = readLine[*messages.Answer](t, r).GetLines()
	}
	if want := fmt.Sprintf(sayTooFast, 0.1); !slices.Equal(last, []string{want}) {
		t.Errorf("answered %q, want %q", last, want)
	}
}

// Members that report and ask as fast as they can fill the log no faster than their budgets allow, in
// any hour: each connection has its budget, and all connections of an address have one together. Requests
// beyond it are refused, reports are dropped; other addresses do not notice.
func TestLimits_Words(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		minutes := raced.Size(60, 15)
		l := newPipes()
		tally := openTallied(t, l, Limits{})
		member := func(who *Identity, from string) net.Conn {
			conn := secure(t, l.dialFrom(t, from), who)
			sayLine(t, conn, conn.Introduce(&messages.Hello{Leaf: true}))
			readLine[*messages.Welcome](t, bufio.NewReader(conn))
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			return conn
		}
		flood := func(who *Identity, from string) {
			conn := member(who, from)
			for begun := time.Now(); time.Since(begun) < time.Duration(minutes)*time.Minute; time.Sleep(4 * time.Second) {
				for range 3 {
					sayLine(t, conn, &messages.Reconnected{Reason: "bored"})
					sayLine(t, conn, &messages.PeerLost{Id: messages.ServerID})
					sayLine(t, conn, &messages.Ask{RequestId: "r", Line: "PLAY nosuch"})
				}
			}
		}
		var floods sync.WaitGroup
		crew := make([]*Identity, 20)
		for i := range crew {
			crew[i] = NewIdentity()
			floods.Go(func() { flood(crew[i], "198.51.100.9:1") })
		}
		floods.Go(func() { flood(amy, "192.0.2.1:1") })
		floods.Wait()
		synctest.Wait()

		const requests = 10 // Limits.Requests
		said := tally.said
		alone, all := int(wordsAtOnce*requests)+1+requests*minutes, int(addressWordsAtOnce*requests)+1+addressWords*requests*minutes
		if n := said(amyID); n > alone || n < alone/4 {
			t.Errorf("one connection reported %d times in %d minutes, its budget is %d", n, minutes, alone)
		}
		crewed := 0
		for _, who := range crew {
			crewed += said(who.ID())
		}
		if n := crewed + said(amyID) + tally.asked(); n > alone+all || n < (alone+all)*3/4 {
			t.Errorf("%d words of both addresses, their budgets are %d and %d", n, alone, all)
		}
		sayLine(t, member(bob, "192.0.2.2:1"), &messages.PeerLost{Id: messages.ServerID})
		synctest.Wait()
		if said(bobID) != 1 {
			t.Error("another's report is dropped")
		}
	})
}

// tally counts what rooms behind a request port are told.
type tally struct {
	mu      sync.Mutex
	reports map[string]int // by who says it
	plays   int
}

func (c *tally) said(id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reports[id]
}

func (c *tally) asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plays
}

// openTallied opens a request port before rooms that take everybody in and refuse every song.
func openTallied(t *testing.T, l net.Listener, limits Limits) *tally {
	t.Helper()
	c := &tally{reports: map[string]int{}}
	system := newSystem(t)
	rooms := spawn(t, system, actor.PropsFromFunc(func(ctx actor.Context) {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch msg := ctx.Message().(type) {
		case *messages.JoinChain:
			ctx.Respond(&messages.Welcome{Version: 1, Node: msg.GetNode(), Key: publicOf(testKey)})
		case *messages.Reconnected:
			c.reports[msg.GetId()]++
		case *messages.PeerLost:
			c.reports[msg.GetSeenBy()]++
		case *messages.RequestPlay:
			c.plays++
			ctx.Respond(&messages.PlayRefused{RequestId: msg.GetRequestId(), Reason: messages.PlayRefused_REASON_NO_SUCH_SONG})
		}
	}))
	cfg := RequestsConfig{Listener: l, Catalog: rooms, Scheduler: rooms, Chain: rooms, Limits: limits}
	guarded(t, "", testKey)(&cfg)
	spawn(t, system, Requests(cfg))
	return c
}

// A listener that comes and goes all the time is told to wait; others are not.
func TestLimits_Hellos(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = hellosAtOnce * hellosOf // no time passes
		l := newPipes()
		openTallied(t, l, Limits{})
		member := NewMembership(amy, "", &someTrust{})
		come := func(from string) (in bool) {
			conn, err := member.Secure(t.Context(), l.dialFrom(t, from))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Conn.(*tls.Conn).NetConn().Close()
			sayLine(t, conn, conn.Introduce(&messages.Hello{Leaf: true}))
			line, err := readReply(bufio.NewReader(conn))
			if err != nil {
				t.Fatal(err)
			}
			m, _ := ParseLine(line)
			_, in = m.(*messages.Welcome)
			return in
		}
		let := 0
		for range most + 50 {
			if come("198.51.100.9:1") {
				let++
			}
		}
		if waited := int(arrivalsWait(most + 50).Seconds()); let < most || let > most+waited+1 {
			t.Errorf("let in %d times in %d s", let, waited)
		}
		if !come("192.0.2.1:1") {
			t.Error("another has to wait, too")
		}
	})
}

// arrivalsWait returns how long the last of n new connections waits.
func arrivalsWait(n int) time.Duration {
	return max(0, time.Duration(n-arrivalsAtOnce)*time.Second/arrivalsPerSecond)
}

func TestRequests_LongWish(t *testing.T) {
	l := listen(t)
	openRequests(t, l, nil)
	conn := dial(t, l)
	r := bufio.NewReader(conn)
	for n, want := range map[int]string{maxWish: sayNoSuch, maxWish + 1: fmt.Sprintf(sayTooLong, maxWish)} {
		send(t, conn, []byte("PLAY "+strings.Repeat("x", n)+"\n"))
		if line, err := readReply(r); line != want {
			t.Errorf("%d bytes: %q, %v", n, line, err)
		}
	}
}

func TestLimits_Listeners(t *testing.T) {
	l := listen(t)
	house := openRequests(t, l, func(c *RequestsConfig) { c.Limits = Limits{Listeners: 1} })
	first, _ := join(t, house, dial(t, l), amy)
	conn := secure(t, dial(t, l), bob)
	sayLine(t, conn, conn.Introduce(&messages.Hello{Version: 1}))
	if refused := readLine[*messages.Refused](t, bufio.NewReader(conn)); !strings.Contains(refused.GetReason(), "the server is full, it takes no more than --max-listeners 1") {
		t.Errorf("refused: %s", refused.GetReason())
	}
	rejoin(t, house, sameLife(t, first, dial(t, l)), amy) // who is in may come back
	if len(house.chain) > 0 {
		t.Errorf("the chain heard %v", <-house.chain)
	}
}

// sameLife is another connection of the same process.
func sameLife(t *testing.T, before *Secured, conn net.Conn) *Secured {
	t.Helper()
	again, err := before.member.Secure(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// Silent connections, TLS ones among them, never keep a listener out.
func TestRequests_SilentCrowd(t *testing.T) {
	l := listen(t)
	house := openRequests(t, l, guarded(t, testToken, testKey))
	crowd := make([]net.Conn, 3*DefaultLimits.HalfOpen)
	for i := range crowd {
		crowd[i] = dial(t, l)
		if i%2 == 0 {
			_, _ = crowd[i].Write([]byte{handshakeRecord, 3})
		}
	}
	member := NewMembership(amy, testToken, &someTrust{})
	system := newSystem(t)
	requester, told := child(t, system, RequestLink(RequestLinkConfig{Link: 4, Addr: l.Addr().String(), Member: member}))
	await[*messages.RequestsOpened](t, told)
	system.Root.Send(requester, &messages.Hello{Version: 1, Node: &messages.Node{Id: amyID}, Leaf: true})
	await[*messages.Welcome](t, told)
	await[*messages.JoinChain](t, house.chain)
}

// However many listeners would ask every 30 ms, all of them together ask no more than the server wants, none of them waits
// much longer than the others, and nobody waits where there are few.
func TestPace_NextPing(t *testing.T) {
	const quick, length = 30 * time.Millisecond, 30 * time.Second
	for _, listeners := range []int{1, 20, 1000, 12_000} {
		p, begin := newPace(DefaultLimits), time.Unix(1, 0)
		next := make([]time.Time, listeners)
		pings, longest := make([]int, listeners), time.Duration(0)
		sum := 0
		for now := begin; now.Before(begin.Add(length)); now = now.Add(10 * time.Millisecond) {
			for i := range next {
				if next[i].After(now) {
					continue
				}
				wait := p.pings.Next(now)
				longest = max(longest, wait)
				next[i] = now.Add(max(quick, wait))
				pings[i]++
				sum++
			}
		}
		slices.Sort(pings)
		t.Logf("%d listeners: %d pings, from %d to %d each, the longest wait %v", listeners, sum, pings[0], pings[listeners-1], longest)
		most := int(length.Seconds())*pingsPerSecond + pingsAtOnce + listeners // the first of each comes unasked
		most = max(most, listeners*int(length/longestTurn+1))                  // and nobody is silent for longer
		if sum > most {
			t.Errorf("%d listeners send %d pings, want at most %d", listeners, sum, most)
		}
		if listeners <= 20 && longest > 0 {
			t.Errorf("%d listeners wait up to %v", listeners, longest)
		}
		if pings[0] < pings[listeners-1]/2 {
			t.Errorf("one sends %d pings, another %d", pings[0], pings[listeners-1])
		}
	}
}
