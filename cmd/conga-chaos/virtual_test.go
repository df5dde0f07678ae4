package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
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

	"conga/actors/chainmanager"
	"conga/actors/eventlog"
	"conga/actors/pacer"
	"conga/actors/scheduler"
	"conga/actors/window"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/congatest"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/node"
	"conga/messages"
	"conga/transport"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// The deterministic run's plan; a failing one is told as these flags.
var (
	virtualSeed     = flag.Uint64("chaos.seed", 1, "seed of TestChaos_VirtualTime")
	virtualNodes    = flag.Int("chaos.nodes", 10, "listeners of TestChaos_VirtualTime")
	virtualFailures = flag.Int("chaos.failures", 60, "failures of TestChaos_VirtualTime")
	virtualLog      = flag.String("chaos.log", "", "write what the nodes of TestChaos_VirtualTime say to this file")
)

// airStudio is a server in virtual time: the real actors and ports, but for the catalog,
// whose watch on a folder no virtual clock waits for.
type airStudio struct {
	air    *air
	log    *eventlog.Log
	songs  map[string][]byte
	key    ed25519.PrivateKey
	logger *slog.Logger

	mu     sync.Mutex
	wire   *wire
	system *actor.ActorSystem
	roots  []*actor.PID
	window *window.Window
	known  []messages.SongSum
}

// airRequests is where it listens; the stream is on the port after it.
const airRequests = "127.0.0.1:7000"

func newAirStudio(t *testing.T, a *air, songs map[string][]byte, logger *slog.Logger) *airStudio {
	t.Helper()
	log, err := eventlog.Open(eventlog.NewMemory(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for name, frames := range songs {
		song := congatest.Short[name]
		rate := int32(44100)
		if song.From == "beethoven.mp3" {
			rate = 48000
		}
		added := &messages.SongAdded{Song: &messages.Song{
			Name: name, SampleRate: rate, Frames: int64(virtualSongFrames), FileBytes: int64(len(frames)),
		}}
		if _, err := log.Append(log.Last(), "catalog", nil, added); err != nil {
			t.Fatal(err)
		}
	}
	s := &airStudio{air: a, log: log, songs: songs, key: keys.New(), logger: logger}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *airStudio) start() error {
	s.wire = newWire(s.air.network())
	requests, err := s.wire.bind(airRequests)
	if err != nil {
		return err
	}
	stream, err := s.wire.bind("127.0.0.1:7001")
	if err != nil {
		return err
	}
	opening, err := eventlog.NewKeeper(s.log, "pacer", pacer.State{})
	if err != nil {
		return err
	}
	if _, err := opening.Commit(&messages.OpenBroadcast{AtUnixUs: time.Now().UnixMicro()}); err != nil {
		return err
	}
	epoch := opening.State().Epoch
	secure, err := transport.ServerTLS(s.key)
	if err != nil {
		return err
	}
	s.system, s.window, s.roots = node.NewSystem(s.logger), window.New(), nil
	of := func(name string) *actor.PID { return s.system.NewLocalPID(name) }
	publish := func(proto.Message) {}
	w, members := s.window, transport.NewExpected()
	for _, child := range []struct {
		name  string
		props *actor.Props
	}{
		{"catalog", actor.PropsFromFunc(s.catalog)},
		{"scheduler", scheduler.Props(scheduler.Config{Log: s.log, Publish: publish})},
		{"chainmanager", chainmanager.Props(chainmanager.Config{
			Log: s.log, Publish: publish, Links: func() *actor.PID { return of("requests") },
			Key: s.key.Public().(ed25519.PublicKey), Now: time.Now, Members: members.Members,
		})},
		{"pacer", pacer.Props(pacer.Config{
			Log: s.log, Window: w, Key: s.key, Publish: publish, Now: time.Now, Logger: s.logger,
			Sent:      func() (bytes, chunks int64) { return 0, 0 },
			Scheduler: func() *actor.PID { return of("scheduler") }, Catalog: func() *actor.PID { return of("catalog") },
			Open: func(name string) (pacer.File, error) {
				return pacer.File{ReadCloser: io.NopCloser(bytes.NewReader(s.songs[name])), Bytes: int64(len(s.songs[name]))}, nil
			},
		})},
		{"streams", transport.Streams(transport.StreamsConfig{
			Listener: stream, Owner: of("chainmanager"), Expected: members, Epoch: func() uint64 { return epoch },
			Newest: func() uint64 { return max(w.Next(), 1) - 1 },
			Self:   func() *messages.Node { return &messages.Node{Id: messages.ServerID, Name: messages.ServerID} },
			Open: func(open *messages.OpenStream) (transport.Cursor, error) {
				if open.GetNext() > 0 {
					return w.Open(open.GetNext()), nil
				}
				return w.OpenAt(open.GetPlayAtUnixUs()), nil
			},
		})},
		{"requests", transport.Requests(transport.RequestsConfig{
			Listener: requests, Catalog: of("catalog"), Scheduler: of("scheduler"), Chain: of("chainmanager"), Now: time.Now,
			Dial: s.wire.dial, TLS: secure,
			Follows: func(song uint64, playAt int64) bool {
				return opening.CatchUp() == nil && opening.State().Follows(song, playAt)
			},
		})},
	} {
		pid, err := s.system.Root.SpawnNamed(child.props, child.name)
		if err != nil {
			return err
		}
		s.roots = append(s.roots, pid)
	}
	return nil
}

func (s *airStudio) catalog(ctx actor.Context) {
	if find, is := ctx.Message().(*messages.FindSong); is {
		for _, record := range s.all() {
			if added, is := record.(*messages.SongAdded); is && added.GetSong().GetName() == find.Name {
				ctx.Respond(&messages.FoundSong{Song: added.GetSong()})
			}
		}
	}
}

func (s *airStudio) all() (events []proto.Message) {
	for record, err := range s.log.Since(0) {
		if err != nil || len(events) >= len(s.songs) {
			break
		}
		events = append(events, record.Event)
	}
	return events
}

func (s *airStudio) requests() string { return airRequests }

func (s *airStudio) stop() {
	s.wire.cut()
	for _, pid := range slices.Backward(s.roots) {
		_ = s.system.Root.StopFuture(pid).Wait()
	}
	s.system.Shutdown()
	s.window.Close()
}

func (s *airStudio) restart(ctx context.Context, wait time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember()
	s.stop()
	if err := pause(ctx, wait); err != nil {
		return err
	}
	return s.start()
}

// records is a copy of the log.
func (s *airStudio) records() (all []eventlog.Record) {
	for record, err := range s.log.Since(0) {
		if err != nil {
			break
		}
		all = append(all, record)
	}
	return all
}

// restore restarts the server with a copy of its log.
func (s *airStudio) restore(ctx context.Context, wait time.Duration, records []eventlog.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember()
	s.stop()
	_ = s.log.Close()
	log, err := eventlog.Open(eventlog.NewMemory(), time.Now)
	if err != nil {
		return err
	}
	for _, record := range records {
		if _, err := log.Append(log.Last(), record.Actor, nil, record.Event); err != nil {
			return err
		}
	}
	s.log = log
	if err := pause(ctx, wait); err != nil {
		return err
	}
	return s.start()
}

func (s *airStudio) freeze(context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wire.freeze()
}

func (s *airStudio) thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wire.thaw()
}

func (s *airStudio) place() network { return network{} }

func (s *airStudio) remember() {
	reply := make(chan messages.View, 1)
	s.system.Root.Send(s.system.NewLocalPID("pacer"), &messages.Look{Reply: reply})
	live, _ := (<-reply).Live.(pacer.Live)
	for _, song := range live.Songs {
		if !slices.Contains(s.known, song) {
			s.known = append(s.known, song)
		}
	}
}

func (s *airStudio) sent(context.Context) ([]messages.SongSum, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember()
	return slices.Clone(s.known), nil
}

func (s *airStudio) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	_ = s.log.Close()
	time.Sleep(2 * time.Second) // virtual: what is under way comes to its end
}

