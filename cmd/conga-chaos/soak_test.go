//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/node"
	"conga/cmd/internal/why"
	"conga/messages"
	"conga/messages/raced"

	"github.com/asynkron/protoactor-go/actor"
)

var (
	soakChunks = flag.Uint64("soak.chunks", raced.Size[uint64](6000, 1500), "chunks of TestSoak, in virtual time")
	soakFor    = flag.Duration("soak.for", 0, "let TestSoak take so much real time on this machine's network instead")
)

const (
	// soakListeners stay; beside them one comes and goes.
	soakListeners = 3
	// soakLooks is how often the figures are taken, evenly spread.
	soakLooks = 48
	// soakStays is how long the one that comes and goes stays, soakAsks how often somebody asks for a song.
	soakStays, soakAsks = 10 * time.Second, 5 * time.Second
	// chunkTakes is about how long a chunk plays.
	chunkTakes = 120 * time.Millisecond
)

// A radio that runs for long needs no more than at its beginning, though songs change, guests ask for some, and a
// listener comes and goes. Its log keeps an eighth of the time; what it keeps is sound, and tells its state and its story.
func TestSoak(t *testing.T) {
	s := &soaking{t: t, songs: virtualSongs(t), data: t.TempDir(), requests: "127.0.0.1:0", takes: *soakFor}
	if s.takes > 0 {
		if s.takes < time.Minute {
			t.Fatalf("-soak.for %v: a minute at least, so that somebody comes and goes", s.takes)
		}
		s.place, s.late = loopback, true
		s.run()
		return
	}
	s.requests, s.takes = virtualRequests, time.Duration(*soakChunks)*chunkTakes
	synctest.Test(t, func(t *testing.T) {
		s.t, s.place = t, newMemNet().network
		s.run()
	})
}

// soaking is one such run.
type soaking struct {
	t              *testing.T
	songs, data    string
	place          func() network
	requests       string // where the server listens
	takes          time.Duration
	late           bool // the network takes time
	system         *actor.ActorSystem
	server         *node.Server
	stay           []*inner
	asked, visited int
}

func (s *soaking) run() {
	s.system = node.NewSystem(virtualLogger(s.t))
	defer s.system.Shutdown()
	s.serve()
	defer s.close()
	for n := range soakListeners {
		s.stay = append(s.stay, s.join(fmt.Sprint("stays", n)))
	}
	visits := s.every(soakStays, func(ctx context.Context) { s.visit(ctx) })
	asks := s.every(soakAsks, func(ctx context.Context) { s.ask(ctx) })
	var all []soakFigures
	begun := time.Now()
	for look := range soakLooks {
		time.Sleep(time.Until(begun.Add(s.takes * time.Duration(look+1) / soakLooks))) // virtual, or the real time that was asked for
		all = append(all, s.look(all))
	}
	visits()
	asks()
	s.t.Logf("%d requests, %d came and went\n%s", s.asked, s.visited, soakTable(all))
	for _, trouble := range soakGrowth(all, s.takes >= time.Hour) {
		s.t.Error(trouble)
	}
	s.receipts()
	s.log()
}

// serve starts the server, with its log on the disk.
func (s *soaking) serve() {
	logger := virtualLogger(s.t)
	data, err := node.OpenData(s.data, s.songs, logger)
	if err != nil {
		s.t.Fatal(err)
	}
	o := node.ServerOptions{Songs: s.songs, Unwatched: true, Listen: s.requests, Data: data, Keep: s.takes / 8, Logger: logger}
	if !s.late {
		o.Dial, o.Bind = s.place().dial, s.place().bind
	}
	s.server, err = node.StartServer(o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.requests = s.server.Requests.Addr().String()
}

func (s *soaking) close() {
	for _, v := range s.stay {
		v.close()
	}
	if err := s.server.Stop(); err != nil {
		s.t.Error(err)
	}
	time.Sleep(2 * time.Second) // what is under way comes to its end
}

func (s *soaking) join(name string) *inner {
	v, err := startInner(s.t.Context(), s.place(), s.system, s.requests, name, virtualLogger(s.t))
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// every does it again and again, until stop is called, which waits for its end.
func (s *soaking) every(wait time.Duration, do func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for cli.Pause(ctx, wait) == nil {
			do(ctx)
		}
	}()
	return func() { cancel(); <-done }
}

// visit lets a listener come and go.
func (s *soaking) visit(ctx context.Context) {
	v := s.join("visits")
	s.visited++
	_ = cli.Pause(ctx, soakStays) // also if the run is over: it goes
	if err := v.end(); err != nil {
		s.t.Error(err)
	}
	v.close()
}

func (s *soaking) ask(ctx context.Context) {
	s.asked++
	if _, err := s.stay[0].node.Client.Ask(ctx, "PLAY 1"); err != nil && ctx.Err() == nil {
		s.t.Error(err)
	}
}

// receipts checks that those who stayed have heard everything.
func (s *soaking) receipts() {
	for _, v := range s.stay {
		r, err := v.receipt(s.t.Context())
		if err != nil || r.Lost > 0 || r.Twice > 0 || r.Unproved > 0 || r.Lies > 0 || r.Heard == 0 || !s.late && r.Underruns > 0 {
			s.t.Errorf("%v: %+v", err, r)
		}
	}
}

// log checks what the log has kept.
func (s *soaking) log() {
	log := s.server.Log
	if log.Base() == 0 {
		s.t.Error("no event was folded")
	}
	dump, err := s.server.Server.Dump(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	state, err := actors.StateAt(log, dump.Event)
	if err != nil {
		s.t.Fatal(err)
	}
	was, is := soakJSON(s.t, state), soakJSON(s.t, dump.State)
	if !bytes.Equal(was, is) {
		s.t.Errorf("the log says\n%s\nthe server says\n%s", was, is)
	}
	if n, err := log.Verify(s.t.Context()); err != nil || n == 0 {
		s.t.Errorf("%d events are sound: %v", n, err)
	}
	since := time.Now().Add(-s.takes)
	events, begins, err := why.Gather(s.t.Context(), log, since, "visits", "")
	if err != nil {
		s.t.Fatal(err)
	}
	told, err := why.Tell(why.Story{Name: "visits", Since: since, Server: events, ServerBegins: begins, State: dump.State.(actors.ServerState)})
	if err != nil || len(told) < 2 || !begins.After(since) {
		s.t.Errorf("why tells %d lines since %v: %v", len(told), begins, err)
	}
}

func soakJSON(t *testing.T, state any) []byte {
	t.Helper()
	data, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// folderBytes is how much the files in the folder have.
func folderBytes(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error { // a file may go meanwhile
		if err != nil {
			return nil
		}
		if info, err := entry.Info(); err == nil && !entry.IsDir() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

// openFiles is how many file handles this process has; 0 where the system does not say.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// newest waits until the last listener has an item that the server has just sent, and returns how long that took.
func (s *soaking) newest() time.Duration {
	look := time.Millisecond
	if s.late {
		look = 20 * time.Microsecond // some hops take little more
	}
	last := s.stay[len(s.stay)-1].node.Client
	for sent := s.server.Server.Newest(); s.server.Server.Newest() == sent; {
		time.Sleep(look)
	}
	begun, sent := time.Now(), s.server.Server.Newest()
	for last.Newest() < sent && time.Since(begun) < messages.Slack {
		time.Sleep(look)
	}
	return time.Since(begun)
}

// latency is the median of some tries.
func (s *soaking) latency() time.Duration {
	var all []time.Duration
	for range 5 {
		all = append(all, s.newest())
	}
	slices.Sort(all)
	return all[len(all)/2]
}
