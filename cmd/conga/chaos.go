package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"conga/actors/catalog"
	"conga/cmd/conga/internal/cables"
)

type chaosCmd struct {
	Nodes     int           `default:"20" placeholder:"N" help:"How many listeners (${default})."`
	Processes int           `default:"2" placeholder:"N" help:"How many of the listeners are processes of their own and get real signals; the others share this process (${default})."`
	Failures  int           `default:"100" placeholder:"N" help:"How many failures (${default})."`
	Seed      uint64        `default:"1" placeholder:"N" help:"The same seed gives the same schedule (${default})."`
	Time      time.Duration `placeholder:"TIME" help:"Time for all failures together (0.3 s each)."`
	Kinds     []string      `placeholder:"KIND,..." help:"Only these failures: ${usual} (all of these). Or long ones: ${outages}, or outages, which is these four with kill and server."`
	Longest   time.Duration `default:"60s" placeholder:"TIME" help:"Longest outage (${default})."`
	Spin      int           `placeholder:"N" help:"Keep the processor busy with N other processes (none)."`
	Songs     string        `default:"songs" placeholder:"DIR" help:"Folder of mp3 files (${default})."`
	DryRun    bool          `help:"Print the schedule and stop."`
	Log       string        `placeholder:"FILE" help:"Write the messages of all nodes to this file."`
}

// Help shows examples.
func (chaosCmd) Help() string {
	return `It runs a server and listeners on this machine. It kills, freezes and stops listeners, one by
one, several neighbours or half of them at once; it pulls cables and makes them slow; it kills
the server and starts it again. At the end it compares every receipt with what the server sent.
It fails if a listener that was not hit lost an item, got one twice, or had nothing to play in time.

Outages last longer than the music in the listeners' buffers: the server stands still or its
cable is out, all cables are out, listeners sleep, two neighbours have slow lines. Most of them
silence the music, and that is no failure. But five seconds after the last outage everyone must
hear again, in time and on a path from the server, and must have lost nothing that any node still had.

The cables are Linux network namespaces. They need root, or unshare --user --map-root-user.
Without them conga leaves these failures out and says so.

` + examples(
		"conga chaos", "a hundred failures in half a minute",
		"conga chaos --nodes 200 --failures 1000 --seed 2", "the full test, five minutes",
		"conga chaos --kinds server --failures 10 --time 40s", "only the server suffers",
		"conga chaos --kinds outages --failures 12 --longest 10m", "long outages, up to ten minutes each",
		"conga chaos --spin 2", "while two other programs keep the processor busy",
		"conga chaos --seed 7 --dry-run", "print the schedule only",
	)
}

// paceOfBlows is the usual time for one failure.
const paceOfBlows = 300 * time.Millisecond

// plan is the schedule's plan.
func (c *chaosCmd) plan() plan {
	p := plan{nodes: c.Nodes, failures: c.Failures, over: c.Time, seed: c.Seed, longest: c.Longest}
	if p.over == 0 {
		p.over = time.Duration(c.Failures) * paceOfBlows
	}
	for _, kind := range c.Kinds {
		if kind == allOutages {
			p.kinds = append(p.kinds, append(kindsIn(outages), failureKill, failureServer)...)
		} else {
			p.kinds = append(p.kinds, failure(kind))
		}
	}
	if len(c.Kinds) == 0 {
		p.kinds = kindsIn(usual)
	}
	return p
}

// allOutages stands for all outages in --kinds, and for what may fall into them.
const allOutages = "outages"

// Validate refuses what cannot be run.
func (c *chaosCmd) Validate() error {
	p := c.plan()
	for _, kind := range p.kinds {
		switch {
		case !slices.Contains(kindsIn(slices.Concat(usual, outages)), kind):
			return fmt.Errorf("--kinds %s is not one of %s, %s, %s", kind, list(usual), list(outages), allOutages)
		case p.lasting() && kind.hurts() && !kind.outage():
			return fmt.Errorf("--kinds %s cannot be mixed with outages: use asleep, dark or slowpair, which are like it and last longer", kind)
		}
	}
	switch {
	case p.lasting() && c.Time != 0:
		return errors.New("--time cannot be used with outages: --longest says how long each lasts at most")
	case p.lasting() && (c.Longest < shortestLongest || c.Longest > longestLongest):
		return fmt.Errorf("--longest %v: from %v to %v", c.Longest, shortestLongest, longestLongest)
	case c.Spin < 0 || c.Spin > 1000:
		return fmt.Errorf("--spin %d: at most 1000", c.Spin)
	case c.Nodes < 2 || c.Nodes > 1000:
		return fmt.Errorf("--nodes %d: from 2 to 1000", c.Nodes)
	case c.Failures < 1 || c.Failures > 1_000_000:
		return fmt.Errorf("--failures %d: from 1 to 1000000", c.Failures)
	case c.Time < 0:
		return fmt.Errorf("--time %v: it must not be negative", c.Time)
	case c.Processes < 0 || c.Processes > c.Nodes:
		return fmt.Errorf("--processes %d: at most as many as --nodes", c.Processes)
	}
	return nil
}

