package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"conga/actors"
)

const (
	// atOnce is how many join at the same time: a radio is not switched on by all at once.
	atOnce = 2
	// joinWithin is how long a newcomer tries: the server may be down when it comes.
	joinWithin = 30 * time.Second
	// settling is how long the chain is left in peace before the first blow, and before the
	// last look.
	settling = 4 * time.Second
	// wake is how long the killed lie before they are buried.
	wake = 500 * time.Millisecond
	// hearsWithin is how long a listener may take for its next item, at the last look.
	hearsWithin = 5 * time.Second
	// nowAndThen is more often than the server forgets songs of a few seconds.
	nowAndThen = 30 * time.Second
)

// arena is one run of a schedule.
type arena struct {
	acts   []act
	nodes  int
	server studio
	place  func() (network, error) // for a listener; it is freed when the listener is gone
	spawn  func(ctx context.Context, n network, name string) (victim, error)
	say    func(format string, args ...any) // progress

	mu      sync.Mutex
	players map[int]*contestant
	all     []*contestant
	hits    map[string][]hit // by name
	counts  map[blow]*count
	faults  []string // what the run itself saw go wrong

	round      *round // the outage that is on, and what fell into it; nil: none
	spans      []stretch
	recoveries []recovery
	holding    sync.Mutex
	held       map[string]int // how many outages hold a thing
}

// contestant is a listener of the run.
type contestant struct {
	name   string
	ready  chan struct{} // closed when it has joined, or failed to
	victim victim        // nil if it failed
	net    network       // the victim's
	marred bool          // it was frozen or alone: it cannot have heard everything
	gone   bool
	forgiven
	buried sync.Once
	proof  *actors.Receipt // when it went, or in the end
	found  []search        // until then
	deaf   bool            // nothing came any more in the end
}

// hit is a blow as it fell.
type hit struct {
	kind blow
	at   time.Time
}

type count struct{ times, nodes int }

// run does what the schedule says and returns what came of it.
func (a *arena) run(ctx context.Context) (*outcome, error) {
	a.players, a.hits, a.counts = map[int]*contestant{}, map[string][]hit{}, map[blow]*count{}
	a.held = map[string]int{}
	defer a.closeAll()
	begin := time.Now()
	a.assemble(ctx)
	if err := pause(ctx, settling); err != nil {
		return nil, err
	}
	a.say("%d listeners after %v", a.nodes, time.Since(begin).Round(10*time.Millisecond))
	start := time.Now()
	var wg sync.WaitGroup
	stop := a.askNowAndThen(ctx)
	defer stop()
	for _, act := range a.acts {
		if err := pause(ctx, act.at-time.Since(start)); err != nil {
			wg.Wait()
			return nil, err
		}
		if act.kind == listen {
			wg.Wait()
			if err := a.mended(ctx); err != nil {
				return nil, err
			}
			start = time.Now().Add(-act.at - mendedWithin - listenFor) // however late it was
			continue
		}
		if act.kind.outage() || a.round != nil {
			a.begin(ctx, act)
		}
		wg.Go(func() { a.do(ctx, act) })
	}
	wg.Wait()
	a.say("all blows after %v, now it may settle", time.Since(start).Round(10*time.Millisecond))
	if err := pause(ctx, settling); err != nil {
		return nil, err
	}
	a.lastLook(ctx)
	sent, err := a.server.sent(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the server what it sent: %w", err)
	}
	return a.outcome(sent), nil
}

// askNowAndThen asks the server now and then what it sent: it does not remember for ever.
func (a *arena) askNowAndThen(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for pause(ctx, nowAndThen) == nil {
			_, _ = a.server.sent(ctx) // the last time counts
		}
	}()
	return func() { cancel(); <-done }
}

func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// assemble lets the first listeners join.
func (a *arena) assemble(ctx context.Context) {
	var wg sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for n := 1; n <= a.nodes; n++ {
		turns <- struct{}{}
		wg.Go(func() {
			a.join(ctx, n)
			<-turns
		})
	}
	wg.Wait()
}

func (a *arena) join(ctx context.Context, n int) {
	c := a.contestant(n)
	defer close(c.ready)
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	for {
		v, n, err := a.newcomer(ctx, c.name)
		if err == nil {
			c.victim, c.net = v, n
			return
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			a.fault("%s could not join within %v: %v", c.name, joinWithin, err)
			return
		}
	}
}

func (a *arena) newcomer(ctx context.Context, name string) (victim, network, error) {
	n, err := a.place()
	if err != nil {
		return nil, n, err
	}
	v, err := a.spawn(ctx, n, name)
	if err != nil {
		n.free()
	}
	return v, n, err
}

// bury waits until nothing is left of one that is dead.
func (c *contestant) bury() {
	c.buried.Do(func() {
		c.victim.close()
		c.net.free()
	})
}

// contestant is the n-th listener. Whoever speaks of it first, makes it.
func (a *arena) contestant(n int) *contestant {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.players[n]
	if c == nil {
		c = &contestant{name: nodeLabel(n), ready: make(chan struct{})}
		a.players[n] = c
		a.all = append(a.all, c)
	}
	return c
}

