package simulate

import (
	"math/rand/v2"
	"sort"

	"conga/actors/requester/clockfilter"
	"conga/messages"
)

// pings are when a listener pings, in microseconds since it came. What it knows of the server's clock says so
// (clockfilter.Pace), and nobody's pings change anything for others, so they are worked out once, for all.
type pings struct {
	at    []int64
	every int64 // after the last of them
	bytes int64 // of a ping and its answer
	pong  int64 // of the answer
}

// newPings works them out for a way of so many microseconds, whose time varies by jitter, and for so long a hop. The two
// clocks run 20 parts in a million apart.
func newPings(way, hop int64) pings {
	const skew, enough = 20e-6, 600_000_000
	oneWay, noise := way+hop, jitter*float64(way)
	chance := rand.New(rand.NewPCG(1, 1))
	var filter clockfilter.Filter
	p := pings{}
	now := int64(0)
	for now < enough {
		p.at = append(p.at, now)
		there := oneWay + int64(noise*chance.ExpFloat64())
		back := oneWay + int64(noise*chance.ExpFloat64())
		at := now + there
		known := filter.Add(clockfilter.Ping{Sent: startsAt + now, Server: startsAt + at + int64(skew*float64(at)), Received: startsAt + at + back})
		p.every = clockfilter.Pace(known).Microseconds()
		now += max(p.every, there+back)
	}
	p.pong = lineSize(&messages.ClockPong{SentUs: startsAt, ServerUnixUs: startsAt, WaitUs: 12_000_000})
	p.bytes = lineSize(&messages.ClockPing{SentUs: startsAt, AheadUs: 1_900_000}) + p.pong
	return p
}

// last returns when the last ping was sent that was due by then.
func (p pings) last(by int64) int64 {
	if n := len(p.at); by >= p.at[n-1] {
		return by - (by-p.at[n-1])%p.every
	}
	return p.at[max(0, sort.Search(len(p.at), func(i int) bool { return p.at[i] > by })-1)]
}

// between returns how many are sent from one time to another.
func (p pings) between(from, to int64) int64 { return p.before(to) - p.before(from) }

func (p pings) before(at int64) int64 {
	if n := len(p.at); at > p.at[n-1] {
		return int64(n) + (at-p.at[n-1])/p.every
	}
	return int64(sort.Search(len(p.at), func(i int) bool { return p.at[i] >= at }))
}
