// Package right decides which of a radio's servers may give out music. It reads no clock and does no I/O: every input comes
// with the time.
//
// The servers share a register that holds one claim, numbered, and takes another only in place of a certain number. From the
// moment BEFORE a claim was sent, its holder has the right for the claim's length less a margin. Another server may claim only
// when the length and a margin have passed since it SAW the newest claim. It cannot have seen that before it was sent, so its
// own claim, if it is taken, is later than the end of the other's right, whatever the network delays, loses or keeps apart, and
// whatever process stands still. The margins cover clocks of different speed. If the holder has renewed meanwhile, the
// register refuses the other's claim.
//
// The order of claims is the order of leaderships. A leadership's term is the number of the claim that it began with.
package right

import (
	"slices"
	"time"

	"conga/messages"
)

// Most is the greatest length of a claim that is obeyed: a wrong one must not keep a radio silent for hours.
const Most = time.Minute

// rememberedTries bounds for how many claims a server knows when it sent them.
const rememberedTries = 8

// Moment is a point in time on this machine, on two clocks.
type Moment struct {
	// Steady never runs faster than true time, except by a few ppm. While the machine sleeps it may stand still.
	Steady time.Duration
	// Wall is the time of day. It runs while the machine sleeps, but somebody may set it.
	Wall time.Duration
}

func (m Moment) plus(d time.Duration) Moment { return Moment{m.Steady + d, m.Wall + d} }

// Before reports whether m is before end on both clocks. A right ends when one of them says so: a machine that has slept must
// not take up the music again, and one whose clock was set only stops too early. (One that sleeps while its clock is set back
// by as much is the case that this does not see.)
func (m Moment) Before(end Moment) bool { return m.Steady < end.Steady && m.Wall < end.Wall }

// Config is what a server needs to know of itself.
type Config struct {
	Self   string        // the holder's id in its claims
	Length time.Duration // of its claims, at most Most
	Margin time.Duration // see package; at least a thousandth of Length
	Renew  time.Duration // how often the leader claims
}

// Inputs.
type (
	// Seen: this is the newest claim in the register, as far as this server sees; number 0: there is none yet.
	Seen struct {
		Number uint64
		Claim  *messages.LeaseClaim
	}
	// Kept: the register has taken this server's claim.
	Kept struct{ Try, Number uint64 }
	// Refused: it certainly has not, and never will.
	Refused struct{ Try uint64 }
	// Unsure: it has not answered. It may have taken the claim, or take it later.
	Unsure struct{ Try uint64 }
	// Look: some time has passed.
	Look struct{}
	// Fallen: another has written to the log, which only a leader may, or this server cannot lead.
	Fallen struct{}
	// Release: the server wants to stop. Everything it gives out must have been given out before.
	Release struct{}
)

// Outputs.
type (
	// Publish asks the register to take the claim in place of claim number Expected. Exactly one of Kept, Refused and Unsure
	// must follow.
	Publish struct {
		Expected uint64
		Claim    *messages.LeaseClaim
	}
	// Lead: the server leads. It may give out an item while the time is Before State.Until.
	Lead struct{ Term uint64 }
	// StepDown: it leads no longer.
	StepDown struct{ Reason string }
)

// State is what a server knows about the right. It is immutable.
type State struct {
	cfg Config

	known   bool // the register was read
	newest  uint64
	claim   *messages.LeaseClaim
	seen    Moment // when newest was seen
	stale   bool   // the register has a newer claim, which was not seen yet
	tries   uint64
	sent    []try // the last ones, oldest first
	flying  bool  // the last one has no answer yet
	unsure  bool  // one in place of newest had none, and may be taken yet
	until   Moment
	after   Moment // before that it does not claim, so that others can
	term    uint64 // 0: another leads, or nobody
	retired bool   // it never claims again
	owes    bool   // it has led, and has not said yet that it stops
}

type try struct {
	number, expected uint64
	released         bool
	at               Moment // before it was sent
}

// New returns the state of a server that knows nothing yet.
func New(cfg Config) State { return State{cfg: cfg} }

// Term is the present leadership's, 0 if this server does not lead.
func (s State) Term() uint64 { return s.term }

// Known reports whether the register was read.
func (s State) Known() bool { return s.known }

// Quiet reports whether the server has stopped, and has said so.
func (s State) Quiet() bool { return s.retired && !s.owes && !s.flying }

// Until is when this server's right ends.
func (s State) Until() Moment { return s.until }

// Leader returns the claim of the server that leads as far as this one knows; nil if none does.
func (s State) Leader() *messages.LeaseClaim {
	if s.claim.GetReleased() {
		return nil
	}
	return s.claim
}

// Step takes an input and returns the next state, and what follows.
func (s State) Step(now Moment, input any) (State, []any) {
	d := deciding{State: s, now: now}
	switch in := input.(type) {
	case Seen:
		d.see(in.Number, in.Claim)
	case Kept:
		if in.Try == d.tries && d.flying {
			d.flying = false
			d.see(in.Number, d.own(in.Try, d.last().released))
		}
	case Refused:
		d.refused(in.Try)
	case Unsure:
		if in.Try == d.tries && d.flying {
			d.flying = false
			d.unsure = d.last().expected == d.newest
		}
	case Fallen:
		d.stepDown("another server has written to the log, or this one could not lead")
		d.leave()
	case Release:
		d.release()
	}
	d.look()
	return d.State, d.out
}

