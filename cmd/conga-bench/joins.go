package main

import (
	"context"
	"time"

	"conga/cmd/conga-bench/internal/crowd"
	"conga/cmd/conga-bench/internal/result"
)

// soundsARound is how many of the listeners that come and go in a round wait for their first sound, which takes them most
// of a second.
const soundsARound = 5

// firsts lets some listeners join, hear and go, beside so many others.
func (c *chainRound) firsts(ctx context.Context, w *worker, addr string, others int) error {
	var firsts []crowd.First
	if err := w.call(ctx, "Firsts", FirstsArgs{Server: addr, Times: c.Joins, Sounds: min(c.Joins, soundsARound)}, &firsts); err != nil {
		return err
	}
	greeted, err := c.greet(ctx, c.Joins, frameSize, false)
	if err != nil {
		return err
	}
	var chunks, sounds []time.Duration
	for _, first := range firsts {
		if chunks = append(chunks, first.Chunk); first.Sound > 0 {
			sounds = append(sounds, first.Sound)
		}
	}
	for _, line := range []struct {
		name string
		took []time.Duration
		of   float64
	}{{firstChunk50, chunks, 50}, {firstChunk99, chunks, 99}, {firstSound50, sounds, 50}, {firstSound99, sounds, 99}} {
		c.result.Add(result.Key{Name: line.name, Nodes: others, Baseline: greeting}, "ms", result.Less,
			result.Round{Conga: percentile(line.took, line.of), Base: percentile(greeted.Each, line.of)})
	}
	return nil
}

// measureGreeting measures the least that a join needs, and that a splice needs.
func (c *chainRound) measureGreeting(ctx context.Context) error {
	greeted, err := c.greet(ctx, c.nodes, c.chunk, false)
	if err != nil {
		return err
	}
	c.Add(joining, greeting, "s", c.conga.join.Seconds(), greeted.All.Seconds())
	if len(c.conga.splices) > 0 {
		c.Add(splicing, greeting, "ms", percentile(c.conga.splices, 50), percentile(greeted.Each, 50))
	}
	return nil
}

// greet lets so many clients be greeted with a message of that size.
func (b *bench) greet(ctx context.Context, n, size int, atOnce bool) (greeted Times, err error) {
	server, err := b.worker(ctx)
	if err != nil {
		return greeted, err
	}
	defer server.kill()
	clients, err := b.worker(ctx)
	if err != nil {
		return greeted, err
	}
	defer clients.kill()
	var addr string
	if err := server.call(ctx, "StartGreeter", size, &addr); err != nil {
		return greeted, err
	}
	return greeted, clients.call(ctx, "Greet", GreetArgs{Addr: addr, Nodes: n, Size: size, AtOnce: atOnce}, &greeted)
}

// percentile is in milliseconds.
func percentile(of []time.Duration, p float64) float64 {
	all := make([]float64, len(of))
	for i, d := range of {
		all[i] = ms(d)
	}
	return result.Percentile(all, p)
}

// joinsAtOnce measures how long the longest chain takes to come together if all come at the same moment.
func (b *bench) joinsAtOnce(ctx context.Context) error {
	nodes := 0
	for _, n := range b.Nodes {
		if n <= mostAtOnce {
			nodes = max(nodes, n)
		}
	}
	for round := range b.Rounds {
		if err := b.joinAtOnce(ctx, nodes); err != nil && ctx.Err() != nil {
			return err
		} else if err != nil {
			b.lacks("%d joins at once, round %d: %v", nodes, round+1, err)
		}
	}
	return nil
}

// mostAtOnce is how many come at the same moment.
const mostAtOnce = 1000

func (b *bench) joinAtOnce(ctx context.Context, nodes int) error {
	server, w, end, err := b.stage(ctx)
	if err != nil {
		return err
	}
	defer end()
	args := JoinArgs{Server: server.ready["requests"], Nodes: nodes}
	args.How.AtOnce = true
	var joined Times
	if err := w.call(ctx, "Join", args, &joined); err != nil {
		return err
	}
	greeted, err := b.greet(ctx, nodes, frameSize, true)
	if err != nil {
		return err
	}
	b.result.Add(result.Key{Name: joiningBurst, Nodes: nodes, Baseline: greeting}, "s", result.Less,
		result.Round{Conga: joined.All.Seconds(), Base: greeted.All.Seconds()})
	return nil
}
