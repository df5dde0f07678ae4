package main

import (
	"context"
	"sync"
	"time"

	"conga/actors"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/cli"
)

// participant is a listener of the run.
type participant struct {
	name      string
	ready     chan struct{} // closed when it has joined, or failed to
	target    target        // nil if it failed
	net       network       // the target's
	disturbed bool          // it was frozen or cut off: it cannot have heard everything
	gone      bool
	forgiven
	cleared sync.Once
	proof   *actors.Receipt // from when it left, or from the end
	found   []search        // its searches until then
	deaf    bool            // at the end nothing came any more
}

// assemble lets the first listeners join.
func (a *experiment) assemble(ctx context.Context) {
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

func (a *experiment) join(ctx context.Context, n int) {
	c := a.participant(n)
	defer close(c.ready)
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	for {
		v, n, err := a.newcomer(ctx, c.name)
		if err == nil {
			c.target, c.net = v, n
			return
		}
		if cli.Pause(ctx, 100*time.Millisecond) != nil {
			a.fault("%s could not join within %v: %v", c.name, joinWithin, err)
			return
		}
	}
}

func (a *experiment) newcomer(ctx context.Context, name string) (target, network, error) {
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

// clearAway waits until nothing is left of a dead listener.
func (c *participant) clearAway() {
	c.cleared.Do(func() {
		c.target.close()
		c.net.free()
	})
}

// participant returns the n-th listener, and creates it at the first call.
func (a *experiment) participant(n int) *participant {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.members[n]
	if c == nil {
		c = &participant{name: schedule.Label(n), ready: make(chan struct{})}
		a.members[n] = c
		a.all = append(a.all, c)
	}
	return c
}
