// Package lease keeps a server's right to give out music, among the servers of its radio, which share registers of claims.
// What follows from what is decided in lease/right.
package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"conga/actors/eventlog"
	"conga/actors/lease/right"
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// Config configures a lease.
type Config struct {
	Claims   []eventlog.Claims // the registers, the same for all servers; most of them decide
	Length   time.Duration     // at most right.Most
	Requests string            // host:port of this server's request port, for its claims
	Now      func() int64      // the broadcast's clock, in unix microseconds
	Logger   *slog.Logger
}

// Lease is the running conversation with the registers. It is safe for concurrent use.
type Lease struct {
	cfg    Config
	start  time.Time
	inputs chan any
	life   context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	at      atomic.Pointer[Standing]
	since   atomic.Int64 // when this server began to lead
	self    string       // the holder in its claims
	mu      sync.Mutex
	clocks  clocks        // of the leader, if that is another server
	changed chan struct{} // closed and replaced when Standing changes in more than Until
}

// Standing is what a server knows about the lead.
type Standing struct {
	Term   uint64       // of this server's leadership; 0: it does not lead
	Until  right.Moment // when its right ends
	Leader *messages.LeaseClaim
	Reason string // why it does not lead any more; empty: it never did
	Known  bool   // most registers have been read
}

// marginOf is by how much a right ends before its length, and a standby waits longer: far more than clocks differ, also within the
// longest lease that another server may have.
func marginOf(length time.Duration) time.Duration { return max(length/100, right.Most/1000) }

// renewals is how often a leader renews its right within its length.
const renewals = 5

// watchAgain is the wait before a register that cannot be watched is tried again.
const watchAgain = 100 * time.Millisecond

// Start begins to watch the registers, and claims the lead as soon as nobody else may have it.
func Start(cfg Config) *Lease {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Lease{cfg: cfg, self: rand.Text(), start: time.Now(), inputs: make(chan any, 16), life: ctx, cancel: cancel, changed: make(chan struct{})}
	l.at.Store(&Standing{})
	l.wg.Go(func() { l.run(ctx) })
	for i := range cfg.Claims {
		l.wg.Go(func() { l.watch(ctx, i) })
	}
	return l
}

// Leads reports whether this server may give out music at this moment.
func (l *Lease) Leads() bool {
	at := l.at.Load()
	return at.Term > 0 && l.moment().Before(at.Until)
}

// LeadsIn reports whether this server leads in that term, now.
func (l *Lease) LeadsIn(term uint64) bool { return l.Leads() && l.at.Load().Term == term }

// Standing returns what is known now, and a channel that is closed when that changes.
func (l *Lease) Standing() (Standing, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return *l.at.Load(), l.changed
}

// TakeAhead returns by how much the clock of the last other leader is ahead of this server's, in microseconds, less the time that
// its quickest claim of the last ones took to get here; 0 if none was seen. The caller sets its clock by it, and is told 0 from then
// on.
func (l *Lease) TakeAhead() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	ahead := l.clocks.best()
	l.clocks = clocks{}
	return ahead
}

// Timed reports whether that is known well, by some claims that were made while this server looked on.
func (l *Lease) Timed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.clocks.ahead) >= goodClaims
}

// aloneLooks is how often Alone looks again.
const aloneLooks = 20 * time.Millisecond

