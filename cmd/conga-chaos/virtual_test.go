package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/node"
	"conga/messages"
	"conga/messages/raced"
)

// The deterministic run's plan; a failing one is told as these flags.
var (
	virtualSeed     = flag.Uint64("chaos.seed", 1, "seed of TestChaos_VirtualTime")
	virtualNodes    = flag.Int("chaos.nodes", raced.Size(10, 6), "listeners of TestChaos_VirtualTime")
	virtualFailures = flag.Int("chaos.failures", raced.Size(60, 20), "failures of TestChaos_VirtualTime")
	virtualLog      = flag.String("chaos.log", "", "write what the nodes of TestChaos_VirtualTime say to this file")
)

// Hundreds of failures in virtual time, where nothing takes time but what waits: whoever
// was not hit has heard everything, once and in time. The computer's load changes nothing.
func TestChaos_VirtualTime(t *testing.T) {
	p := virtualPlan()
	result := virtually(t, p, nil)
	if len(result.bad) > 0 {
		t.Errorf("%d troubles; once more: go test -run VirtualTime ./cmd/conga-chaos -chaos.seed %d -chaos.nodes %d -chaos.failures %d",
			len(result.bad), p.Seed, p.Nodes, p.Failures)
	}
	if result.total.songs == 0 {
		t.Error("no song was compared with the server's")
	}
}

// Everything comes late, by seconds at times, and out of step: a machine or a network that
// is too busy. Then music comes too late; but nobody is called a liar for that, and nothing
// comes twice or without a proof.
func TestChaos_BadWeather(t *testing.T) {
	p := virtualPlan()
	var mu sync.Mutex
	chance := rand.New(rand.NewPCG(p.Seed, 0xbad))
	result := virtually(t, p, func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		if chance.IntN(20) > 0 {
			return 0
		}
		return min(time.Duration(chance.ExpFloat64()*float64(400*time.Millisecond)), 3*time.Second)
	})
	if r := result.total; r.lies > 0 || r.twice > 0 || r.unproved > 0 || r.heard == 0 {
		t.Error("once more: go test -run BadWeather ./cmd/conga-chaos -chaos.seed", p.Seed)
	}
}

// Outages of up to ten minutes, into which other failures fall.
func TestChaos_VirtualOutages(t *testing.T) {
	p := virtualPlan()
	p.Kinds, p.Failures = []schedule.Kind{schedule.Away, schedule.Asleep, schedule.Kill, schedule.Neighbours, schedule.Server}, *virtualFailures/10
	p.Longest = schedule.LongestLongest
	result := virtually(t, p, nil)
	if len(result.bad) > 0 || len(result.recoveries) == 0 {
		t.Errorf("%d troubles; once more: go test -run VirtualOutages ./cmd/conga-chaos -chaos.seed %d -chaos.nodes %d -chaos.failures %d",
			len(result.bad), p.Seed, p.Nodes, *virtualFailures)
	}
}

// With the least slack, too, nobody hears it when a node dies, with or without a word, or when several do at once.
func TestChaos_LeastSlack(t *testing.T) {
	p := virtualPlan()
	p.Kinds = []schedule.Kind{schedule.Kill, schedule.End, schedule.Neighbours, schedule.Freeze}
	result := virtually(t, p, nil, messages.MinSlack)
	if len(result.bad) > 0 || result.total.songs == 0 {
		t.Errorf("%d troubles; once more: go test -run LeastSlack ./cmd/conga-chaos -chaos.seed %d -chaos.nodes %d -chaos.failures %d",
			len(result.bad), p.Seed, p.Nodes, p.Failures)
	}
}

// The server is started again and again with another slack, while listeners come and go. Nobody hears that either.
func TestChaos_SlackChanges(t *testing.T) {
	p := virtualPlan()
	p.Kinds = []schedule.Kind{schedule.Kill, schedule.End, schedule.Server, schedule.Server}
	result := virtually(t, p, nil, messages.Slack, messages.MaxSlack, 3*time.Second)
	if len(result.bad) > 0 || result.total.songs == 0 {
		t.Errorf("%d troubles; once more: go test -run SlackChanges ./cmd/conga-chaos -chaos.seed %d -chaos.nodes %d -chaos.failures %d",
			len(result.bad), p.Seed, p.Nodes, p.Failures)
	}
}

// The chain is a tree: it branches at the server and at each listener. Whoever is below one that dies, alone or beside
// others, hears nothing of it.
func TestChaos_Branches(t *testing.T) {
	p := virtualPlan()
	p.Nodes = raced.Size(20, 8)
	mem := newMemNet()
	mem.offers = tree{chains: 2, feed: 2}
	result := virtuallyIn(t, mem, p, p.Acts(), func(string, *memNet, *virtualServer) {})
	if len(result.bad) > 0 || result.total.songs == 0 {
		t.Errorf("%d troubles; once more: go test -run Branches ./cmd/conga-chaos -chaos.seed %d -chaos.failures %d", len(result.bad), p.Seed, p.Failures)
	}
}

func virtualPlan() schedule.Plan {
	return schedule.Plan{
		Nodes: *virtualNodes, Failures: *virtualFailures, Seed: *virtualSeed, Kinds: slices.DeleteFunc(schedule.KindsIn(schedule.Usual), schedule.Kind.Cabled),
		Over: time.Duration(*virtualFailures) * usualPace,
	}
}

// virtualLogger is where the nodes write.
func virtualLogger(t *testing.T) *slog.Logger {
	logs := io.Discard
	if *virtualLog != "" {
		file, err := os.Create(*virtualLog)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		logs = file
	}
	return slog.New(slog.NewTextHandler(&oneByOne{w: logs}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// virtually runs the plan in virtual time. The server has one of the slacks after the other, a new one at each start; none:
// the usual one.
func virtually(t *testing.T, p schedule.Plan, weather func() time.Duration, slacks ...time.Duration) (result *outcome) {
	return virtuallySeen(t, p, p.Acts(), weather, func(string, *memNet, *virtualServer) {}, slacks...)
}

// virtuallySeen is virtually with these acts, and seen is told what the run says of itself, as it does.
func virtuallySeen(t *testing.T, p schedule.Plan, acts []schedule.Act, weather func() time.Duration, seen func(string, *memNet, *virtualServer), slacks ...time.Duration) (result *outcome) {
	mem := newMemNet()
	mem.weather = weather
	return virtuallyIn(t, mem, p, acts, seen, slacks...)
}

// virtuallyIn is virtuallySeen in this network.
func virtuallyIn(t *testing.T, mem *memNet, p schedule.Plan, acts []schedule.Act, seen func(string, *memNet, *virtualServer), slacks ...time.Duration) (result *outcome) {
	songs, began := virtualSongs(t), time.Now()
	synctest.Test(t, func(t *testing.T) {
		logger := virtualLogger(t)
		origin := newVirtualServer(t, mem, songs, logger.With("node", "server"), slacks...)
		defer origin.close()
		system := node.NewSystem(logger)
		defer system.Shutdown()
		a := &experiment{
			acts: uncabled(acts), nodes: p.Nodes, server: origin,
			say:   func(format string, args ...any) { t.Logf(format, args...); seen(format, mem, origin) },
			place: func() (network, error) { return mem.network(), nil },
			spawn: func(ctx context.Context, n network, name string) (target, error) {
				return startInner(ctx, n, system, virtualRequests, name, logger.With("node", name))
			},
		}
		var err error
		result, err = a.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var table bytes.Buffer
		result.show(&table)
		t.Log("\n" + table.String())
	})
	t.Logf("took %v", time.Since(began).Round(time.Millisecond))
	return result
}
