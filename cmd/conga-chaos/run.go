package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"conga/actors"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/cli"
)

const (
	// atOnce is how many join at the same time.
	atOnce = 2
	// joinWithin is how long a newcomer tries: the server may be down when it comes.
	joinWithin = 30 * time.Second
	// clearAfter is how long after a kill what is left of the listeners is removed.
	clearAfter = 500 * time.Millisecond
	// hearsWithin is how long a listener may take for its next item, at the end.
	hearsWithin = 5 * time.Second
	// nowAndThen is shorter than the time after which the server forgets songs of a few seconds.
	nowAndThen = 30 * time.Second
)

// experiment is one run of a schedule.
type experiment struct {
	acts   []schedule.Act
	nodes  int
	server origin
	place  func() (network, error) // a place for a listener, freed when the listener is gone
	spawn  func(ctx context.Context, n network, name string) (target, error)
	say    func(format string, args ...any) // progress

	mu      sync.Mutex
	members map[int]*participant
	all     []*participant
	hits    map[string][]hit // by name
	counts  map[schedule.Kind]*count
	faults  []string // faults that the run itself saw

	round      *round // the present outage and the failures during it; nil: none
	spans      []stretch
	recoveries []recovery
	holding    sync.Mutex
	held       map[string]int // how many outages hold a thing
}

// hit is a failure as it happened.
type hit struct {
	kind schedule.Kind
	at   time.Time
}

type count struct{ times, nodes int }

// run runs the schedule and returns the result.
func (a *experiment) run(ctx context.Context) (*outcome, error) {
	a.prepare()
	defer a.closeAll()
	begin := time.Now()
	a.assemble(ctx)
	if err := cli.Pause(ctx, schedule.Settling); err != nil {
		return nil, err
	}
	a.say("%d listeners after %v", a.nodes, time.Since(begin).Round(10*time.Millisecond))
	start := time.Now()
	var wg sync.WaitGroup
	stop := a.askNowAndThen(ctx)
	defer stop()
	for _, act := range a.acts {
		if err := cli.Pause(ctx, act.At-time.Since(start)); err != nil {
			wg.Wait()
			return nil, err
		}
		if act.Kind == schedule.Listen {
			wg.Wait()
			if err := a.mended(ctx); err != nil {
				return nil, err
			}
			start = time.Now().Add(-act.At - schedule.MendedWithin - schedule.ListenFor) // however late it was
			continue
		}
		if act.Kind.Outage() || a.round != nil {
			a.begin(ctx, act)
		}
		wg.Go(func() { a.do(ctx, act) })
	}
	wg.Wait()
	a.say("all failures after %v, now it may settle", time.Since(start).Round(10*time.Millisecond))
	if err := cli.Pause(ctx, schedule.Settling); err != nil {
		return nil, err
	}
	a.lastLook(ctx)
	sent, err := a.server.sent(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the server what it sent: %w", err)
	}
	return a.outcome(sent), nil
}

func (a *experiment) prepare() {
	a.members, a.hits, a.counts = map[int]*participant{}, map[string][]hit{}, map[schedule.Kind]*count{}
	a.held = map[string]int{}
}

// askNowAndThen asks the server from time to time what it sent, because it does not remember for ever.
func (a *experiment) askNowAndThen(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for cli.Pause(ctx, nowAndThen) == nil {
			_, _ = a.server.sent(ctx) // the last time counts
		}
	}()
	return func() { cancel(); <-done }
}

func (a *experiment) fault(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = append(a.faults, fmt.Sprintf(format, args...))
}

