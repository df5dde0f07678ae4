package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/eventlog"
	"conga/actors/relay"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/congatest"
	"conga/cmd/internal/node"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"
)

// pathMore takes minutes.
var pathMore = flag.Bool("path.more", false, "in TestChain_Property_Path listeners come and go, too, uplinks are slow and logs restored; and in the end each feeds one")

// outage is a failure that lasts: whom it hits cannot be reached and reaches nobody.
type outage struct {
	at, lasts time.Duration
	kind      string // server, node, all, slow (a node's uplink); kill, end, join, restart, restore happen at once, but for the server's wait
	node      int
}

func (o outage) String() string {
	return fmt.Sprintf("%v %s %d for %v", o.at, o.kind, o.node, o.lasts)
}

// drawOutages is a storm of a few failures, any of them at any time, over each other too.
func drawOutages(t *rapid.T, nodes int) (all []outage) {
	kinds := []string{"server", "server", "node", "all", "kill", "restart"}
	if *pathMore {
		kinds = append(kinds, "end", "join", "join", "restore", "slow", "slow")
	}
	for range rapid.IntRange(1, 4).Draw(t, "failures") {
		o := outage{
			at:   time.Duration(rapid.IntRange(0, 20_000).Draw(t, "at")) * time.Millisecond,
			kind: rapid.SampledFrom(kinds).Draw(t, "kind"),
			node: rapid.IntRange(0, nodes-1).Draw(t, "node"),
		}
		most := rapid.SampledFrom([]int{1_000, 8_000, 30_000, 30_000, 120_000}).Draw(t, "most")
		o.lasts = time.Duration(rapid.IntRange(50, most).Draw(t, "lasts")) * time.Millisecond
		all = append(all, o)
	}
	slices.SortStableFunc(all, func(a, b outage) int { return int(a.at - b.at) })
	return all
}

// Five seconds after the last failure, whatever it was and however long it took, who feeds
// whom is a path from the server, and everybody hears in time.
func TestChain_Property_Path(t *testing.T) {
	songs := virtualSongs(t)
	rapid.Check(t, func(rt *rapid.T) {
		nodes := rapid.IntRange(1, 5).Draw(rt, "nodes")
		outages := drawOutages(rt, nodes)
		if trouble := storm(t, songs, nodes, outages, rt.Logf); trouble != "" {
			rt.Fatalf("%v: %s", outages, trouble)
		}
	})
}

// Two hundred of one address, whose server is away for longer than its window is: when it comes back
// all turn to it at once, and though they are one house, each hears in time.
func TestChain_House(t *testing.T) {
	away := outage{at: 3 * time.Second, kind: "server", lasts: 20 * time.Second}
	if trouble := storm(t, virtualSongs(t), 200, []outage{away}, t.Logf); trouble != "" {
		t.Error(trouble)
	}
}

func virtualSongs(t *testing.T) map[string][]byte {
	songs := map[string][]byte{}
	for name, song := range congatest.Short {
		song.N = virtualSongFrames
		songs[name] = song.Frames(t)
	}
	return songs
}

// inLineWithin is how long after that each node feeds at most one: those who were asked in need
// are let go. A first choice that was in vain several times is tried again after 160 s at the latest.
const inLineWithin = 3 * time.Minute

// storm lets the failures happen to a chain in virtual time and says what is wrong with it
// afterwards.
func storm(t *testing.T, songs map[string][]byte, nodes int, outages []outage, say func(string, ...any)) (trouble string) {
	synctest.Test(t, func(t *testing.T) {
		var logs io.Writer = io.Discard
		if *virtualLog != "" {
			file, err := os.Create(*virtualLog)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			logs = file
		}
		logger := slog.New(slog.NewTextHandler(&oneByOne{w: logs}, &slog.HandlerOptions{Level: slog.LevelDebug}))
		air := newAir()
		studio := newAirStudio(t, air, songs, logger.With("node", "server"))
		defer studio.close()
		system := node.NewSystem(logger)
		defer system.Shutdown()
		chain := newSquad(t, system, air, nodes, logger)
		defer chain.close()
		chain.copy = studio.records()
		chain.server = studio.wire
		time.Sleep(schedule.Settling)
		begin, last := time.Now(), time.Time{}
		for _, o := range outages {
			if end := begin.Add(o.at + o.lasts); end.After(last) {
				last = end
			}
			time.AfterFunc(o.at, func() { chain.hit(studio, o) })
		}
		time.Sleep(time.Until(last) + schedule.MendedWithin)
		if trouble = chain.look(); trouble == "" && *pathMore {
			time.Sleep(inLineWithin)
			trouble = chain.inLine()
		}
	})
	return trouble
}

// squad is the listeners of a storm.
type squad struct {
	t    *testing.T
	join func(n int) (*inner, *uplink, error)
	copy []eventlog.Record // of the server's log, when the storm began

	mu     sync.Mutex // is never held while anything is waited for
	nodes  []*inner   // nil: it has not joined yet
	lines  []*uplink
	dead   []bool
	held   map[int]int // how many outages hold a node
	server *wire       // nil: it is down
}

// theServer is its number among the nodes.
const theServer = -1

