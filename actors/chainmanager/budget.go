package chainmanager

import (
	"time"

	"golang.org/x/time/rate"

	"conga/actors/chainmanager/chain"
)

// budget is how often a listener may have something written down, and how often all of one
// address may. Who uses it up is refused, or not heard, until some of it has come back.
type budget struct {
	own, home rate.Limit // a second
	ownBurst  int
	homeBurst int
	pots      map[string]*rate.Limiter
}

// newComings is for joins and returns: a listener with a bad line comes back a few times a
// minute, and all of a house at once.
func newComings() *budget {
	return &budget{own: 1.0 / 6, ownBurst: 12, home: 3, homeBurst: 800}
}

// newReporting is for reports of the way back to the music.
func newReporting() *budget {
	return &budget{own: 1.0 / 10, ownBurst: 16, home: 0.5, homeBurst: 256}
}

// maxPots bounds the memory of a budget. Full pots are as good as none.
const maxPots = 4096

// spend takes one, if both the listener and its address have it.
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
	if len(b.pots) >= maxPots { // so many addresses at once: begin anew, the chain's other brakes hold
		clear(b.pots)
	}
	pot = rate.NewLimiter(refill, burst)
	b.pots[name] = pot
	return pot
}
