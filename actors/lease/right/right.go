// Package right decides which of a radio's servers may give out music. It reads no clock and does no I/O: every input comes
// with the time.
//
// # One register
//
// A register holds one claim, numbered, and takes another only in place of a certain one. From the moment BEFORE a claim was
// sent, its holder has the register's right for the claim's length less a margin. Another server may claim only when the length
// and a margin have passed since it SAW the newest claim. It cannot have seen that before it was sent, so its own claim, if it is
// taken, is later than the end of the other's right, whatever the network delays, loses or keeps apart, and whatever process
// stands still. The margins cover clocks of different speed. If the holder has renewed meanwhile, the register refuses the
// other's claim. A register that is empty may have lost a claim: it first gets one that is nobody's, as long as any may be.
//
// # Several registers
//
// A server leads while it has the rights of most registers at the same moment. No two servers have one right, so no two have
// most; and no register that fails alone, or comes back empty, ends a leadership. A server that does not lead claims only if most
// registers answer and are free at once, and gives back what it got if that is too little. Then it waits for a time of its own,
// so that not both of two servers get too little again and again.
package right

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"conga/messages"

	"github.com/cespare/xxhash/v2"
)

// Most is the longest lease that any server may have, and the greatest length of a claim that is obeyed: a wrong one must not keep a
// radio silent for long.
const Most = 5 * time.Second

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
	Self      string        // the holder's id in its claims
	Registers int           // how many there are, the same number for all servers
	Length    time.Duration // of its claims, at most Longest
	Longest   time.Duration // that any server's claims are
	Margin    time.Duration // see package; at least a thousandth of Longest
	Renew     time.Duration // how often the leader claims
}

// Inputs. Register counts from 0.
type (
	// Seen: this is the newest claim in the register, as far as this server sees; nil: there is none. Numbers grow, also when the
	// register has lost claims.
	Seen struct {
		Register int
		Number   uint64
		Claim    *messages.LeaseClaim
	}
	// Away: the register cannot be read.
	Away struct{ Register int }
	// Kept: the register has taken this server's claim.
	Kept struct {
		Register    int
		Try, Number uint64
	}
	// Refused: it certainly has not, and never will.
	Refused struct {
		Register int
		Try      uint64
	}
	// Unsure: it has not answered. It may have taken the claim, or take it later.
	Unsure struct {
		Register int
		Try      uint64
	}
	// Look: some time has passed.
	Look struct{}
	// Fallen: another has written to the log, which only a leader may, or this server cannot lead.
	Fallen struct{}
	// Release: the server wants to stop. Everything it gives out must have been given out before.
	Release struct{}
)

// Outputs.
type (
	// Publish asks the register to take the claim in place of the one that was seen, or kept, with the number Expected. Exactly one
	// of Kept, Refused and Unsure must follow.
	Publish struct {
		Register int
		Expected uint64
		Claim    *messages.LeaseClaim
	}
	// Lead: the server leads. It may give out an item while the time is Before State.Until.
	Lead struct{ Term uint64 }
	// StepDown: it leads no longer.
	StepDown struct{ Reason string }
)

type phase int

const (
	follows phase = iota
	tries         // it claims most registers
	leads
	retired // it never claims again
)

// State is what a server knows about the right. It is immutable.
type State struct {
	cfg       Config
	registers []register
	phase     phase
	term      uint64        // of its last leadership
	after     time.Duration // before that it does not try, so that others can
	failures  uint64        // tries that got too little, since it led
}

// New returns the state of a server that knows nothing yet.
func New(cfg Config) State { return State{cfg: cfg, registers: make([]register, cfg.Registers)} }

// most is how many of the registers are most.
func (s State) most() int { return len(s.registers)/2 + 1 }

// Term counts this server's leaderships: it is the present one's, 0 if it does not lead.
func (s State) Term() uint64 {
	if s.phase != leads {
		return 0
	}
	return s.term
}

// Known reports whether most registers were read.
func (s State) Known() bool { return s.count(func(r *register) bool { return r.known }) >= s.most() }

// Quiet reports whether the server has stopped, and has said so.
func (s State) Quiet() bool {
	return s.phase == retired && s.count(func(r *register) bool { return r.flying || r.owns(s.cfg) }) == 0
}

// Until is when this server has the rights of most registers no longer, if it renews none.
func (s State) Until() Moment {
	ends := make([]Moment, 0, len(s.registers))
	for _, r := range s.registers {
		ends = append(ends, r.until)
	}
	slices.SortFunc(ends, func(a, b Moment) int { return cmp.Compare(b.Steady, a.Steady) })
	until := ends[0]
	for _, end := range ends[:s.most()] { // on each clock these are most
		until = Moment{min(until.Steady, end.Steady), min(until.Wall, end.Wall)}
	}
	return until
}

