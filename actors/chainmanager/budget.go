package chainmanager

import (
	"time"

	"golang.org/x/time/rate"

	"conga/actors/chainmanager/chain"
)

// budget limits how often one listener, and how often all of one address, may cause an event in the log, by
// token buckets. Beyond it they are refused or ignored until some tokens are back.
type budget struct {
	own, home rate.Limit // a second
	ownBurst  int
	homeBurst int
	pots      map[string]*rate.Limiter
}

// newComings returns the budget for joins and returns: a listener with a bad line may come back a few
// times a minute, and a whole household at once.
func newComings() *budget {
	return &budget{own: 1.0 / 6, ownBurst: 12, home: 3, homeBurst: 800}
}

// newReporting returns the budget for reports of how listeners found another upstream.
func newReporting() *budget {
	return &budget{own: 1.0 / 10, ownBurst: 16, home: 0.5, homeBurst: 256}
}

// usualHome is how many connections of one address these budgets are for.
const usualHome = 256

// of returns the budget where an address may have so many connections: if more, it gets as many times as much.
func (b *budget) of(perAddress int) *budget {
	if more := float64(perAddress) / usualHome; more > 1 {
		b.home, b.homeBurst = b.home*rate.Limit(more), int(float64(b.homeBurst)*more)
	}
	return b
}

// maxPots bounds the memory of a budget. Full buckets can be dropped.
const maxPots = 4096

// spend takes a token from the listener and one from its address, if both have one.
func (b *budget) spend(id, address string, now time.Time) bool {
	own, home := b.pot(id, b.own, b.ownBurst, now), b.pot(chain.Household(address), b.home, b.homeBurst, now)
	if own.TokensAt(now) < 1 || home.TokensAt(now) < 1 {
		return false
	}
	return own.AllowN(now, 1) && home.AllowN(now, 1)
}

func (b *budget) pot(name string, refill rate.Limit, burst int, now time.Time) *rate.Limiter {
	pot, is := b.pots[name]
	if is {
		return pot
	}
	if b.pots == nil {
		b.pots = map[string]*rate.Limiter{}
	}
	if len(b.pots) >= maxPots {
		for other, p := range b.pots {
			if p.TokensAt(now) >= float64(p.Burst()) {
				delete(b.pots, other)
			}
		}
	}
	if len(b.pots) >= maxPots { // too many addresses at once: forget all; the chain has other limits
		clear(b.pots)
	}
	pot = rate.NewLimiter(refill, burst)
	b.pots[name] = pot
	return pot
}
