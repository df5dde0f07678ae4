package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/cli"
)

// last begins an outage and ends it.
func (a *experiment) last(ctx context.Context, act schedule.Act, hit []*participant) error {
	switch act.Kind {
	case schedule.Away:
		if act.Cable {
			return a.unplug(ctx, act.Lasts, "server", a.server.place())
		}
		return a.hold(ctx, "server", act.Lasts, func() error { a.server.freeze(ctx); return nil }, func() error { a.server.thaw(); return nil })
	case schedule.Dark:
		errs := make(chan error)
		all := a.living()
		for _, c := range all {
			go func() { errs <- a.unplug(ctx, act.Lasts, c.name, c.net) }()
		}
		err := a.unplug(ctx, act.Lasts, "server", a.server.place())
		for range all {
			err = errors.Join(err, <-errs)
		}
		return err
	case schedule.Asleep:
		for _, c := range hit {
			c.target.freeze()
		}
		err := cli.Pause(ctx, act.Lasts)
		for _, c := range hit {
			c.target.thaw()
		}
		return err
	case schedule.SlowPair:
		return a.slowPair(ctx, act, hit)
	}
	return nil
}

// unplug pulls a cable for a while. A place that is given back gets its cable repaired.
func (a *experiment) unplug(ctx context.Context, lasts time.Duration, whose string, n network) error {
	return a.hold(ctx, "the cable of "+whose, lasts, n.cable.Pull, n.cable.Plug)
}

// hold calls begin, and end after a while; if two outages of the same thing overlap, when both are over.
func (a *experiment) hold(ctx context.Context, what string, lasts time.Duration, begin, end func() error) error {
	turn := func(by int, first int, do func() error) error {
		a.holding.Lock()
		defer a.holding.Unlock()
		if a.held[what] += by; a.held[what] == first {
			return do()
		}
		return nil
	}
	err := turn(1, 1, begin)
	return errors.Join(err, cli.Pause(ctx, lasts), turn(-1, 0, end))
}

// slowPair makes the lines of a listener and of the one that it feeds slow.
func (a *experiment) slowPair(ctx context.Context, act schedule.Act, hit []*participant) error {
	who := a.living()
	feeds := a.hear(ctx, who)
	for _, first := range hit {
		pair := []*participant{first}
		below := slices.IndexFunc(who, func(c *participant) bool { return feeds[c].upstream == first.name })
		if below < 0 { // it is the last: the one above it
			below = slices.IndexFunc(who, func(c *participant) bool { return c.name == feeds[first].upstream })
		}
		if below >= 0 {
			pair = append(pair, who[below])
		}
		a.mu.Lock()
		for _, c := range pair {
			a.round.slow[c] = true
		}
		a.mu.Unlock()
		for i, c := range pair {
			if i > 0 {
				if err := cli.Pause(ctx, act.Later); err != nil {
					return err
				}
			}
			a.say("%s, which is fed by %s, can send %d bytes a second only", c.name, feeds[c].upstream, slowCable)
			if err := c.net.cable.Slow(slowCable); err != nil {
				return err
			}
		}
		err := cli.Pause(ctx, act.Lasts)
		for _, c := range pair {
			err = errors.Join(err, c.net.cable.Fast())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
