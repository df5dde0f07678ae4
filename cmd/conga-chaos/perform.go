package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"conga/cmd/conga-chaos/internal/cables"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/node"
)

// mostCables is how many listeners can have a cable: the system's neighbour table has room
// for a thousand entries, and each needs two.
const mostCables = 400

// places returns where the server and the listeners run, and the acts that are possible there.
// Each has its own cable, if that is wanted and possible.
func places(acts []schedule.Act, nodes int, say func(string, ...any)) (place func() (network, error), possible []schedule.Act, done func() error) {
	here := func() (network, error) { return loopback(), nil }
	cabled := schedule.Act.Cabled
	if !slices.ContainsFunc(acts, cabled) {
		return here, acts, func() error { return nil }
	}
	router, err := (*cables.Router)(nil), fmt.Errorf("there are at most %d", mostCables)
	if nodes <= mostCables {
		router, err = cables.New()
	}
	if err != nil {
		all := len(acts)
		acts = uncabled(acts)
		say("%d failures are left out, since there are no cables: %v", all-len(acts), err)
		return here, acts, func() error { return nil }
	}
	return func() (network, error) { return wired(router) }, acts, router.Close
}

// uncabled returns the acts that need no cable. Instead of losing its cable, the server is frozen.
func uncabled(acts []schedule.Act) (possible []schedule.Act) {
	for _, act := range acts {
		if act.Cable = false; !act.Cabled() {
			possible = append(possible, act)
		}
	}
	return possible
}

// perform runs the schedule against real nodes.
func (c *chaosCmd) perform(ctx context.Context, acts []schedule.Act, programs nodePrograms, data string, say func(string, ...any)) (result *outcome, err error) {
	place, acts, done := places(acts, c.Nodes, say)
	defer func() { err = errors.Join(err, done()) }()
	spot, err := place()
	if err != nil {
		return nil, err
	}
	server, err := startServerProcess(ctx, spot, programs, c.Songs, data)
	if err != nil {
		return nil, err
	}
	defer server.close()
	logger := cli.NewLogger(programs.logs)
	system := node.NewSystem(logger)
	defer system.Shutdown()
	processes := map[string]bool{}
	for n := 1; n <= c.Processes; n++ {
		processes[schedule.Label(n*c.Nodes/c.Processes)] = true // all along the chain
	}
	a := &experiment{
		acts: acts, nodes: c.Nodes, server: server, place: place, say: say,
		spawn: func(ctx context.Context, n network, name string) (target, error) {
			if processes[name] {
				return programs.start(ctx, n, "join", server.addr, "--name", name, "--output", "none",
					"--listen", n.addr+":0", "--http", n.addr+":0", "--data", node.NoData)
			}
			return startInner(ctx, n, system, server.addr, name, logger.With("node", name))
		},
	}
	return a.run(ctx)
}

// rarely is the garbage collector's GOGC: hundreds of listeners share it here, and each would wait
// for it.
const rarely = 400

// openLogs returns where the processes write their logs: a file, or nowhere.
func openLogs(name string) (w io.Writer, done func() error, err error) {
	if name == "" {
		return io.Discard, func() error { return nil }, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, nil, fmt.Errorf("write the log: %w", err)
	}
	return &oneByOne{w: file}, file.Close, nil
}

// oneByOne is a writer for many goroutines.
type oneByOne struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *oneByOne) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}