// Alone waits until it is clear whether another server claims the lead. It returns nil once this one leads, or the other's claim,
// which it has renewed meanwhile. An error is the cause of ctx's end.
func (l *Lease) Alone(ctx context.Context) (other *messages.LeaseClaim, err error) {
	again := time.NewTicker(aloneLooks)
	defer again.Stop()
	for {
		switch at, _ := l.Standing(); {
		case at.Term > 0:
			return nil, nil
		case at.Leader != nil && l.Timed(): // it goes on claiming
			return at.Leader, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Fall ends the leadership at once, because there is proof that another has begun one, or this server cannot lead. Others may
// claim the lead before it does so again.
func (l *Lease) Fall() { l.tell(l.life, right.Fallen{}) }

// Release gives up the lead for good and tells the others, as long as ctx allows. The caller gives out nothing any more.
func (l *Lease) Release(ctx context.Context) {
	done := make(chan struct{})
	l.tell(ctx, release{done})
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Close ends the conversation. Others wait for the end of the lease if it was not released.
func (l *Lease) Close() {
	l.cancel()
	l.wg.Wait()
}

type (
	release struct{ done chan struct{} }
	// seen: the clock of who made the claim was so far ahead of this server's when it was seen. A claim that was there before,
	// and one that is shown again, is not fresh: it may be old.
	seen struct {
		right.Seen
		fresh bool
		ahead int64
	}
)

func (l *Lease) tell(ctx context.Context, input any) {
	select {
	case l.inputs <- input:
	case <-ctx.Done():
	}
}

func (l *Lease) moment() right.Moment {
	now := time.Now()
	return right.Moment{Steady: now.Sub(l.start), Wall: time.Duration(now.UnixNano())}
}

// run takes the inputs, one after the other.
func (l *Lease) run(ctx context.Context) {
	state := right.New(right.Config{
		Self: l.self, Registers: len(l.cfg.Claims), Length: l.cfg.Length, Longest: right.Most, Margin: marginOf(l.cfg.Length), Renew: l.cfg.Length / renewals,
	})
	next := time.NewTimer(0)
	defer next.Stop()
	var released chan struct{}
	for {
		var input any = right.Look{}
		select {
		case <-ctx.Done():
			l.stand(Standing{Reason: "it stops"}, true)
			return
		case input = <-l.inputs:
		case <-next.C:
		}
		var claim seen
		switch in := input.(type) {
		case release:
			released, input = in.done, right.Release{}
		case seen:
			claim, input = in, in.Seen
		}
		var out []any
		state, out = state.Step(l.moment(), input)
		l.compare(claim, state.Leader())
		l.carryOut(ctx, state, out)
		if released != nil && state.Quiet() {
			close(released)
			released = nil
		}
		next.Reset(state.Wait(l.moment()))
	}
}

// carryOut first lets everybody know where this server stands, and then sends its claims.
func (l *Lease) carryOut(ctx context.Context, state right.State, out []any) {
	before := l.at.Load()
	at := Standing{Term: state.Term(), Until: state.Until(), Leader: state.Leader(), Known: state.Known(), Reason: before.Reason}
	changed := at.Term != before.Term || at.Known != before.Known || at.Leader.GetHolder() != before.Leader.GetHolder()
	for _, out := range out {
		switch out := out.(type) {
		case right.Lead:
			at.Reason = ""
			l.since.Store(l.cfg.Now())
		case right.StepDown:
			at.Reason, changed = out.Reason, true
		case right.Publish:
			l.wg.Go(func() { l.tell(ctx, l.claim(ctx, out)) })
		}
	}
	if at.Term > 0 { // what it claimed last may have been sent before it led
		at.Leader = proto.CloneOf(at.Leader)
		at.Leader.Requests, at.Leader.SinceUnixUs = l.cfg.Requests, l.since.Load()
	}
	l.stand(at, changed)
}

// Actor is its name in dumps.
const Actor = "lease"

// Live is a server's standing as dumps show it.
type Live struct {
	Leads  bool      `json:"leads"`  // this one does
	Leader string    `json:"leader"` // host:port of the requests of the server that leads; empty: none does
	Since  time.Time `json:"since,omitzero"`
}

// Live returns the standing now.
func (s Standing) Live() Live {
	live := Live{Leads: s.Term > 0, Leader: s.Leader.GetRequests()}
	if since := s.Leader.GetSinceUnixUs(); since > 0 {
		live.Since = time.UnixMicro(since).UTC()
	}
	return live
}

// compare learns from a claim of the leader, if that is another server, how its clock differs.
func (l *Lease) compare(in seen, leader *messages.LeaseClaim) {
	if in.fresh && in.Claim.GetClockUnixUs() != 0 && in.Claim.GetHolder() != l.self && in.Claim.GetHolder() == leader.GetHolder() {
		l.mu.Lock()
		l.clocks.add(in.Claim.GetHolder(), in.ahead)
		l.mu.Unlock()
	}
}

func (l *Lease) stand(at Standing, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at.Store(&at)
	if changed {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// claim sends a claim and returns what became of it.
func (l *Lease) claim(ctx context.Context, out right.Publish) any {
	try := out.Claim.GetTry()
	claim := proto.CloneOf(out.Claim)
	claim.Requests, claim.ClockUnixUs = l.cfg.Requests, l.cfg.Now()
	if l.at.Load().Term > 0 {
		claim.SinceUnixUs = l.since.Load()
	}
	data, err := proto.Marshal(claim)
	if err != nil {
		l.cfg.Logger.Error("a claim to lead cannot be written", "reason", err)
		return right.Unsure{Register: out.Register, Try: try}
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Length/3) // so that another try has time before the right ends
	defer cancel()
	number, err := l.cfg.Claims[out.Register].Claim(ctx, out.Expected, data)
	switch {
	case err == nil:
		return right.Kept{Register: out.Register, Try: try, Number: number}
	case errors.Is(err, eventlog.ErrConflict):
		return right.Refused{Register: out.Register, Try: try}
	}
	return right.Unsure{Register: out.Register, Try: try}
}

// watch sees the claims of a register, also after that was away.
func (l *Lease) watch(ctx context.Context, register int) {
	told, last := "", uint64(0)
	for ctx.Err() == nil {
		err := l.cfg.Claims[register].Watch(ctx, func(number uint64, data []byte) {
			told = ""
			in := right.Seen{Register: register, Number: number, Claim: read(data)}
			l.tell(ctx, seen{in, last > 0 && number != last, in.Claim.GetClockUnixUs() - l.cfg.Now()})
			last = number
		})
		if ctx.Err() == nil && err != nil {
			l.tell(ctx, right.Away{Register: register})
			if err.Error() != told {
				told = err.Error()
				l.cfg.Logger.Warn("a register of who leads cannot be read", "register", register+1, "of", len(l.cfg.Claims), "reason", err)
			}
		}
		select {
		case <-time.After(watchAgain):
		case <-ctx.Done():
		}
	}
}

// read returns the claim in data. One that cannot be read is obeyed as long as any may be.
func read(data []byte) *messages.LeaseClaim {
	claim := &messages.LeaseClaim{}
	if len(data) == 0 {
		return nil
	}
	if err := proto.Unmarshal(data, claim); err != nil {
		return &messages.LeaseClaim{LengthUs: -1}
	}
	return claim
}

const (
	// lastClaims is from how many claims the leader's clock is estimated: in the time that they take, clocks drift by about a
	// millisecond.
	lastClaims = 64
	// goodClaims is how many are enough.
	goodClaims = 3
)

// clocks compares a leader's clock with this server's.
type clocks struct {
	holder string
	ahead  []int64
}

// add takes a claim that was sent when the leader's clock was so far ahead of this one's at its arrival.
func (c *clocks) add(holder string, ahead int64) {
	if holder != c.holder {
		*c = clocks{holder: holder}
	}
	c.ahead = append(c.ahead[max(0, len(c.ahead)+1-lastClaims):], ahead)
}

func (c *clocks) best() int64 {
	if len(c.ahead) == 0 {
		return 0
	}
	return slices.Max(c.ahead)
}
