package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"conga/actors"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/cli"
	"conga/messages"
)

const (
	// glimpse is how often it checks for music after an outage.
	glimpse = 100 * time.Millisecond
	// hearsOn is how many items must come in a second, at least; nine are usual.
	hearsOn = 5
)

// round is the time from one moment at which everybody hears to the next.
type round struct {
	acts   []schedule.Act
	before map[*participant]actors.Receipt
	asleep map[*participant]time.Duration
	slow   map[*participant]bool // whose lines are
}

// silence returns the longest time for which the server's music reached nobody.
func (r *round) silence() (most time.Duration) {
	for _, act := range r.acts {
		if act.Kind == schedule.Away || act.Kind == schedule.Dark {
			most += act.Lasts
		}
	}
	return most
}

// forgives returns the part of what a listener missed in this round that is no fault: silence beyond its
// slack, and a hole after more than a window. In front of a slow line two seconds of music wait, and its
// listener's requests and acknowledgements wait behind them, for its whole slack. All listeners below it
// must hear without a gap.
func (r *round) forgives(c *participant, missed forgiven) forgiven {
	switch away := r.silence() + r.asleep[c]; {
	case away == 0 && !r.slow[c]:
		return forgiven{}
	case away <= schedule.WithinWindow:
		missed.lost = 0
	}
	return missed
}

// forgiven is what a receipt may lack without a broken promise.
type forgiven struct {
	underruns int
	lost      int64
}

func (f forgiven) String() string { return fmt.Sprintf("lost %d, underruns %d", f.lost, f.underruns) }

// since returns what a listener missed between two receipts.
func since(before, now actors.Receipt) forgiven {
	return forgiven{now.Underruns - before.Underruns, now.Lost - before.Lost}
}

// takes returns the receipt without the forgiven losses.
func (f forgiven) takes(r actors.Receipt) *actors.Receipt {
	r.Underruns, r.Lost = r.Underruns-f.underruns, r.Lost-f.lost
	if f != (forgiven{}) {
		r.LowestMarginMs = nil // it was lowest in the silence
	}
	return &r
}

// stretch is a round that is over: in it searches took as long as the outage did.
type stretch struct {
	begin, end time.Time
	silent     bool
	asleep     map[string]bool
}

// recovery says how an outage ended.
type recovery struct {
	kind  schedule.Kind
	lasts time.Duration
	took  time.Duration // until the last listener had music again
}

// begin starts a round before an outage begins, if none is running.
func (a *experiment) begin(ctx context.Context, act schedule.Act) {
	if a.round == nil {
		r := &round{before: map[*participant]actors.Receipt{}, asleep: map[*participant]time.Duration{}, slow: map[*participant]bool{}}
		for c, h := range a.hear(ctx, a.living()) {
			r.before[c] = h.receipt
		}
		a.round = r
		a.spans = append(a.spans, stretch{begin: time.Now(), asleep: map[string]bool{}})
	}
	var asleep []*participant
	if act.Kind == schedule.Asleep {
		for _, n := range act.Nodes {
			asleep = append(asleep, a.participant(n))
		}
	}
	a.mu.Lock() // listeners that leave meanwhile are excused
	defer a.mu.Unlock()
	a.round.acts = append(a.round.acts, act)
	now := &a.spans[len(a.spans)-1]
	now.silent = a.round.silence() > 0
	for _, c := range asleep {
		a.round.asleep[c] += act.Lasts
		now.asleep[c.name] = true
	}
}

// start returns the listener's receipt at the beginning, if it was there.
func (r *round) start(c *participant) (receipt actors.Receipt, known bool) {
	if r != nil {
		receipt, known = r.before[c]
	}
	return receipt, known
}

// excuse forgives the listener what it missed in this round up to the receipt.
func (a *experiment) excuse(c *participant, r actors.Receipt) (f forgiven) {
	if before, known := a.round.start(c); known {
		f = a.round.forgives(c, since(before, r))
		c.underruns += f.underruns
		c.lost += f.lost
	}
	return f
}

func (a *experiment) living() (all []*participant) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.all {
		select {
		case <-c.ready:
			if c.target != nil && !c.gone {
				all = append(all, c)
			}
		default:
		}
	}
	return all
}

// hearing is what a listener hears, and from which node.
type hearing struct {
	receipt  actors.Receipt
	upstream string
}

// hear asks all of them at once, and leaves out those that do not answer soon.
func (a *experiment) hear(ctx context.Context, who []*participant) map[*participant]hearing {
	ctx, cancel := context.WithTimeout(ctx, schedule.MendedWithin/2)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := map[*participant]hearing{}
	for _, c := range who {
		wg.Go(func() {
			h, err := c.target.hears(ctx)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				all[c] = h
			}
		})
	}
	wg.Wait()
	return all
}