// Run does it, prints the table, and fails if anybody's receipt is not whole.
func (c *chaosCmd) Run(ctx context.Context, streams *streams) error {
	if !canFreeze && !c.DryRun {
		return errors.New("this system cannot stop a process for a while: conga chaos runs on Linux, macOS and the BSDs; --dry-run shows the schedule")
	}
	acts := c.plan().schedule()
	if c.DryRun {
		for _, act := range acts {
			fmt.Fprintln(streams.out, act)
		}
		return nil
	}
	if err := catalog.HasSong(c.Songs); err != nil { // else all hear nothing, and minutes pass until that is said
		return err
	}
	logs, closeLogs, err := c.logs()
	if err != nil {
		return err
	}
	data, err := os.MkdirTemp("", "conga-chaos")
	if err != nil {
		return errors.Join(fmt.Errorf("make a folder for the server's log: %w", err), closeLogs())
	}
	say := func(format string, args ...any) { fmt.Fprintf(streams.err, format+"\n", args...) }
	defer debug.SetGCPercent(debug.SetGCPercent(rarely))
	calm, err := spin(c.Spin)
	if err != nil {
		return errors.Join(err, os.RemoveAll(data), closeLogs())
	}
	defer calm()
	result, err := c.perform(ctx, acts, data, logs, say)
	err = errors.Join(err, os.RemoveAll(data), closeLogs())
	if err != nil {
		return err
	}
	fmt.Fprintf(streams.out, "seed %d: %d listeners, %d failures\n\n", c.Seed, c.Nodes, c.Failures)
	result.show(streams.out)
	if len(result.bad) > 0 {
		return fmt.Errorf("%d promises were broken (lines BAD above); --seed %d repeats the schedule, --log FILE tells more", len(result.bad), c.Seed)
	}
	return nil
}

// mostCables is how many listeners can have one: the system's table of neighbours has room
// for a thousand entries, of which each takes two.
const mostCables = 400

// places returns where the server and the listeners may stand, and the acts that are possible
// there: each has a cable of its own, if one is asked for and can be had.
func places(acts []act, nodes int, say func(string, ...any)) (place func() (network, error), possible []act, done func() error) {
	here := func() (network, error) { return loopback(), nil }
	cabled := act.cabled
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

// uncabled are the acts that take no cable. A server of which it were to be pulled stands still.
func uncabled(acts []act) (possible []act) {
	for _, act := range acts {
		if act.cable = false; !act.cabled() {
			possible = append(possible, act)
		}
	}
	return possible
}

// perform runs the schedule against real nodes.
func (c *chaosCmd) perform(ctx context.Context, acts []act, data string, logs io.Writer, say func(string, ...any)) (result *outcome, err error) {
	place, acts, done := places(acts, c.Nodes, say)
	defer func() { err = errors.Join(err, done()) }()
	studio, err := place()
	if err != nil {
		return nil, err
	}
	server, err := startStudio(ctx, studio, c.Songs, data, logs)
	if err != nil {
		return nil, err
	}
	defer server.close()
	logger := newLogger(logs)
	system := newSystem(logger)
	defer system.Shutdown()
	processes := map[string]bool{}
	for n := 1; n <= c.Processes; n++ {
		processes[nodeLabel(n*c.Nodes/c.Processes)] = true // all along the chain
	}
	a := &experiment{
		acts: acts, nodes: c.Nodes, server: server, place: place, say: say,
		spawn: func(ctx context.Context, n network, name string) (target, error) {
			if processes[name] {
				return startOuter(ctx, n, logs, "join", server.requests(), "--name", name, "--output", "none",
					"--listen", n.addr+":0", "--http", n.addr+":0", "--data", noData)
			}
			return startInner(ctx, n, system, server.requests(), name, logger.With("node", name))
		},
	}
	return a.run(ctx)
}

// rarely is how much more memory than is in use may be taken, in per cent, before it is
// collected: hundreds of listeners share one collector here, and each would wait for it.
const rarely = 400

// logs is where the nodes write: a file, or nowhere.
func (c *chaosCmd) logs() (w io.Writer, done func() error, err error) {
	if c.Log == "" {
		return io.Discard, func() error { return nil }, nil
	}
	file, err := os.Create(c.Log)
	if err != nil {
		return nil, nil, fmt.Errorf("write the log: %w", err)
	}
	return &oneByOne{w: file}, file.Close, nil
}

// oneByOne lets many write to one.
type oneByOne struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *oneByOne) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}