// Wait is how long after now the next Look is due; there may be other inputs before.
func (s State) Wait(now Moment) time.Duration {
	wait := s.cfg.Renew
	if s.term > 0 {
		wait = min(wait, s.until.Steady-now.Steady, s.until.Wall-now.Wall)
	}
	switch {
	case s.retired, !s.mayPublish():
	case s.term > 0:
		wait = min(wait, s.last().at.Steady+s.cfg.Renew-now.Steady)
	default:
		wait = min(wait, s.free().Steady-now.Steady)
	}
	return max(wait, 0)
}

type deciding struct {
	State
	now Moment
	out []any
}

func (d *deciding) see(number uint64, claim *messages.LeaseClaim) {
	if d.known && number <= d.newest {
		return
	}
	d.known, d.newest, d.claim, d.seen = true, number, claim, d.now
	d.stale, d.unsure = false, false
	if claim.GetHolder() != d.cfg.Self {
		d.stepDown("another server leads")
		return
	}
	if d.now.Steady < d.after.Steady { // it was under way when this server fell
		d.leave()
		return
	}
	if claim.GetReleased() || d.retired {
		return
	}
	at := slices.IndexFunc(d.sent, func(t try) bool { return t.number == claim.GetTry() })
	if at < 0 {
		return
	}
	if end := d.sent[at].at.plus(d.cfg.Length - d.cfg.Margin); d.until.Before(end) {
		d.until = end
	}
	if d.term == 0 && !d.retired && d.now.Before(d.until) {
		d.term = number
		d.out = append(d.out, Lead{number})
	}
}

// refused steps down, unless the claim in its place may be an earlier one of this server: then the register will show it.
func (d *deciding) refused(number uint64) {
	if number != d.tries || !d.flying {
		return
	}
	d.flying = false
	if d.last().expected < d.newest { // what is in its place was seen meanwhile
		return
	}
	d.stale = true
	if !d.unsure {
		d.stepDown("another server has claimed the lead")
	}
}

func (d *deciding) release() {
	d.retired, d.owes = true, d.term > 0
	d.stepDown("it stops")
}

func (d *deciding) stepDown(reason string) {
	d.until = Moment{}
	if d.term > 0 {
		d.term = 0
		d.out = append(d.out, StepDown{reason})
	}
}

// leave leaves the lead to the others: as long as they have to wait after this server's newest claim, and a little longer.
func (d *deciding) leave() { d.after = d.now.plus(d.cfg.Length + 2*d.cfg.Margin + d.cfg.Renew) }

// look does what is due.
func (d *deciding) look() {
	if d.term > 0 && !d.now.Before(d.until) {
		d.stepDown("its lease has ended, because the servers' register did not answer in time")
	}
	switch {
	case !d.mayPublish():
	case d.retired:
		if d.owes && d.claim.GetHolder() == d.cfg.Self {
			d.owes = false
			d.publish()
		}
	case d.term > 0:
		if d.now.Steady-d.last().at.Steady >= d.cfg.Renew {
			d.publish()
		}
	case d.now.Steady >= d.free().Steady:
		d.publish()
	}
}

// mayPublish: one claim at a time, and none in place of one that was not seen.
func (s State) mayPublish() bool { return s.known && !s.flying && !s.stale }

// free is when this server may claim. In place of its own claim it may at once: since that was taken, nobody else's was.
func (s State) free() Moment {
	free := s.seen
	switch {
	case s.newest == 0, s.claim.GetReleased(), s.claim.GetHolder() == s.cfg.Self:
	default:
		free = free.plus(lengthOf(s.claim) + s.cfg.Margin)
	}
	if s.after.Steady > free.Steady {
		free = s.after
	}
	if again := s.last().at.plus(s.cfg.Renew); s.tries > 0 && again.Steady > free.Steady {
		free = again
	}
	return free
}

func lengthOf(claim *messages.LeaseClaim) time.Duration {
	length := claim.GetLengthUs()
	if length < 0 || length > Most.Microseconds() {
		return Most
	}
	return time.Duration(length) * time.Microsecond
}

// last is the last claim that was sent.
func (s State) last() try {
	if len(s.sent) == 0 {
		return try{}
	}
	return s.sent[len(s.sent)-1]
}

func (d *deciding) publish() {
	d.tries++
	d.sent = append(slices.Clone(d.sent[max(0, len(d.sent)+1-rememberedTries):]), try{d.tries, d.newest, d.retired, d.now})
	d.flying = true
	d.out = append(d.out, Publish{d.newest, d.own(d.tries, d.retired)})
}

func (s State) own(number uint64, released bool) *messages.LeaseClaim {
	return &messages.LeaseClaim{Holder: s.cfg.Self, Try: number, LengthUs: s.cfg.Length.Microseconds(), Released: released}
}
