package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"conga/actors/eventlog"
	"conga/actors/pacer"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/congatest"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/node"
	"conga/messages"
)

// virtualServer is a server in virtual time, whose log outlives it.
type virtualServer struct {
	mem     *memNet
	options node.ServerOptions
	store   *lasting
	slacks  []time.Duration
	starts  int

	mu    turn
	wire  *wire
	on    *node.Server
	known []messages.SongSum
}

// turn is a mutex that may be held while virtual time passes: the bubble's clock does not wait for who waits for it.
type turn chan struct{}

func (t turn) Lock()   { t <- struct{}{} }
func (t turn) Unlock() { <-t }

// lasting is a store that outlives its server.
type lasting struct{ eventlog.Store }

func (lasting) Close() error { return nil }

// virtualRequests is where it listens; the stream is on the port after it.
const virtualRequests = "127.0.0.1:7000"

func newVirtualServer(t *testing.T, a *memNet, songs string, logger *slog.Logger, slacks ...time.Duration) *virtualServer {
	t.Helper()
	s := &virtualServer{mem: a, store: &lasting{eventlog.NewMemory()}, slacks: slacks, mu: make(turn, 1)}
	s.options = node.ServerOptions{
		Songs: songs, Unwatched: true, // no virtual clock waits for who watches a folder
		Past: 1, Listen: virtualRequests, Data: node.Data{Key: keys.New()}, Chains: a.offers.chains, ChainsAtMost: a.offers.most, Limits: a.limits, Logger: logger,
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *virtualServer) start() (err error) {
	s.wire = newWire(s.mem.network())
	o := s.options
	if n := len(s.slacks); n > 0 {
		o.Slack = s.slacks[s.starts%n]
		s.starts++
	}
	o.Data.Store, o.Dial, o.Bind = s.store, s.wire.dial, s.wire.bind
	s.on, err = node.StartServer(o)
	return err
}

func (s *virtualServer) stop() {
	s.wire.cut()
	_ = s.on.Stop()
}

func (s *virtualServer) restart(ctx context.Context, wait time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember()
	s.stop()
	if err := cli.Pause(ctx, wait); err != nil {
		return err
	}
	return s.start()
}

// records is a copy of the log.
func (s *virtualServer) records() (all []eventlog.Record) {
	for record, err := range s.on.Log.Since(0) {
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
	s.store = &lasting{eventlog.NewMemory()}
	log, err := eventlog.Open(s.store, time.Now)
	if err != nil {
		return err
	}
	for _, record := range records {
		if _, err := log.Append(log.Last(), record.Actor, nil, record.Event); err != nil {
			return err
		}
	}
	if err := errors.Join(log.Close(), cli.Pause(ctx, wait)); err != nil {
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
	dump, err := s.on.Server.Dump(context.Background())
	if err != nil {
		return // as if it was not asked in time
	}
	live, _ := dump.Live[pacer.Actor].(pacer.Live)
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
	time.Sleep(2 * time.Second) // virtual: what is under way comes to its end
}

// virtualSongs is a folder with songs of some four seconds: they end while their listeners live.
func virtualSongs(t *testing.T) (dir string) {
	songs := map[string]congatest.Cut{}
	for name, song := range congatest.Short {
		song.N = 150
		songs[name] = song
	}
	return congatest.Songs(t, songs)
}
