package transport

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Limits is how much of a port one client may use, so that the others get their share. A
// field that is 0 means its default.
type Limits struct {
	PerAddress int     // connections of one address; 256
	HalfOpen   int     // connections that have not yet said who they are; 256
	Visitors   int     // people with nc on the request port; 256
	Web        int     // connections of browsers and players to the request port; 256
	Requests   float64 // requests a second of one connection, after a first hundred; 10
	Listeners  int     // natives that the request port serves; 1000
}

// DefaultLimits allow a household, or two hundred listeners on one machine, to join at once.
var DefaultLimits = Limits{PerAddress: 256, HalfOpen: 256, Visitors: 256, Web: 256, Requests: 10, Listeners: 1000}

func (l Limits) filled() Limits {
	if l.PerAddress <= 0 {
		l.PerAddress = DefaultLimits.PerAddress
	}
	if l.HalfOpen <= 0 {
		l.HalfOpen = DefaultLimits.HalfOpen
	}
	if l.Visitors <= 0 {
		l.Visitors = DefaultLimits.Visitors
	}
	if l.Web <= 0 {
		l.Web = DefaultLimits.Web
	}
	if l.Requests <= 0 {
		l.Requests = DefaultLimits.Requests
	}
	if l.Listeners <= 0 {
		l.Listeners = DefaultLimits.Listeners
	}
	return l
}

const (
	// burstSeconds is how many seconds' worth of requests may come at once.
	burstSeconds = 10
	// An address gets household times the rate of one connection, and crowd times its burst: a
	// hundred connections must not count as a hundred clients, nor a family as one. Each PLAY
	// waits for the disk, and the choice of the next song waits behind them all.
	household, crowd = 5, 2
	// New connections of one address: each TLS handshake costs the server a signature. If they
	// come faster, they wait before the handshake.
	arrivalsPerSecond, arrivalsAtOnce = 100, 500
	// searchesAtOnce bounds what searches of 20,000 songs, some milliseconds each, take from the music.
	searchesAtOnce = 1
)

// There is a budget for messages that the server writes into its log, each with a sync of the disk: PLAY,
// RECONNECTED, PEERLOST. One connection may send as many of them a minute as it may send requests a second,
// and an address six times that. Beyond the budget a PLAY is refused, and a report is dropped and counted. A
// HELLO, together with the listener's end, counts only for the address: the address may connect all its
// listeners twice at once, and then all of them again every few minutes.
const (
	wordsAtOnce        = 3               // times Limits.Requests, for one connection
	addressWords       = 6               // times the words a minute of one connection
	addressWordsAtOnce = 12              // times Limits.Requests
	hellosEvery        = 4 * time.Second // for an address that may have hellosOf connections; shorter if it may have more
	hellosOf           = 256
	hellosAtOnce       = 2 // times Limits.PerAddress
)

// The server answers pingsPerSecond pings of all listeners together with a few per cent of a core. It says in each answer
// when the next ping has its turn; so many come at once without waiting. Without that, a machine that is busy would make
// itself busier: pings that take long leave the clocks unsure, and hundreds of listeners ask more and more. longestTurn
// is less than a listener may be silent.
const (
	pingsPerSecond, pingsAtOnce = 1000, 100
	longestTurn                 = 10 * time.Second
)

// Turns gives listeners' pings their turns. Safe for many goroutines.
type Turns struct{ pings *rate.Limiter }

// NewTurns returns those of a server.
func NewTurns() Turns { return Turns{rate.NewLimiter(pingsPerSecond, pingsAtOnce)} }

// Next returns how long the listener whose ping is answered now should wait before the next one.
func (t Turns) Next(now time.Time) time.Duration {
	turn := t.pings.ReserveN(now, 1)
	if wait := turn.DelayFrom(now); wait <= longestTurn {
		return wait
	}
	turn.CancelAt(now)
	return longestTurn
}

// WordBytes is the most that one such message, or a HELLO with its end, adds to the log. So with the default
// limits a connection adds at most 45 MB a day, and an address 340 MB.
const WordBytes = 3072

