package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"conga/actors/catalog"
	"conga/actors/chainmanager"
	"conga/actors/eventlog"
	"conga/actors/pacer"
	onair "conga/actors/pacer/place"
	"conga/actors/scheduler"
	"conga/actors/window"
	"conga/cmd/internal/congatest"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/node"
	"conga/messages"
	"conga/transport"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// virtualServer is a server in virtual time: the real actors and ports, but for the catalog,
// whose watch on a folder no virtual clock waits for.
type virtualServer struct {
	mem    *memNet
	log    *eventlog.Log
	songs  map[string][]byte
	key    ed25519.PrivateKey
	logger *slog.Logger

	mu      sync.Mutex
	wire    *wire
	system  *actor.ActorSystem
	roots   []*actor.PID
	window  *window.Window
	members *transport.Expected
	known   []messages.SongSum
}

// virtualRequests is where it listens; the stream is on the port after it.
const virtualRequests = "127.0.0.1:7000"

func newVirtualServer(t *testing.T, a *memNet, songs map[string][]byte, logger *slog.Logger) *virtualServer {
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
		if _, err := log.Append(log.Last(), catalog.Actor, nil, added); err != nil {
			t.Fatal(err)
		}
	}
	s := &virtualServer{mem: a, log: log, songs: songs, key: keys.New(), logger: logger}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *virtualServer) start() error {
	s.wire = newWire(s.mem.network())
	requests, err := s.wire.bind(virtualRequests)
	if err != nil {
		return err
	}
	stream, err := s.wire.bind("127.0.0.1:7001")
	if err != nil {
		return err
	}
	opening, err := eventlog.NewKeeper(s.log, pacer.Actor, onair.State{})
	if err != nil {
		return err
	}
	if _, err := opening.Commit(&messages.OpenBroadcast{AtUnixUs: time.Now().UnixMicro()}); err != nil {
		return err
	}
	secure, err := transport.ServerTLS(s.key, nil)
	if err != nil {
		return err
	}
	s.system, s.window, s.roots = node.NewSystem(s.logger), window.New(), nil
	for _, child := range slices.Concat(s.deciders(), s.ports(requests, stream, opening, secure)) {
		pid, err := s.system.Root.SpawnNamed(child.props, child.name)
		if err != nil {
			return err
		}
		s.roots = append(s.roots, pid)
	}
	return nil
}

// root is an actor of the virtual server.
type root struct {
	name  string
	props *actor.Props
}

func (s *virtualServer) of(name string) *actor.PID { return s.system.NewLocalPID(name) }

func (s *virtualServer) deciders() []root {
	publish := func(proto.Message) {}
	s.members = transport.NewExpected()
	return []root{
		{catalog.Actor, actor.PropsFromFunc(s.catalog)},
		{scheduler.Actor, scheduler.Props(scheduler.Config{Log: s.log, Publish: publish})},
		{chainmanager.Actor, chainmanager.Props(chainmanager.Config{
			Log: s.log, Links: func() *actor.PID { return s.of("requests") },
			Key: s.key.Public().(ed25519.PublicKey), Now: time.Now, Members: s.members.Members,
		})},
		{pacer.Actor, pacer.Props(pacer.Config{
			Log: s.log, Window: s.window, Key: s.key, Publish: publish, Now: time.Now, Logger: s.logger,
			Sent:      func() (bytes, chunks int64) { return 0, 0 },
			Scheduler: func() *actor.PID { return s.of(scheduler.Actor) }, Catalog: func() *actor.PID { return s.of(catalog.Actor) },
			Open: func(name, _, _ string) (pacer.File, error) {
				return pacer.File{ReadCloser: io.NopCloser(bytes.NewReader(s.songs[name])), Bytes: int64(len(s.songs[name]))}, nil
			},
		})},
	}
}

func (s *virtualServer) ports(requests, stream net.Listener, opening *eventlog.Keeper[onair.State], secure *tls.Config) []root {
	epoch := opening.State().Epoch
	return []root{
		{"streams", transport.Streams(transport.StreamsConfig{
			Listener: stream, Owner: s.of(chainmanager.Actor), Expected: s.members, Epoch: func() uint64 { return epoch },
			Newest: func() uint64 { return max(s.window.Next(), 1) - 1 },
			Self:   func() *messages.Node { return &messages.Node{Id: messages.ServerID, Name: messages.ServerID} },
			Open: func(open *messages.OpenStream) (transport.Cursor, error) {
				if open.GetNext() > 0 {
					return s.window.Open(open.GetNext()), nil
				}
				return s.window.OpenAt(open.GetPlayAtUnixUs()), nil
			},
		})},
		{"requests", transport.Requests(transport.RequestsConfig{
			Listener: requests, Catalog: s.of(catalog.Actor), Scheduler: s.of(scheduler.Actor), Chain: s.of(chainmanager.Actor), Now: time.Now,
			Dial: s.wire.dial, TLS: secure,
			Follows: func(song uint64, playAt int64) bool {
				return opening.CatchUp() == nil && opening.State().Follows(song, playAt)
			},
		})},
	}
}

func (s *virtualServer) catalog(ctx actor.Context) {
	if find, is := ctx.Message().(*messages.FindSong); is {
		for _, record := range s.all() {
			if added, is := record.(*messages.SongAdded); is && added.GetSong().GetName() == find.Name {
				ctx.Respond(&messages.FoundSong{Song: added.GetSong()})
			}
		}
	}
}

func (s *virtualServer) all() (events []proto.Message) {
	for record, err := range s.log.Since(0) {
		if err != nil || len(events) >= len(s.songs) {
			break
		}
		events = append(events, record.Event)
	}
	return events
}

func (s *virtualServer) stop() {
	s.wire.cut()
	for _, pid := range slices.Backward(s.roots) {
		_ = s.system.Root.StopFuture(pid).Wait()
	}
	s.system.Shutdown()
	s.window.Close()
}

func (s *virtualServer) restart(ctx context.Context, wait time.Duration) error {
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
func (s *virtualServer) records() (all []eventlog.Record) {
	for record, err := range s.log.Since(0) {
		if err != nil {
			break
		}
		all = append(all, record)
	}
	return all
}

// restore restarts the server with a copy of its log.
func (s *virtualServer) restore(ctx context.Context, wait time.Duration, records []eventlog.Record) error {
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

func (s *virtualServer) freeze(context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wire.freeze()
}

func (s *virtualServer) thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wire.thaw()
}

func (s *virtualServer) place() network { return network{} }

func (s *virtualServer) remember() {
	reply := make(chan messages.View, 1)
	s.system.Root.Send(s.system.NewLocalPID(pacer.Actor), &messages.Look{Reply: reply})
	live, _ := (<-reply).Live.(pacer.Live)
	for _, song := range live.Songs {
		if !slices.Contains(s.known, song) {
			s.known = append(s.known, song)
		}
	}
}

func (s *virtualServer) sent(context.Context) ([]messages.SongSum, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember()
	return slices.Clone(s.known), nil
}

func (s *virtualServer) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	_ = s.log.Close()
	time.Sleep(2 * time.Second) // virtual: what is under way comes to its end
}

// virtualSongFrames is some four seconds: songs end while their listeners live.
const virtualSongFrames = 150

func virtualSongs(t *testing.T) map[string][]byte {
	songs := map[string][]byte{}
	for name, song := range congatest.Short {
		song.N = virtualSongFrames
		songs[name] = song.Frames(t)
	}
	return songs
}
