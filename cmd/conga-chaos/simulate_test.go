package main

import (
	"bytes"
	"flag"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/conga-chaos/internal/simulate"
	"conga/messages"
	"conga/messages/raced"
	"conga/transport"
)

// How large the comparison is. results/README.md has larger ones.
var (
	comparedNodes    = flag.Int("simulate.nodes", raced.Size(30, 10), "listeners of TestSimulate_AsReal")
	comparedTakes    = flag.Duration("simulate.takes", 5*time.Millisecond, "how long a message takes in TestSimulate_AsReal")
	comparedFailures = flag.Int("simulate.failures", raced.Size(60, 20), "failures of TestSimulate_AsReal")
	comparedKinds    = flag.String("simulate.kinds", "kill,end,neighbours,freeze", "kinds of failures of TestSimulate_AsReal")
)

// fewOfAddress is how many listeners a server with the usual limits takes from one address. For more the test's has those of
// conga-chaos.
const fewOfAddress = 200

func comparedLimits() transport.Limits {
	if *comparedNodes <= fewOfAddress {
		return transport.DefaultLimits
	}
	return transport.Limits{PerAddress: mostOfAddress, Listeners: mostOfAddress, Requests: manyRequests}
}

// seenOf is what both runs are compared by.
type seenOf struct {
	order          []int // in which the first listeners came: they start together
	splices, moves int
	music          float64 // that the server gives out, kbit/s
	searches       map[schedule.Kind][]time.Duration
	control        float64 // bytes a second for each listener, both ways
	margin         float64 // the least, in milliseconds
}

// The simulation gives the figures of the real thing, where both can run: all of conga, actors and connections, in virtual
// time, with the same failures of the same listeners, over a network on which each write takes some milliseconds.
func TestSimulate_AsReal(t *testing.T) {
	plan := schedule.Plan{
		Nodes: *comparedNodes, Failures: *comparedFailures, Seed: *virtualSeed, Over: time.Duration(*comparedFailures) * usualPace,
	}
	for _, kind := range strings.Split(*comparedKinds, ",") {
		plan.Kinds = append(plan.Kinds, schedule.Kind(kind))
	}
	acts := plan.Acts()
	for i := range acts {
		if acts[i].Kind == schedule.Freeze { // for good
			acts[i].Lasts = acts[len(acts)-1].At - acts[i].At + time.Second
		}
	}
	takes := *comparedTakes
	real := runReally(t, plan, acts, takes)
	found, err := simulate.Run(t.Context(), simulate.Plan{
		Nodes: plan.Nodes, Acts: acts, Order: real.order, OneAddress: true, Requests: comparedLimits().Requests, Settle: schedule.Settling, Seed: 1, Stay: time.Hour,
		Hop: takes, Uplinks: []int{0}, Bitrate: 128, Song: 3900 * time.Millisecond, For: acts[len(acts)-1].At + time.Second,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	within := func(what string, real, simulated, few float64) {
		t.Logf("%-26s real %8.1f, simulated %8.1f", what, real, simulated)
		if math.Abs(real-simulated) > few+0.1*real {
			t.Errorf("%s: the simulation says %.1f, it is %.1f", what, simulated, real)
		}
	}
	const few = 3 // which of several does it first is decided anew in each real run
	within("splices by the server", float64(real.splices), float64(found.Splices), few)
	within("moves", float64(real.moves), float64(found.Moves), few)
	within("least margin, ms", real.margin, found.MarginLeast, 20)
	within("server's music, kbit/s", real.music, found.ServerUpload, 0)
	within("control, bytes/s/node", real.control, found.NodeControl*found.Listeners/float64(plan.Nodes), 0)
	for _, kind := range plan.Kinds {
		was, is := real.searches[kind], found.Searched[kind]
		if kind == schedule.Freeze { // whose searches the real run counts from the last byte
			continue
		}
		within(string(kind)+": searches", float64(len(was)), float64(len(is)), few)
		within(string(kind)+": p50, ms", milliseconds(was, 50), milliseconds(is, 50), 5)
		within(string(kind)+": p99, ms", milliseconds(was, 99), milliseconds(is, 99), 30)
	}
}

func milliseconds(took []time.Duration, p int) float64 {
	return float64(percentile(took, p).Microseconds()) / 1000
}

// runReally runs all of conga.
func runReally(t *testing.T, plan schedule.Plan, acts []schedule.Act, takes time.Duration) (s seenOf) {
	var bytesAt, musicAt int64
	var began time.Time
	var splices, moves int
	count := func(server *virtualServer) (splices, moves int) {
		for _, record := range server.records() {
			switch record.Event.(type) {
			case *messages.ChainSpliced:
				splices++
			case *messages.ListenerMoved:
				moves++
			}
		}
		return splices, moves
	}
	mem := newMemNet()
	mem.weather, mem.limits = func() time.Duration { return takes }, comparedLimits()
	result := virtuallyIn(t, mem, plan, acts, func(said string, mem *memNet, server *virtualServer) {
		switch {
		case strings.HasPrefix(said, "%d listeners after"):
			bytesAt, musicAt, began = mem.bytes(7000).Load(), mem.bytes(7001).Load(), time.Now()
			s.order = cameInOrder(t, server)
			splices, moves = count(server)
		case strings.HasPrefix(said, "all failures after"):
			lasted := time.Since(began).Seconds()
			s.control = float64(mem.bytes(7000).Load()-bytesAt) / lasted / float64(plan.Nodes)
			s.music = float64(mem.bytes(7001).Load()-musicAt) * 8 / 1000 / lasted
			s.splices, s.moves = count(server)
			s.splices, s.moves = s.splices-splices, s.moves-moves
		}
	})
	if len(result.bad) > 0 {
		t.Errorf("the real run: %v", result.bad)
	}
	s.searches = result.splices
	if result.total.margin != nil {
		s.margin = *result.total.margin
	}
	return s
}

// cameInOrder returns the numbers of those that have come so far.
func cameInOrder(t *testing.T, server *virtualServer) (order []int) {
	for _, record := range server.records() {
		if joined, is := record.Event.(*messages.ListenerJoined); is {
			n, err := strconv.Atoi(strings.TrimPrefix(joined.GetNode().GetName(), "n"))
			if err != nil {
				t.Fatal(err)
			}
			order = append(order, n)
		}
	}
	return order
}

func TestSimulate_Command(t *testing.T) {
	file := filepath.Join(t.TempDir(), "two.json")
	var out, picture, progress bytes.Buffer
	code := chaosProgram().Run(t.Context(), []string{"simulate", "--nodes", "20,40", "--for", "20s", "--json", file}, strings.NewReader(""), &out, &progress)
	if code != 0 || !strings.Contains(out.String(), "splices / moves") || !strings.Contains(out.String(), "100000  ") {
		t.Errorf("exit %d: %s%s", code, progress.String(), out.String())
	}
	code = chaosProgram().Run(t.Context(), []string{"plot", file}, strings.NewReader(""), &picture, &progress)
	if code != 0 || strings.Count(picture.String(), ">two</text>") < len(drawn)/2 {
		t.Errorf("exit %d: %s%s", code, progress.String(), picture.String())
	}
}