// mended ends the round after all its failures are over: it waits until everybody hears, and
// reports those that do not after five seconds.
func (a *experiment) mended(ctx context.Context) error {
	ended := time.Now()
	who := a.living()
	took, err := a.untilMusic(ctx, who, ended)
	if err == nil {
		err = cli.Pause(ctx, schedule.MendedWithin-time.Since(ended))
	}
	if err != nil {
		return err
	}
	first := a.hear(ctx, who)
	if err := cli.Pause(ctx, schedule.ListenFor); err != nil {
		return err
	}
	then := a.hear(ctx, who)
	var trouble []string
	for _, c := range who {
		trouble = append(trouble, deafness(c.name, first[c], then[c])...)
		if before, known := a.round.start(c); known {
			if f := a.excuse(c, then[c].receipt); f != since(before, then[c].receipt) {
				a.say("BAD: meanwhile %s had %v", c.name, since(before, then[c].receipt))
			}
		}
	}
	trouble = append(trouble, astray(who, then)...)
	what := "no outage"
	if a.round != nil {
		var lines []string
		for _, act := range a.round.acts {
			lines = append(lines, strings.Join(strings.Fields(act.String())[1:], " "))
		}
		what = strings.Join(lines, "; ")
		long := slices.DeleteFunc(a.round.acts, func(act schedule.Act) bool { return !act.Kind.Outage() })
		last := slices.MaxFunc(long, func(x, y schedule.Act) int { return cmp.Compare(x.Ends(), y.Ends()) })
		a.recoveries = append(a.recoveries, recovery{last.Kind, last.Lasts, took})
		a.spans[len(a.spans)-1].end = time.Now()
	}
	a.say("%s: everybody has music %v after the end", what, took.Round(10*time.Millisecond))
	for _, t := range trouble {
		a.say("BAD: %s", t)
		a.fault("%v after %s: %s", schedule.MendedWithin, what, t)
	}
	a.round = nil
	return nil
}

// untilMusic waits until everybody gets music and nobody is silent, at most as long as is allowed, and
// returns how long that took.
func (a *experiment) untilMusic(ctx context.Context, who []*participant, ended time.Time) (took time.Duration, err error) {
	start := a.hear(ctx, who)
	before, waiting := start, who
	for len(waiting) > 0 && time.Since(ended) < schedule.MendedWithin-glimpse {
		if err := cli.Pause(ctx, glimpse); err != nil {
			return 0, err
		}
		now, at := a.hear(ctx, waiting), time.Since(ended)
		waiting = slices.DeleteFunc(slices.Clone(waiting), func(c *participant) bool {
			was, known := before[c]
			is := now[c]
			hears := known && is.receipt.Heard > start[c].receipt.Heard && is.receipt.SilentMs == was.receipt.SilentMs
			if hears {
				took = at
			}
			return hears
		})
		for c, h := range now {
			if before[c] = h; start[c].receipt.Name == "" {
				start[c] = h
			}
		}
	}
	if len(waiting) > 0 {
		return schedule.MendedWithin, nil
	}
	return took, nil
}

// deafness returns what is wrong with what a listener hears between two moments.
func deafness(name string, first, then hearing) (trouble []string) {
	items := then.receipt.Heard - first.receipt.Heard
	silent := then.receipt.SilentMs - first.receipt.SilentMs
	switch {
	case first.receipt.Name == "" || then.receipt.Name == "":
		return []string{name + " does not answer"}
	case items < hearsOn:
		trouble = append(trouble, fmt.Sprintf("%s below %q hears %d items in a second", name, then.upstream, items))
	}
	if silent > 0 {
		trouble = append(trouble, fmt.Sprintf("%s below %q has nothing to play for %d ms of a second", name, then.upstream, silent))
	}
	return trouble
}

// astray names the listeners that are on no path from the server.
func astray(who []*participant, all map[*participant]hearing) (trouble []string) {
	above := map[string]string{}
	for c, h := range all {
		above[c.name] = h.upstream
	}
	for _, c := range who {
		path := []string{c.name}
		for at := above[c.name]; ; at = above[at] {
			if at == messages.ServerID {
				break
			}
			turns := slices.Contains(path, at)
			if path = append(path, at); at == "" || turns {
				trouble = append(trouble, "on no path from the server: "+strings.Join(path, " < "))
				break
			}
		}
	}
	return trouble
}
