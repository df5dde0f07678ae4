package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"conga/actors/catalog"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/cli"

	"github.com/alecthomas/kong"
)

func main() {
	if spins(os.Args) {
		spinUntilEnd(os.Stdin)
		return
	}
	chaosProgram().Main(os.Args[1:])
}

func chaosProgram() cli.Program {
	return cli.Program{
		Name: "conga-chaos", Grammar: &chaosGrammar{},
		About: "Kill, freeze and restart nodes of conga, and see that nobody else hears it.",
		Words: kong.Vars{"usual": schedule.List(schedule.Usual), "outages": schedule.List(schedule.Outages), "faults": faultNames()},
	}
}

type chaosGrammar struct {
	Run      chaosCmd    `cmd:"" default:"withargs" help:"Run a server and listeners, and break them."`
	Plot     plotCmd     `cmd:"" help:"Draw simulations."`
	Servers  serversCmd  `cmd:"" help:"Run a radio with two servers and a log on NATS, and break these."`
	Simulate simulateCmd `cmd:"" help:"Simulate a radio with thousands of listeners."`
}

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
	Conga     string        `placeholder:"FILE" help:"The conga to try (the one beside this program, or else the one in PATH)."`
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
Without them conga-chaos leaves these failures out and says so.

` + cli.Examples(
		"conga-chaos", "a hundred failures in half a minute",
		"conga-chaos --nodes 200 --failures 1000 --seed 2", "the full test, five minutes",
		"conga-chaos --kinds server --failures 10 --time 40s", "only the server suffers",
		"conga-chaos --kinds outages --failures 12 --longest 10m", "long outages, up to ten minutes each",
		"conga-chaos --spin 2", "while two other programs keep the processor busy",
		"conga-chaos --seed 7 --dry-run", "print the schedule only",
	)
}

// usualPace is the usual time for one failure.
const usualPace = 300 * time.Millisecond

// plan is the schedule's plan.
func (c *chaosCmd) plan() schedule.Plan {
	p := schedule.Plan{Nodes: c.Nodes, Failures: c.Failures, Over: c.Time, Seed: c.Seed, Longest: c.Longest}
	if p.Over == 0 {
		p.Over = time.Duration(c.Failures) * usualPace
	}
	for _, kind := range c.Kinds {
		if kind == allOutages {
			p.Kinds = append(p.Kinds, append(schedule.KindsIn(schedule.Outages), schedule.Kill, schedule.Server)...)
		} else {
			p.Kinds = append(p.Kinds, schedule.Kind(kind))
		}
	}
	if len(c.Kinds) == 0 {
		p.Kinds = schedule.KindsIn(schedule.Usual)
	}
	return p
}

// mostNodes is how many listeners a run may have: they are all on this machine.
const mostNodes = 5000

// allOutages, in --kinds, means all outages and the failures that may happen during them.
const allOutages = "outages"

// Validate refuses a schedule that cannot be run.
func (c *chaosCmd) Validate() error {
	p := c.plan()
	for _, kind := range p.Kinds {
		switch {
		case !slices.Contains(schedule.KindsIn(slices.Concat(schedule.Usual, schedule.Outages)), kind):
			return fmt.Errorf("--kinds %s is not one of %s, %s, %s", kind, schedule.List(schedule.Usual), schedule.List(schedule.Outages), allOutages)
		case p.Lasting() && kind.Hurts() && !kind.Outage():
			return fmt.Errorf("--kinds %s cannot be mixed with outages: use asleep, dark or slowpair, which are like it and last longer", kind)
		}
	}
	switch {
	case p.Lasting() && c.Time != 0:
		return errors.New("--time cannot be used with outages: --longest says how long each lasts at most")
	case p.Lasting() && (c.Longest < schedule.ShortestLongest || c.Longest > schedule.LongestLongest):
		return fmt.Errorf("--longest %v: from %v to %v", c.Longest, schedule.ShortestLongest, schedule.LongestLongest)
	case c.Spin < 0 || c.Spin > 1000:
		return fmt.Errorf("--spin %d: at most 1000", c.Spin)
	case c.Nodes < 2 || c.Nodes > mostNodes:
		return fmt.Errorf("--nodes %d: from 2 to %d", c.Nodes, mostNodes)
	case c.Failures < 1 || c.Failures > 1_000_000:
		return fmt.Errorf("--failures %d: from 1 to 1000000", c.Failures)
	case c.Time < 0:
		return fmt.Errorf("--time %v: it must not be negative", c.Time)
	case c.Processes < 0 || c.Processes > c.Nodes:
		return fmt.Errorf("--processes %d: at most as many as --nodes", c.Processes)
	}
	return nil
}

// Run runs the schedule, prints the table, and fails if a receipt lacks anything.
func (c *chaosCmd) Run(ctx context.Context, streams *cli.Streams) error {
	if !canFreeze && !c.DryRun {
		return errors.New("this system cannot stop a process for a while: conga-chaos runs on Linux, macOS and the BSDs; --dry-run shows the schedule")
	}
	acts := c.plan().Acts()
	if c.DryRun {
		for _, act := range acts {
			fmt.Fprintln(streams.Out, act)
		}
		return nil
	}
	if err := catalog.HasSong(c.Songs); err != nil { // else all hear nothing, and minutes pass until that is said
		return err
	}
	program, err := findProgram("conga", "--conga", c.Conga)
	if err != nil {
		return err
	}
	logs, closeLogs, err := openLogs(c.Log)
	if err != nil {
		return err
	}
	data, err := os.MkdirTemp("", "conga-chaos")
	if err != nil {
		return errors.Join(fmt.Errorf("make a folder for the server's log: %w", err), closeLogs())
	}
	say := func(format string, args ...any) { fmt.Fprintf(streams.Err, format+"\n", args...) }
	defer debug.SetGCPercent(debug.SetGCPercent(rarely))
	calm, err := spin(c.Spin)
	if err != nil {
		return errors.Join(err, os.RemoveAll(data), closeLogs())
	}
	defer calm()
	result, err := c.perform(ctx, acts, nodePrograms{program, logs}, data, say)
	err = errors.Join(err, os.RemoveAll(data), closeLogs())
	if err != nil {
		return err
	}
	fmt.Fprintf(streams.Out, "seed %d: %d listeners, %d failures\n\n", c.Seed, c.Nodes, c.Failures)
	result.show(streams.Out)
	if len(result.bad) > 0 {
		return fmt.Errorf("%d promises were broken (lines BAD above); --seed %d repeats the schedule, --log FILE tells more", len(result.bad), c.Seed)
	}
	return nil
}
