package crowd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/node"
	"conga/messages"
	"conga/transport"
)

// Burst is music that went through the chain as fast as it could.
type Burst struct {
	Bytes  int // of mp3
	Chunks int
	Took   time.Duration // from the first chunk's arrival at the first listener to the last one's at the last listener
}

const (
	// leap is how far the server's clock jumps: what a window holds, less a reserve.
	leap = 8 * time.Second
	// leapSettles is how long the chain runs before, and how long the burst may take.
	leapSettles = 2 * time.Second
	// burstChunks are at least due when the clock has jumped.
	burstChunks = int(leap / messages.MaxChunkDuration)
)

// leapingClock is a server's clock that can be made to jump.
type leapingClock struct {
	start time.Time
	ahead atomic.Int64
}

func (c *leapingClock) now() time.Time {
	return c.start.Round(0).Add(time.Since(c.start) + time.Duration(c.ahead.Load()))
}

// CatchUp lets a server fall behind by eight seconds, because its clock jumps, and looks how its music then catches up
// through a chain of so many listeners. The server is in this process, too.
func CatchUp(ctx context.Context, songs string, hops int, logger *slog.Logger) (b Burst, err error) {
	clock := &leapingClock{start: time.Now()}
	server, err := node.StartServer(node.ServerOptions{
		Songs: songs, Listen: "127.0.0.1:0", Data: node.MemoryData(), Logger: logger, Unwatched: true, Now: clock.now,
		Limits: transport.Limits{PerAddress: 4096, Requests: 1000},
	})
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	crowd := New(reach(server.Requests.Addr()), 0, logger)
	defer func() { err = errors.Join(err, crowd.Close()) }()
	if _, _, err := crowd.Join(ctx, hops, How{}); err != nil {
		return b, err
	}
	if err := cli.Pause(ctx, leapSettles); err != nil {
		return b, err
	}
	return crowd.burst(ctx, clock)
}

func reach(addr net.Addr) string { return net.JoinHostPort("127.0.0.1", portOf(addr.String())) }

// burst makes the clock jump, and looks at what follows.
func (c *Crowd) burst(ctx context.Context, clock *leapingClock) (b Burst, err error) {
	order, err := c.order()
	if err != nil {
		return b, err
	}
	for _, m := range c.nodes {
		m.notes.Begin()
	}
	clock.ahead.Add(leap.Nanoseconds())
	if err := cli.Pause(ctx, leapSettles); err != nil {
		return b, err
	}
	first, last := c.nodes[order[0]].notes, c.nodes[order[len(order)-1]].notes
	_, bytes, chunks := first.Traffic()
	came, through := first.End(), last.End()
	numbers := densest(came, burstChunks)
	if numbers == nil || chunks < 1 {
		return b, errors.New("no music caught up")
	}
	end, has := through[numbers[len(numbers)-1]]
	if !has {
		return b, fmt.Errorf("the last listener has not caught up within %v", leapSettles)
	}
	return Burst{bytes * len(numbers) / chunks, len(numbers), end.Sub(came[numbers[0]])}, nil
}

// densest returns the n chunks in a row that came within the shortest time; nil if there are not so many.
func densest(at map[uint64]time.Time, n int) (best []uint64) {
	numbers := slices.Sorted(maps.Keys(at))
	took := func(run []uint64) time.Duration { return at[run[n-1]].Sub(at[run[0]]) }
	for i := 0; i+n <= len(numbers); i++ {
		if run := numbers[i : i+n]; best == nil || took(run) < took(best) {
			best = run
		}
	}
	return best
}

// order returns the listeners in the order of the chain.
func (c *Crowd) order() (order []int, err error) {
	below := map[int]int{}
	for i, above := range c.above() {
		below[above] = i
	}
	for at, has := below[-1]; has; at, has = below[at] {
		if order = append(order, at); len(order) > len(c.nodes) {
			break
		}
	}
	if len(order) != len(c.nodes) {
		return nil, fmt.Errorf("%d of %d listeners stand in one line behind the server", len(order), len(c.nodes))
	}
	return order, nil
}