// virtualSongFrames is some four seconds: songs end while their listeners live.
const virtualSongFrames = 150

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

func virtualPlan() schedule.Plan {
	return schedule.Plan{
		Nodes: *virtualNodes, Failures: *virtualFailures, Seed: *virtualSeed, Kinds: slices.DeleteFunc(schedule.KindsIn(schedule.Usual), schedule.Kind.Cabled),
		Over: time.Duration(*virtualFailures) * paceOfBlows,
	}
}

// virtually runs the plan in virtual time.
func virtually(t *testing.T, p schedule.Plan, weather func() time.Duration) (result *outcome) {
	songs := map[string][]byte{}
	for name, song := range congatest.Short {
		song.N = virtualSongFrames
		songs[name] = song.Frames(t)
	}
	logs := io.Discard
	if *virtualLog != "" {
		file, err := os.Create(*virtualLog)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		logs = file
	}
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		logger := slog.New(slog.NewTextHandler(&oneByOne{w: logs}, &slog.HandlerOptions{Level: slog.LevelDebug}))
		air := newAir()
		air.weather = weather
		studio := newAirStudio(t, air, songs, logger.With("node", "server"))
		defer studio.close()
		system := node.NewSystem(logger)
		defer system.Shutdown()
		a := &experiment{
			acts: uncabled(p.Acts()), nodes: p.Nodes, server: studio, say: t.Logf,
			place: func() (network, error) { return air.network(), nil },
			spawn: func(ctx context.Context, n network, name string) (target, error) {
				return startInner(ctx, n, system, airRequests, name, logger.With("node", name))
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