// do carries out one failure.
func (a *experiment) do(ctx context.Context, act schedule.Act) {
	if act.Kind == schedule.Join {
		a.join(ctx, act.Nodes[0])
		return
	}
	var hit []*participant
	for _, n := range act.Nodes {
		c := a.participant(n)
		<-c.ready
		if c.target != nil {
			hit = append(hit, c)
		}
	}
	if !act.Kind.Hurts() { // who stays has a proof of its own in the end
		a.takeReceipts(ctx, hit)
	}
	if act.Kind == schedule.Half {
		runtime.GC() // the receipts of so many are waste by now: let it not be collected while the others search
	}
	a.note(act.Kind, hit)
	switch act.Kind {
	case schedule.Server:
		if err := a.server.restart(ctx, act.Lasts); err != nil {
			a.fault("%v", err)
		}
	case schedule.Away, schedule.Dark, schedule.Asleep, schedule.SlowPair:
		if err := a.last(ctx, act, hit); err != nil && ctx.Err() == nil {
			a.fault("%v: %v", act, err)
		}
	case schedule.Freeze, schedule.Link, schedule.Slow:
		for _, c := range hit {
			a.hurt(ctx, c, act)
		}
	case schedule.End:
		for _, c := range hit {
			c.found = c.target.searches()
			if err := c.target.end(); err != nil {
				a.fault("%s ended badly: %v", c.name, err)
			}
			c.clearAway()
		}
	default:
		for _, c := range hit { // all at once: none should die while others ask it for music
			c.target.fall()
		}
		for _, c := range hit {
			c.target.kill()
		}
		_ = cli.Pause(ctx, clearAfter) // reading their logs and clearing them away takes time, which the others need now
		for _, c := range hit {
			c.found = c.target.searches()
			c.clearAway()
		}
	}
}

// slowCable is half the rate of a song of 128 kbit/s, in bytes a second.
const slowCable = 8000

// hurt carries out a failure that passes.
func (a *experiment) hurt(ctx context.Context, c *participant, act schedule.Act) {
	fall := func() error { c.target.freeze(); return nil }
	pass := func() error { c.target.thaw(); return nil }
	switch act.Kind {
	case schedule.Link:
		fall, pass = c.net.cable.Pull, c.net.cable.Plug
	case schedule.Slow:
		fall, pass = func() error { return c.net.cable.Slow(slowCable) }, c.net.cable.Fast
	}
	err := fall()
	_ = cli.Pause(ctx, act.Lasts)
	if err = errors.Join(err, pass()); err != nil {
		a.fault("%v: %v", act, err)
	}
}

// takeReceipts takes the receipts of the listeners that go.
func (a *experiment) takeReceipts(ctx context.Context, who []*participant) {
	ctx, cancel := context.WithTimeout(ctx, hearsWithin)
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range who {
		wg.Go(func() {
			proof, err := c.target.receipt(ctx)
			a.mu.Lock()
			defer a.mu.Unlock()
			if c.gone = true; err == nil {
				c.proof = &proof
				a.excuse(c, proof)
			} else if !c.disturbed {
				a.faults = append(a.faults, fmt.Sprintf("%s has no receipt: %v", c.name, err))
			}
		})
	}
	wg.Wait()
}

func (a *experiment) note(kind schedule.Kind, who []*participant) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.counts[kind]
	if n == nil {
		n = &count{}
		a.counts[kind] = n
	}
	n.times++
	n.nodes += len(who)
	now := time.Now()
	for _, c := range who {
		c.disturbed = c.disturbed || kind.Hurts() && !kind.Outage() // for outages, forgives says what is excused
		a.hits[c.name] = append(a.hits[c.name], hit{kind, now})
	}
	if kind == schedule.Server {
		a.hits["server"] = append(a.hits["server"], hit{kind, now})
	}
}

// lastLook takes the receipts of the listeners that are left: each must still hear.
func (a *experiment) lastLook(ctx context.Context) {
	var wg sync.WaitGroup
	for _, c := range a.all {
		if c.target == nil || c.gone {
			continue
		}
		wg.Go(func() {
			proof, err := hearOn(ctx, c.target)
			switch {
			case errors.Is(err, errDeaf):
				c.deaf = true
			case err != nil:
				a.fault("%s has no receipt: %v", c.name, err)
				return
			}
			c.proof, c.found = &proof, c.target.searches()
		})
	}
	wg.Wait()
}

var errDeaf = errors.New("nothing comes any more")

// hearOn waits for the listener's next item.
func hearOn(ctx context.Context, v target) (actors.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, hearsWithin)
	defer cancel()
	first, err := v.receipt(ctx)
	if err != nil {
		return first, err
	}
	for {
		if cli.Pause(ctx, 50*time.Millisecond) != nil {
			return first, errDeaf
		}
		last, err := v.receipt(ctx)
		if err == nil && last.Heard > first.Heard {
			return last, nil
		}
	}
}

func (a *experiment) closeAll() {
	var wg sync.WaitGroup
	for _, c := range a.all {
		wg.Go(func() {
			<-c.ready
			if c.target != nil {
				c.clearAway()
			}
		})
	}
	wg.Wait()
}
