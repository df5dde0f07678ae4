package crowd

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"conga/actors/player"
	"conga/cmd/conga-bench/internal/tap"
	"conga/cmd/internal/cli"
)

// Passage is what was seen of the music on its way through the crowd.
type Passage struct {
	// Hops are how long chunks took from one listener's receiving to the next one's, in microseconds.
	Hops []float64
	// Wire, Music and Chunks are what the first listener got: all bytes, those of mp3, chunks.
	Wire, Music, Chunks int
	// Deaf are the listeners that got nothing.
	Deaf int
}

// deafMost: if more than one of so many listeners gets nothing, the chain does not work, and its figures mean nothing.
const deafMost = 20

// Listen listens in for a while.
func (c *Crowd) Listen(ctx context.Context, during time.Duration) (Passage, error) {
	for _, m := range c.nodes {
		m.notes.Begin()
	}
	if err := cli.Pause(ctx, during); err != nil {
		return Passage{}, err
	}
	at := make([]map[uint64]time.Time, len(c.nodes))
	for i, m := range c.nodes {
		at[i] = m.notes.End()
	}
	p := Passage{}
	for i, above := range c.above() {
		if len(at[i]) == 0 {
			p.Deaf++
		}
		if above < 0 {
			p.Wire, p.Music, p.Chunks = c.nodes[i].notes.Traffic()
			continue
		}
		p.Hops = append(p.Hops, Hops(at[above], at[i])...)
	}
	if p.Deaf > len(c.nodes)/deafMost {
		return p, fmt.Errorf("%d of %d listeners heard nothing for %v", p.Deaf, len(c.nodes), during)
	}
	return p, nil
}

// Hops returns how long after the first map's time the same chunk came at the second one's, in microseconds.
func Hops(from, to map[uint64]time.Time) (hops []float64) {
	for number, at := range to {
		if before, has := from[number]; has {
			hops = append(hops, float64(at.Sub(before).Nanoseconds())/1e3)
		}
	}
	return hops
}

// above says for each listener which one feeds it; -1: the server.
func (c *Crowd) above() []int {
	above := make([]int, len(c.nodes))
	byRelay := map[string]int{}
	for i, m := range c.nodes {
		byRelay[m.relay] = i
	}
	for i, m := range c.nodes {
		if at, has := byRelay[m.notes.From()]; has {
			above[i] = at
		} else {
			above[i] = -1
		}
	}
	return above
}

// spliceWithin is how long an orphan may take to find another upstream.
const spliceWithin = 10 * time.Second

// Splice kills listeners that feed others, one at a time, each somewhere in the chain, and returns how long the orphan
// took each time, from the death until another node had answered or fed it. There are fewer listeners then.
func (c *Crowd) Splice(ctx context.Context, times int) (took []time.Duration, err error) {
	for range times {
		above := c.above()
		fed := slices.DeleteFunc(slices.Collect(count(len(above))), func(i int) bool { return above[i] < 0 })
		if len(fed) == 0 {
			return nil, fmt.Errorf("in a chain of %d listeners none feeds another", len(above))
		}
		orphan := fed[rand.IntN(len(fed))]
		dies, bereft := c.nodes[above[orphan]], c.nodes[orphan]
		start := time.Now()
		if err := dies.kill(); err != nil {
			return nil, err
		}
		c.nodes = slices.DeleteFunc(c.nodes, func(m *member) bool { return m == dies })
		answered, err := await(ctx, bereft.notes, start)
		if err != nil {
			return nil, err
		}
		took = append(took, answered.Sub(start))
		if err := cli.Pause(ctx, 300*time.Millisecond); err != nil { // until the server has told the neighbours
			return nil, err
		}
	}
	return took, nil
}

func count(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// await waits until a node has turned to another after start.
func await(ctx context.Context, notes *tap.Notes, start time.Time) (time.Time, error) {
	for time.Since(start) < spliceWithin {
		if at := notes.Turned(start); !at.IsZero() {
			return at, nil
		}
		if err := cli.Pause(ctx, time.Millisecond); err != nil {
			return time.Time{}, err
		}
	}
	return time.Time{}, fmt.Errorf("an orphan found no other upstream within %v", spliceWithin)
}

// First is how long a listener took to hear.
type First struct {
	Chunk time.Duration // from its start until its first chunk had come
	Sound time.Duration // until its loudspeaker got the first sample that is not silence; 0: it left before
}

// Firsts lets n more listeners join and leave again, one after another. The first of them, as many as sounds says, stay
// until they hear.
func (c *Crowd) Firsts(ctx context.Context, n, sounds int) (all []First, err error) {
	for i := range n {
		first, err := c.first(ctx, fmt.Sprintf("ear%d", i+1), i < sounds)
		if err != nil {
			return nil, err
		}
		all = append(all, first)
	}
	return all, nil
}

func (c *Crowd) first(ctx context.Context, name string, sound bool) (f First, err error) {
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	ear := newEar()
	start := time.Now()
	m, err := c.join(ctx, name, ear)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, m.node.Leave()) }()
	came, err := m.notes.First(ctx)
	if err != nil {
		return f, fmt.Errorf("%s got nothing: %w", name, err)
	}
	f.Chunk = came.Sub(start)
	if !sound {
		return f, nil
	}
	select {
	case at := <-ear.heard:
		f.Sound = at.Sub(start)
		return f, nil
	case <-ctx.Done():
		return f, fmt.Errorf("%s heard nothing: %w", name, ctx.Err())
	}
}

// ear is a loudspeaker that takes 10 ms every 10 ms, as a real one, and notes the first that is not silence.
type ear struct {
	heard chan time.Time
	done  bool
}

func newEar() *ear { return &ear{heard: make(chan time.Time, 1)} }

var _ player.Output = (*ear)(nil)

const (
	block      = 10 * time.Millisecond
	blockBytes = 44100 / 100 * 4
)

func (*ear) Name() string           { return "ear" }
func (*ear) Latency() time.Duration { return 0 }

func (e *ear) Run(ctx context.Context, feed player.Feed) error {
	tick := time.NewTicker(block)
	defer tick.Stop()
	buf := make([]byte, blockBytes)
	for {
		feed.Fill(buf, 0)
		if !e.done && slices.ContainsFunc(buf, func(b byte) bool { return b != 0 }) {
			e.done = true
			e.heard <- time.Now()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