// pace has the limits that all connections of the port share.
type pace struct {
	arrivals, requests, words, hellos, named *buckets

	pings    Turns         // of all connections together
	searches chan struct{} // has room for those that may run at a time
	uploads  *uploads

	dropped atomic.Int64 // reports
	told    atomic.Int64 // when the operator was last told of them, unix seconds
}

func newPace(l Limits) *pace {
	return &pace{
		pings:    NewTurns(),
		searches: make(chan struct{}, searchesAtOnce),
		uploads:  newUploads(),
		arrivals: newBuckets(arrivalsPerSecond, arrivalsAtOnce),
		named:    newBuckets(rate.Every(namedWait), namedAtOnce),
		requests: newBuckets(rate.Limit(household*l.Requests), int(crowd*burstSeconds*l.Requests)+1),
		words:    newBuckets(l.addressWords()),
		hellos:   newBuckets(rate.Every(hellosEvery*hellosOf/time.Duration(l.hellos())), hellosAtOnce*l.hellos()),
	}
}

// hellos is the number of connections of an address from which its budget of HELLOs is computed.
func (l Limits) hellos() int { return max(hellosOf, l.PerAddress) }

// addressWords is an address's budget for messages that the log keeps.
func (l Limits) addressWords() (every rate.Limit, burst int) {
	return addressWords * perMinute(l.Requests), int(addressWordsAtOnce*l.Requests) + 1
}

// AddressWords returns such a budget.
func (l Limits) AddressWords() *rate.Limiter { return rate.NewLimiter(l.filled().addressWords()) }

func perMinute(n float64) rate.Limit { return rate.Limit(n / 60) }

// newWords returns the budget of one connection for messages that the log keeps.
func newWords(l Limits) *rate.Limiter {
	return rate.NewLimiter(perMinute(l.Requests), int(wordsAtOnce*l.Requests)+1)
}

// dropReport counts a report that is beyond the budget. It logs a warning at most once a minute.
func (p *pace) dropReport(from net.Addr) {
	dropped, now := p.dropped.Add(1), time.Now().Unix()
	if told := p.told.Load(); now-told >= 60 && p.told.CompareAndSwap(told, now) {
		slog.Warn("one address or connection sends more reports than the log takes: reports are dropped",
			"address", address(from), "dropped so far", dropped)
	}
}

// address returns the prefix that a limit counts: an IPv4 address, or the /64 of an IPv6 address, which
// belongs to one customer. Connections without an IP address all count as one.
func address(a net.Addr) netip.Prefix {
	if a == nil {
		return netip.Prefix{}
	}
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := at.Addr().Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // both lengths are right ones
	return prefix
}

// maxBuckets bounds the memory for addresses.
const maxBuckets = 4096

// buckets are token buckets, one for each address.
type buckets struct{ shares[netip.Prefix] }

func newBuckets(every rate.Limit, burst int) *buckets {
	return &buckets{shares[netip.Prefix]{every: every, burst: burst}}
}

func (b *buckets) of(a net.Addr) *rate.Limiter { return b.get(address(a)) }

// shares are token buckets, one for each of those that have a share. Safe for many goroutines.
type shares[K comparable] struct {
	every rate.Limit
	burst int

	mu    sync.Mutex
	known map[K]*rate.Limiter
}

func (b *shares[K]) get(who K) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	limiter, is := b.known[who]
	if !is {
		if b.known == nil {
			b.known = make(map[K]*rate.Limiter)
		}
		if len(b.known) >= maxBuckets {
			b.forget()
		}
		limiter = rate.NewLimiter(b.every, b.burst)
		b.known[who] = limiter
	}
	return limiter
}

// forget frees a quarter of the room: first the full buckets, which are as good as new ones.
func (b *shares[K]) forget() {
	for who, limiter := range b.known {
		if limiter.Tokens() >= float64(b.burst) {
			delete(b.known, who)
		}
	}
	for who := range b.known {
		if len(b.known) <= maxBuckets*3/4 {
			return
		}
		delete(b.known, who)
	}
}