func newSquad(t *testing.T, system *actor.ActorSystem, air *air, nodes int, logger *slog.Logger) *squad {
	s := &squad{t: t, held: map[int]int{}}
	s.join = func(n int) (*inner, *uplink, error) {
		name := schedule.Label(n + 1)
		house, line := air.house()
		v, err := startInner(t.Context(), house, system, airRequests, name, logger.With("node", name))
		return v, line, err
	}
	for n := range nodes {
		v, line, err := s.join(n)
		if err != nil {
			t.Fatal(err)
		}
		s.nodes, s.lines, s.dead = append(s.nodes, v), append(s.lines, line), append(s.dead, false)
	}
	return s
}

func (s *squad) close() {
	for _, v := range s.nodes {
		if v != nil {
			v.close()
		}
	}
}

// comes lets a listener join, which tries for as long as it takes.
func (s *squad) comes() {
	n := len(s.nodes)
	s.nodes, s.lines, s.dead = append(s.nodes, nil), append(s.lines, nil), append(s.dead, false)
	go func() {
		for s.t.Context().Err() == nil {
			if v, line, err := s.join(n); err == nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.nodes[n], s.lines[n] = v, line; s.held[n] > 0 {
					v.freeze()
				}
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
}

// hit lets one failure begin, and end after its time.
func (s *squad) hit(studio *airStudio, o outage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch o.kind {
	case "server":
		s.hold(o.lasts, theServer)
	case "node":
		s.hold(o.lasts, o.node)
	case "all":
		s.hold(o.lasts, theServer)
		for n := range s.nodes {
			s.hold(o.lasts, n)
		}
	case "slow":
		line := s.lines[o.node]
		line.slow(slowCable)
		time.AfterFunc(o.lasts, func() { line.slow(0) })
	case "kill", "end":
		if v := s.nodes[o.node]; !s.dead[o.node] {
			if s.dead[o.node] = true; o.kind == "kill" {
				v.kill()
			} else {
				go func() { _ = v.end() }() // it may be cut off, and then has nobody to take leave of
			}
		}
	case "join":
		s.comes()
	case "restart":
		s.restart(func() error { return studio.restart(context.Background(), o.lasts) }, studio)
	case "restore":
		s.restart(func() error { return studio.restore(context.Background(), o.lasts, s.copy) }, studio)
	}
}

// restart starts the server again, unless it is down. The caller holds mu.
func (s *squad) restart(again func() error, studio *airStudio) {
	if s.server == nil {
		return
	}
	s.server = nil
	go func() {
		if err := again(); err != nil {
			s.t.Error(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.server = studio.wire; s.held[theServer] > 0 {
			s.server.freeze()
		}
	}()
}

// hold cuts the node off for a while; where two outages meet, until both are over.
// The caller holds mu.
func (s *squad) hold(lasts time.Duration, n int) {
	set := func(hold bool) {
		switch wire := s.wire(n); {
		case wire == nil:
		case hold:
			wire.freeze()
		default:
			wire.thaw()
		}
	}
	if s.held[n]++; s.held[n] == 1 {
		set(true)
	}
	time.AfterFunc(lasts, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.held[n]--; s.held[n] == 0 {
			set(false)
		}
	})
}

func (s *squad) wire(n int) *wire {
	switch {
	case n == theServer:
		return s.server
	case s.dead[n] || s.nodes[n] == nil:
		return nil
	}
	return s.nodes[n].wire
}

// place is whom a listener hears, and how far it is.
type place struct {
	name, upstream string
	heard          uint64
}

// places is where those are who live.
func (s *squad) places() (all []place) {
	s.mu.Lock()
	dead, nodes := slices.Clone(s.dead), slices.Clone(s.nodes)
	s.mu.Unlock()
	for n, v := range nodes {
		if dead[n] {
			continue
		}
		if v == nil {
			all = append(all, place{name: schedule.Label(n + 1)})
			continue
		}
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		dump, err := v.node.Client.Dump(ctx)
		cancel()
		if err != nil {
			s.t.Error(err)
			continue
		}
		live := dump.Live["relay"].(relay.Live)
		all = append(all, place{schedule.Label(n + 1), live.Upstream, live.Next})
	}
	return all
}

// inLine says who feeds two, which would be a tree and no chain.
func (s *squad) inLine() string {
	feeds, places := map[string][]string{}, s.places()
	for _, p := range places {
		feeds[p.upstream] = append(feeds[p.upstream], p.name)
	}
	for name, fed := range feeds {
		if len(fed) > 1 {
			return fmt.Sprintf("%s feeds %v: %v", name, fed, places)
		}
	}
	return ""
}

// look says who is not on the path from the server, and who does not hear.
func (s *squad) look() string {
	before := s.places()
	time.Sleep(messages.Slack / 2)
	var trouble []string
	above := map[string]string{}
	for _, p := range before {
		above[p.name] = p.upstream
	}
	for i, p := range s.places() {
		if p.heard < before[i].heard+5 {
			trouble = append(trouble, fmt.Sprintf("%s below %q hears %d items in a second", p.name, p.upstream, p.heard-before[i].heard))
		}
		at, steps := p.name, 0
		for ; at != messages.ServerID && at != "" && steps <= len(before); steps++ {
			at = above[at]
		}
		if at != messages.ServerID {
			trouble = append(trouble, fmt.Sprintf("%s is on no path: %v", p.name, above))
		}
	}
	return strings.Join(trouble, "; ")
}