func (a *arena) fault(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = append(a.faults, fmt.Sprintf(format, args...))
}

// do lets one blow fall.
func (a *arena) do(ctx context.Context, act act) {
	if act.kind == join {
		a.join(ctx, act.nodes[0])
		return
	}
	var hit []*contestant
	for _, n := range act.nodes {
		c := a.contestant(n)
		<-c.ready
		if c.victim != nil {
			hit = append(hit, c)
		}
	}
	if !act.kind.hurts() { // who stays has a proof of its own in the end
		a.testify(ctx, hit)
	}
	if act.kind == blowHalf {
		runtime.GC() // the receipts of so many are waste by now: let it not be collected while the others search
	}
	a.note(act.kind, hit)
	switch act.kind {
	case blowServer:
		if err := a.server.restart(ctx, act.lasts); err != nil {
			a.fault("%v", err)
		}
	case blowAway, blowDark, blowAsleep, blowSlowPair:
		if err := a.last(ctx, act, hit); err != nil && ctx.Err() == nil {
			a.fault("%v: %v", act, err)
		}
	case blowFreeze, blowLink, blowSlow:
		for _, c := range hit {
			a.hurt(ctx, c, act)
		}
	case blowEnd:
		for _, c := range hit {
			c.found = c.victim.searches()
			if err := c.victim.end(); err != nil {
				a.fault("%s ended badly: %v", c.name, err)
			}
			c.bury()
		}
	default:
		for _, c := range hit { // all at once: none is to die while others ask it for music
			c.victim.fall()
		}
		for _, c := range hit {
			c.victim.kill()
		}
		_ = pause(ctx, wake) // reading their logs and clearing them away takes time, which the others need now
		for _, c := range hit {
			c.found = c.victim.searches()
			c.bury()
		}
	}
}

// slowCable is half of what a song of 128 kbit/s takes, in bytes a second.
const slowCable = 8000

// hurt lets a blow fall that passes.
func (a *arena) hurt(ctx context.Context, c *contestant, act act) {
	fall := func() error { c.victim.freeze(); return nil }
	pass := func() error { c.victim.thaw(); return nil }
	switch act.kind {
	case blowLink:
		fall, pass = c.net.cable.Pull, c.net.cable.Plug
	case blowSlow:
		fall, pass = func() error { return c.net.cable.Slow(slowCable) }, c.net.cable.Fast
	}
	err := fall()
	_ = pause(ctx, act.lasts)
	if err = errors.Join(err, pass()); err != nil {
		a.fault("%v: %v", act, err)
	}
}

// testify takes the receipts of those who go.
func (a *arena) testify(ctx context.Context, who []*contestant) {
	ctx, cancel := context.WithTimeout(ctx, hearsWithin)
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range who {
		wg.Go(func() {
			proof, err := c.victim.receipt(ctx)
			a.mu.Lock()
			defer a.mu.Unlock()
			if c.gone = true; err == nil {
				c.proof = &proof
				a.excuse(c, proof)
			} else if !c.marred {
				a.faults = append(a.faults, fmt.Sprintf("%s has no receipt: %v", c.name, err))
			}
		})
	}
	wg.Wait()
}

func (a *arena) note(kind blow, who []*contestant) {
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
		c.marred = c.marred || kind.hurts() && !kind.outage() // what an outage excuses is known
		a.hits[c.name] = append(a.hits[c.name], hit{kind, now})
	}
	if kind == blowServer {
		a.hits["server"] = append(a.hits["server"], hit{kind, now})
	}
}

// lastLook takes the receipts of those who are left: each must hear on.
func (a *arena) lastLook(ctx context.Context) {
	var wg sync.WaitGroup
	for _, c := range a.all {
		if c.victim == nil || c.gone {
			continue
		}
		wg.Go(func() {
			proof, err := hearOn(ctx, c.victim)
			switch {
			case errors.Is(err, errDeaf):
				c.deaf = true
			case err != nil:
				a.fault("%s has no receipt: %v", c.name, err)
				return
			}
			c.proof, c.found = &proof, c.victim.searches()
		})
	}
	wg.Wait()
}

var errDeaf = errors.New("nothing comes any more")

// hearOn waits for the listener's next item.
func hearOn(ctx context.Context, v victim) (actors.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, hearsWithin)
	defer cancel()
	first, err := v.receipt(ctx)
	if err != nil {
		return first, err
	}
	for {
		if pause(ctx, 50*time.Millisecond) != nil {
			return first, errDeaf
		}
		last, err := v.receipt(ctx)
		if err == nil && last.Heard > first.Heard {
			return last, nil
		}
	}
}

func (a *arena) closeAll() {
	var wg sync.WaitGroup
	for _, c := range a.all {
		wg.Go(func() {
			<-c.ready
			if c.victim != nil {
				c.bury()
			}
		})
	}
	wg.Wait()
}
