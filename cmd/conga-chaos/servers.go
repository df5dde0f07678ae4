package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"conga/actors/catalog"
	"conga/cmd/conga-chaos/internal/cables"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/node"
	"conga/messages"
)

type serversCmd struct {
	Nodes     int           `default:"50" placeholder:"N" help:"How many listeners (${default})."`
	Processes int           `default:"2" placeholder:"N" help:"How many of the listeners are processes of their own; the others share this process (${default})."`
	Times     int           `default:"10" placeholder:"N" help:"How often each failure happens (${default})."`
	Kinds     []string      `placeholder:"KIND,..." help:"Only these failures: ${faults} (all of these)."`
	Seed      uint64        `default:"1" placeholder:"N" help:"The same seed gives the same order (${default})."`
	Slack     time.Duration `default:"4s" placeholder:"TIME" help:"The servers' --slack (${default})."`
	Songs     string        `default:"songs" placeholder:"DIR" help:"Folder of mp3 files (${default})."`
	OwnSongs  bool          `help:"Both servers have the songs; else the second one has none, and fetches them from the first through NATS."`
	Conga     string        `placeholder:"FILE" help:"The conga to try (the one beside this program, or else the one in PATH)."`
	NATS      string        `name:"nats-server" placeholder:"FILE" help:"The nats-server to run (the one beside this program, or else the one in PATH)."`
	Log       string        `placeholder:"FILE" help:"Write the messages of all processes to this file."`
}

// Help shows examples.
func (serversCmd) Help() string {
	return `It runs three servers of NATS, two servers of one radio whose log they keep, and listeners. The second server has no
songs: it plays what it fetches from NATS. Again and again it

    kill    kills the server that leads,
    freeze  stops it for longer than its lease,
    nats    kills a server of NATS, in turn,
    log     kills the one that leads the log's stream,
    stall   stops a server of NATS for longer than the lease, in turn,
    pull    pulls the cable of a server of NATS, in turn,
    cut     cuts the server that leads off from NATS, until the other one leads,
    brief   cuts it off for less than its lease,
    narrow  cuts it off while the other one reaches a single server of NATS only,

and mends that. All the time a guest asks for songs. It fails if a listener lost an item, got one twice, or had
nothing to play in time; if a server gave out an item after the other had begun to; if another server did not
take over, or did though it need not; and if a request was acknowledged and is not in the log at the end.

To cut something off takes Linux network namespaces: root, or unshare --user --map-root-user. Without them
conga-chaos leaves these failures out and says so. make servers builds a nats-server, too.

` + cli.Examples(
		"conga-chaos servers", "each failure ten times, with fifty listeners",
		"conga-chaos servers --kinds kill,log --times 3 --nodes 10", "a few",
	)
}

// mostMemberNodes is how many listeners there can be: each has a cable, as the servers have.
const mostMemberNodes = mostCables - 10

// Validate refuses what cannot be run.
func (c *serversCmd) Validate() error {
	for _, kind := range c.Kinds {
		if !slices.Contains(faults, fault(kind)) {
			return fmt.Errorf("--kinds %s is not one of %s", kind, faultNames())
		}
	}
	switch {
	case c.Nodes < 2 || c.Nodes > mostMemberNodes:
		return fmt.Errorf("--nodes %d: from 2 to %d", c.Nodes, mostMemberNodes)
	case c.Processes < 0 || c.Processes >= c.Nodes:
		return fmt.Errorf("--processes %d: fewer than --nodes", c.Processes)
	case c.Times < 1 || c.Times > 10_000:
		return fmt.Errorf("--times %d: from 1 to 10000", c.Times)
	case c.Slack > messages.MaxSlack:
		return fmt.Errorf("--slack %v: at most %v", c.Slack, messages.MaxSlack)
	}
	_, err := node.LeaseFor(c.Slack)
	return err
}

func faultNames() string {
	var all []string
	for _, f := range faults {
		all = append(all, string(f))
	}
	return strings.Join(all, ", ")
}

