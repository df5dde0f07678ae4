package right

import (
	"slices"
	"time"

	"conga/messages"
)

// rememberedTries bounds for how many claims a server knows when it sent them.
const rememberedTries = 8

// aim is what a server wants of a register.
type aim int

const (
	leaves aim = iota // nothing: what it has there runs out
	takes             // the right: it claims it as soon as it may, and renews it
	gives             // to give the right back
)

// register is what a server knows about one register.
type register struct {
	aim    aim
	known  bool // it was read
	away   bool // it does not answer
	newest uint64
	claim  *messages.LeaseClaim // nil: it is empty
	seen   Moment               // when newest was seen
	stale  bool                 // it has refused a claim in place of newest, and nothing was seen since
	tries  uint64
	counts uint64 // claims before this one give no right, because it may have been given back since
	sent   []try  // the last ones, oldest first
	flying bool   // the last one has no answer yet
	until  Moment // when the right ends
}

type try struct {
	at       Moment // before it was sent
	expected uint64
	claim    *messages.LeaseClaim
}

// see takes that claim for the newest, unless it comes late. After a refusal anything is believed: to believe too much does no
// harm, for the register refuses again.
func (r *register) see(now Moment, cfg Config, number uint64, claim *messages.LeaseClaim) {
	r.away = false
	if r.known && number <= r.newest && !r.stale {
		return
	}
	r.known, r.newest, r.claim, r.seen, r.stale = true, number, claim, now, false
	if claim.GetHolder() != cfg.Self || claim.GetReleased() {
		r.until = Moment{}
		return
	}
	at := slices.IndexFunc(r.sent, func(t try) bool { return t.claim.GetTry() == claim.GetTry() })
	if r.aim != takes || at < 0 || claim.GetTry() < r.counts {
		return
	}
	if end := r.sent[at].at.plus(cfg.Length - cfg.Margin); r.until.Before(end) {
		r.until = end
	}
}

// answered ends the last try and reports whether the answer is to that one.
func (r *register) answered(number uint64) bool {
	is := r.flying && number == r.tries
	if is {
		r.flying = false
	}
	return is
}

func (r *register) kept(now Moment, cfg Config, in Kept) {
	if r.answered(in.Try) {
		r.see(now, cfg, in.Number, r.last().claim)
	}
}

func (r *register) refused(in Refused) {
	if r.answered(in.Try) {
		r.away = false
		r.stale = r.newest == r.last().expected // otherwise what is in its place was seen meanwhile
	}
}

func (r *register) unsure(in Unsure) {
	if r.answered(in.Try) {
		r.away = true
	}
}

// turn changes what the server wants. The right ends BEFORE anything else follows.
func (r *register) turn(to aim) {
	switch {
	case to != takes:
		r.until = Moment{}
	case r.aim != takes:
		r.counts = r.tries + 1
	}
	r.aim = to
}

// owns reports whether the newest claim is this server's, and not released.
func (r *register) owns(cfg Config) bool {
	return r.claim != nil && r.claim.GetHolder() == cfg.Self && !r.claim.GetReleased()
}

// mayPublish: one claim at a time, and none in place of one that was not seen.
func (r *register) mayPublish() bool { return r.known && !r.flying && !r.stale }

// free is when this server may claim, if it may publish. In place of its own claim it may at once: since that was taken, nobody
// else's was.
func (r *register) free(cfg Config) time.Duration {
	free := r.seen.Steady
	if !r.claim.GetReleased() && r.claim.GetHolder() != cfg.Self {
		free += lengthOf(r.claim, cfg) + cfg.Margin
	}
	return max(free, r.again(cfg))
}

// again is when another claim may follow the last one.
func (r *register) again(cfg Config) time.Duration {
	if r.tries == 0 {
		return 0
	}
	return r.last().at.Steady + cfg.Renew
}

// due returns the next claim and when it is to be published; nil if none is.
func (r *register) due(cfg Config) (claim *messages.LeaseClaim, at time.Duration) {
	claim = &messages.LeaseClaim{Holder: cfg.Self, Try: r.tries + 1, LengthUs: cfg.Length.Microseconds()}
	switch {
	case !r.mayPublish():
		return nil, 0
	case r.claim == nil: // it may have lost the claim of a server that has its right yet: the first claim is nobody's
		claim.Holder, claim.LengthUs = "", cfg.Longest.Microseconds()
		return claim, r.again(cfg)
	case r.aim == takes:
		return claim, r.free(cfg)
	case r.aim == gives && r.owns(cfg):
		claim.Released = true
		if r.last().claim.GetReleased() {
			at = r.again(cfg)
		}
		return claim, at
	}
	return nil, 0
}

func (r *register) publish(now Moment, claim *messages.LeaseClaim) {
	r.tries++
	r.sent = append(slices.Clone(r.sent[max(0, len(r.sent)+1-rememberedTries):]), try{now, r.newest, claim})
	r.flying = true
}

// last is the last claim that was sent.
func (r *register) last() try {
	if len(r.sent) == 0 {
		return try{}
	}
	return r.sent[len(r.sent)-1]
}

// lengthOf bounds what a wrong claim can do.
func lengthOf(claim *messages.LeaseClaim, cfg Config) time.Duration {
	length := claim.GetLengthUs()
	if length < 0 || length > cfg.Longest.Microseconds() {
		return cfg.Longest
	}
	return time.Duration(length) * time.Microsecond
}