// Leader returns a claim of the server that leads as far as this one knows; nil if none does.
func (s State) Leader() *messages.LeaseClaim {
	for _, r := range s.registers {
		holder := r.claim.GetHolder()
		if holder != "" && s.count(func(r *register) bool { return r.claim.GetHolder() == holder && !r.claim.GetReleased() }) >= s.most() {
			return r.claim
		}
	}
	return nil
}

func (s State) count(is func(*register) bool) (n int) {
	for i := range s.registers {
		if is(&s.registers[i]) {
			n++
		}
	}
	return n
}

// Step takes an input and returns the next state, and what follows.
func (s State) Step(now Moment, input any) (State, []any) {
	s.registers = slices.Clone(s.registers)
	d := deciding{State: s, now: now}
	switch in := input.(type) {
	case Seen:
		d.registers[in.Register].see(now, s.cfg, in.Number, in.Claim)
	case Away:
		d.registers[in.Register].away = true
	case Kept:
		d.registers[in.Register].kept(now, s.cfg, in)
	case Refused:
		d.registers[in.Register].refused(in)
	case Unsure:
		d.registers[in.Register].unsure(in)
	case Fallen:
		d.fall()
	case Release:
		d.stepDown("it stops")
		d.turn(retired, gives)
	}
	d.look()
	return d.State, d.out
}

// Wait is how long after now the next Look is due; there may be other inputs before.
func (s State) Wait(now Moment) time.Duration {
	wait := s.cfg.Renew
	if s.phase == leads {
		until := s.Until()
		wait = min(wait, until.Steady-now.Steady, until.Wall-now.Wall)
	}
	var frees []time.Duration
	for i := range s.registers {
		r := &s.registers[i]
		if claim, at := r.due(s.cfg); claim != nil {
			wait = min(wait, at-now.Steady)
		}
		if r.mayPublish() && !r.away {
			frees = append(frees, r.free(s.cfg))
		}
	}
	if s.phase == follows && len(frees) >= s.most() {
		slices.Sort(frees)
		wait = min(wait, max(frees[s.most()-1], s.after)-now.Steady)
	}
	return max(wait, 0)
}

type deciding struct {
	State
	now Moment
	out []any
}

// look does what is due.
func (d *deciding) look() {
	switch {
	case d.phase == leads && !d.now.Before(d.Until()):
		d.stepDown("its lease has ended, because most of the servers' registers did not answer in time, or were claimed by another")
		d.turn(follows, leaves)
	case d.phase == follows && d.now.Steady >= d.after && d.count(d.isFree) >= d.most():
		d.turn(tries, takes)
	}
	d.publish()
	switch {
	case d.phase != tries:
	case d.now.Before(d.Until()):
		d.phase, d.failures = leads, 0
		d.term++
		d.out = append(d.out, Lead{d.term})
	case d.count(func(r *register) bool { return d.now.Before(r.until) || r.flying && !r.away }) < d.most():
		d.failures++
		d.after = d.now.Steady + d.backoff()
		d.turn(follows, gives)
		d.publish()
	}
}

func (d *deciding) isFree(r *register) bool {
	return r.mayPublish() && !r.away && d.now.Steady >= r.free(d.cfg)
}

// publish sends the claims that are due.
func (d *deciding) publish() {
	for i := range d.registers {
		r := &d.registers[i]
		if claim, at := r.due(d.cfg); claim != nil && d.now.Steady >= at {
			r.publish(d.now, claim)
			d.out = append(d.out, Publish{i, r.newest, claim})
		}
	}
}

func (d *deciding) turn(to phase, aim aim) {
	d.phase = to
	for i := range d.registers {
		d.registers[i].turn(aim)
	}
}

func (d *deciding) stepDown(reason string) {
	if d.phase == leads {
		d.out = append(d.out, StepDown{reason})
	}
}

// fall leaves the lead to the others: as long as they have to wait after this server's newest claim, and a little longer.
func (d *deciding) fall() {
	if d.phase == retired {
		return
	}
	d.stepDown("another server has written to the log, or this one could not lead")
	d.turn(follows, leaves)
	d.after = d.now.Steady + d.cfg.Length + d.cfg.Length/3 + 2*d.cfg.Margin + d.cfg.Renew
}

// backoff is a time that differs between servers, and from one failure to the next.
func (d *deciding) backoff() time.Duration {
	hash := xxhash.Sum64String(fmt.Sprint(d.cfg.Self, " ", d.failures))
	return d.cfg.Renew/4 + time.Duration(hash%uint64(d.cfg.Renew+1))
}