// faults are those to happen, in the seed's order.
func (c *serversCmd) faults() (all []fault) {
	for _, f := range faults {
		if len(c.Kinds) == 0 || slices.Contains(c.Kinds, string(f)) {
			all = append(all, slices.Repeat([]fault{f}, c.Times)...)
		}
	}
	rand.New(rand.NewPCG(c.Seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// Run runs it, prints the table, and fails if a promise was broken.
func (c *serversCmd) Run(ctx context.Context, streams *cli.Streams) error {
	if !canFreeze {
		return errors.New("this system cannot stop a process for a while: conga-chaos runs on Linux, macOS and the BSDs")
	}
	if err := catalog.HasSong(c.Songs); err != nil {
		return err
	}
	conga, err := findProgram("conga", "--conga", c.Conga)
	if err != nil {
		return err
	}
	server, err := findProgram("nats-server", "--nats-server", c.NATS)
	if err != nil {
		return err
	}
	logs, closeLogs, err := openLogs(c.Log)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "conga-chaos")
	if err != nil {
		return errors.Join(fmt.Errorf("make a folder for the logs: %w", err), closeLogs())
	}
	defer debug.SetGCPercent(debug.SetGCPercent(rarely))
	say := func(format string, args ...any) { fmt.Fprintf(streams.Err, format+"\n", args...) }
	result, err := c.perform(ctx, nodePrograms{conga, logs}, nodePrograms{server, logs}, dir, say)
	err = errors.Join(err, os.RemoveAll(dir), closeLogs())
	if err != nil {
		return err
	}
	fmt.Fprintf(streams.Out, "seed %d: %d listeners, slack %v\n\n", c.Seed, c.Nodes, c.Slack)
	result.show(streams.Out)
	if bad := result.bad(); len(bad) > 0 {
		return fmt.Errorf("%d promises were broken (lines BAD above); --log FILE tells more", len(bad))
	}
	return nil
}

// spots returns places, with cables if that is wanted and possible, and the faults that are possible there.
func spots(all []fault, say func(string, ...any)) (place func() (network, error), possible []fault, done func() error) {
	here := func() (network, error) { return loopback(), nil }
	nothing := func() error { return nil }
	if !slices.ContainsFunc(all, fault.cabled) {
		return here, all, nothing
	}
	router, err := cables.New()
	if err != nil {
		possible = slices.DeleteFunc(slices.Clone(all), fault.cabled)
		say("%d failures are left out, since there are no cables: %v", len(all)-len(possible), err)
		return here, possible, nothing
	}
	return func() (network, error) { return wired(router) }, all, router.Close
}

// perform runs the faults against real processes, whose data is below dir.
func (c *serversCmd) perform(ctx context.Context, programs, nats nodePrograms, dir string, say func(string, ...any)) (v *verdict, err error) {
	place, all, done := spots(c.faults(), say)
	defer func() { err = errors.Join(err, done()) }()
	t := &trial{tap: newTap()}
	if t.lease, err = node.LeaseFor(c.Slack); err != nil {
		return nil, err
	}
	if t.nats, err = startNATS(ctx, 3, nats, place, dir); err != nil {
		return nil, err
	}
	defer t.nats.close()
	if t.stations, err = newStations(programs, c.Songs, !c.OwnSongs, t.nats.url(), c.Slack, place, dir); err != nil {
		return nil, err
	}
	defer t.stations.close()
	for i, st := range t.stations.all {
		t.tap.ports[st.stream] = i
		if err := t.stations.start(ctx, i); err != nil {
			return nil, err
		}
		if _, err := t.stations.leader(ctx, -1, takesOverWithin); err != nil {
			return nil, err
		}
	}
	if err := t.stations.stocked(ctx); err != nil {
		return nil, err
	}
	logger := cli.NewLogger(programs.logs)
	system := node.NewSystem(logger)
	defer system.Shutdown()
	t.experiment = &experiment{nodes: c.Nodes, place: place, say: say}
	t.prepare()
	processes := c.processes()
	t.spawn = func(ctx context.Context, n network, name string) (target, error) {
		server := t.stations.all[len(name)%2].addr // one of them leads to both
		if processes[name] {
			return programs.start(ctx, n, "join", server, "--name", name, "--output", "none",
				"--listen", n.addr+":0", "--http", n.addr+":0", "--data", node.NoData)
		}
		return startInner(ctx, t.tap.on(n), system, server, name, logger.With("node", name))
	}
	defer t.closeAll()
	t.assemble(ctx)
	say("%d listeners, %d failures", c.Nodes, len(all))
	spot, err := place()
	if err != nil {
		return nil, err
	}
	g, err := c.whileAsking(ctx, spot, t, all)
	if err != nil {
		return nil, err
	}
	t.lastLook(ctx)
	t.stations.remember(ctx)
	t.stations.close() // what is in the log now has to last
	log, err := queuedIn(programs, spot, t.nats.url(), dir)
	if err != nil {
		return nil, err
	}
	return t.verdict(g, log), nil
}

// whileAsking carries out the faults while a guest asks for songs.
func (c *serversCmd) whileAsking(ctx context.Context, spot network, t *trial, all []fault) (*guest, error) {
	mp3s, _ := filepath.Glob(filepath.Join(c.Songs, "*.mp3"))
	g := &guest{net: spot, servers: []string{t.stations.all[0].addr, t.stations.all[1].addr}, songs: max(1, len(mp3s))}
	asks, enough := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { g.run(asks, rand.New(rand.NewPCG(c.Seed, 1))) })
	err := t.run(ctx, all)
	enough()
	wg.Wait()
	return g, err
}

// processes are the listeners that are processes, all along the chain.
func (c *serversCmd) processes() map[string]bool {
	all := map[string]bool{}
	for n := 1; n <= c.Processes; n++ {
		all[schedule.Label(n*c.Nodes/c.Processes)] = true
	}
	return all
}
