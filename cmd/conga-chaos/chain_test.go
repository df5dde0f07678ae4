package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"conga/actors/eventlog"
	"conga/actors/relay"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

// virtualChain is the listeners of one run.
type virtualChain struct {
	t    *testing.T
	join func(n int) (*inner, *uplink, error)
	copy []eventlog.Record // of the server's log, when the run began

	mu     sync.Mutex // is never held while anything is waited for
	nodes  []*inner   // nil: it has not joined yet
	lines  []*uplink
	dead   []bool
	held   map[int]int // how many outages hold a node
	server *wire       // nil: it is down
}

// theServer is its number among the nodes.
const theServer = -1

func newVirtualChain(t *testing.T, system *actor.ActorSystem, mem *memNet, nodes int, logger *slog.Logger) *virtualChain {
	s := &virtualChain{t: t, held: map[int]int{}}
	s.join = func(n int) (*inner, *uplink, error) {
		name := schedule.Label(n + 1)
		house, line := mem.house()
		v, err := startInner(t.Context(), house, system, virtualRequests, name, logger.With("node", name))
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

func (s *virtualChain) close() {
	for _, v := range s.nodes {
		if v != nil {
			v.close()
		}
	}
}

// comes lets a listener join, which tries for as long as it takes.
func (s *virtualChain) comes() {
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
func (s *virtualChain) hit(origin *virtualServer, o outage) {
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
		s.restart(func() error { return origin.restart(context.Background(), o.lasts) }, origin)
	case "restore":
		s.restart(func() error { return origin.restore(context.Background(), o.lasts, s.copy) }, origin)
	}
}

// restart starts the server again, unless it is down. The caller holds mu.
func (s *virtualChain) restart(again func() error, origin *virtualServer) {
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
		if s.server = origin.wire; s.held[theServer] > 0 {
			s.server.freeze()
		}
	}()
}

// hold cuts the node off for a while; where two outages meet, until both are over.
// The caller holds mu.
func (s *virtualChain) hold(lasts time.Duration, n int) {
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

func (s *virtualChain) wire(n int) *wire {
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
func (s *virtualChain) places() (all []place) {
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
		live := dump.Live[relay.Actor].(relay.Live)
		all = append(all, place{schedule.Label(n + 1), live.Upstream, live.Next})
	}
	return all
}

// inLine says who feeds more than it offers.
func (s *virtualChain) inLine(offers tree) string {
	feeds, places := map[string][]string{}, s.places()
	for _, p := range places {
		feeds[p.upstream] = append(feeds[p.upstream], p.name)
	}
	for name, fed := range feeds {
		if most := max(1, offers.feed); name != messages.ServerID && len(fed) > most || len(fed) > max(most, offers.chains) {
			return fmt.Sprintf("%s feeds %v: %v", name, fed, places)
		}
	}
	return ""
}

// look says who is not on the path from the server, and who does not hear.
func (s *virtualChain) look() string {
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
