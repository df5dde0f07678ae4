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

// Limits is how much one client may take of a port, so that nobody takes it from the
// others. A field that is 0 means its default.
type Limits struct {
	PerAddress int     // connections of one address; 256
	HalfOpen   int     // connections that have not yet said who they are; 256
	Visitors   int     // people with nc on the request port; 256
	Web        int     // connections of browsers and players to it; 256
	Requests   float64 // requests a second of one connection, after a first hundred; 10
	Listeners  int     // natives that the request port serves; 1000
}

// DefaultLimits let a household, or two hundred listeners on one machine, come in at once.
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
	// household is how many times one connection's rate an address gets, and crowd how many
	// times its burst: a hundred connections must not be a hundred clients, nor a family
	// one. Each PLAY waits for the disk, and the next song's choice stands behind them all.
	household, crowd = 5, 2
	// Arrivals of one address: a TLS handshake costs the server a signature. Who comes
	// faster waits at the door.
	arrivalsPerSecond, arrivalsAtOnce = 100, 500
)

// What a connection says and the server writes into its log, each with a sync of the disk, has
// a budget: PLAY, RECONNECTED, PEERLOST. One connection has so many words a minute as it has
// requests a second, and an address six times that. Beyond it a PLAY is refused, a report
// is dropped and counted. A HELLO, with the end that it will have, counts for the address only: it may
// bring in all its connections twice over at once, and then all of them anew in some minutes.
const (
	wordsAtOnce        = 3               // times Limits.Requests, of one connection
	addressWords       = 6               // times the words a minute of one connection
	addressWordsAtOnce = 12              // times Limits.Requests
	hellosEvery        = 4 * time.Second // for an address that may have hellosOf connections, and more often for more
	hellosOf           = 256
	hellosAtOnce       = 2 // times Limits.PerAddress
)

// WordBytes is the most that one such word, and a HELLO with its end, adds to the log. So a
// connection adds at most 45 MB a day, and an address 340 MB with the default limits.
const WordBytes = 3072

// pace is what all connections of the port share.
type pace struct {
	arrivals, requests, words, hellos, named *buckets

	dropped atomic.Int64 // reports
	told    atomic.Int64 // when the operator was last told of them, unix seconds
}

func newPace(l Limits) *pace {
	return &pace{
		arrivals: newBuckets(arrivalsPerSecond, arrivalsAtOnce),
		named:    newBuckets(rate.Every(namedWait), namedAtOnce),
		requests: newBuckets(rate.Limit(household*l.Requests), int(crowd*burstSeconds*l.Requests)+1),
		words:    newBuckets(addressWords*perMinute(l.Requests), int(addressWordsAtOnce*l.Requests)+1),
		hellos:   newBuckets(rate.Every(hellosEvery*hellosOf/time.Duration(l.hellos())), hellosAtOnce*l.hellos()),
	}
}

// hellos is the number of connections of an address that its HELLOs are reckoned by.
func (l Limits) hellos() int { return max(hellosOf, l.PerAddress) }

func perMinute(n float64) rate.Limit { return rate.Limit(n / 60) }

// newWords is the budget of one connection.
func newWords(l Limits) *rate.Limiter {
	return rate.NewLimiter(perMinute(l.Requests), int(wordsAtOnce*l.Requests)+1)
}

// dropReport counts a report that is beyond its budget. The operator hears of it once a minute.
func (p *pace) dropReport(from net.Addr) {
	dropped, now := p.dropped.Add(1), time.Now().Unix()
	if told := p.told.Load(); now-told >= 60 && p.told.CompareAndSwap(told, now) {
		slog.Warn("one address or connection sends more reports than the log takes: reports are dropped",
			"address", address(from), "dropped so far", dropped)
	}
}

// address is whom a limit counts: an IPv4 address, or the /64 of an IPv6 address, which
// one customer has to himself. What has neither counts as one.
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

// buckets are token buckets, one an address. Safe for many goroutines.
type buckets struct {
	every rate.Limit
	burst int

	mu    sync.Mutex
	known map[netip.Prefix]*rate.Limiter
}

func newBuckets(every rate.Limit, burst int) *buckets {
	return &buckets{every: every, burst: burst, known: make(map[netip.Prefix]*rate.Limiter)}
}

func (b *buckets) of(a net.Addr) *rate.Limiter {
	who := address(a)
	b.mu.Lock()
	defer b.mu.Unlock()
	limiter, is := b.known[who]
	if !is {
		if len(b.known) >= maxBuckets {
			b.forget()
		}
		limiter = rate.NewLimiter(b.every, b.burst)
		b.known[who] = limiter
	}
	return limiter
}

// forget makes room for a quarter: the full buckets first, which are as good as new ones.
func (b *buckets) forget() {
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
