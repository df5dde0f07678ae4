package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"conga/actors"
	"conga/actors/player"
	"conga/actors/relay"
	"conga/cmd/internal/live"
	"conga/cmd/internal/node"
	"conga/cmd/internal/screen"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

// demo is a server and its listeners in one process, on free ports of the loopback
// address and with logs in memory: they leave nothing behind.
type demo struct {
	server    *node.Server
	converted string           // folder of songs, removed at the end
	listeners []*node.Listener // in the order they came; the last one is heard
	output    string           // where the last one is heard
	program   live.Programme
	pane      *screen.Pane
	mu        sync.Mutex // guards dead
	dead      map[int]bool
	system    *actor.ActorSystem // of all listeners
}

// maxConverted is how many bytes of converted songs there may be.
const maxConverted = 1 << 30

// Start starts the nodes. They run until Stop. The pane takes what happens to them.
func Start(ctx context.Context, songs, heard string, listeners int, info *slog.Logger, pane *screen.Pane) (*demo, error) {
	logger := node.OnlyWarnings(info) // the screen shows the rest
	converted, err := os.MkdirTemp("", "conga-demo-")
	if err != nil {
		return nil, err
	}
	server, err := node.StartServer(node.ServerOptions{
		Converted: converted, ConvertedMost: maxConverted, Songs: songs, Listen: "127.0.0.1:0", Data: node.MemoryData(), KeepLog: 64 << 20, Logger: logger,
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(converted))
	}
	d := &demo{server: server, converted: converted, output: heard, system: node.NewSystem(logger), pane: pane, dead: map[int]bool{}}
	for i := range listeners {
		output, news := "null", func(*messages.Playing) {}
		if i == listeners-1 {
			output, news = heard, d.program.Add
		}
		to, err := player.ParseOutput(output)
		if err != nil {
			return nil, errors.Join(err, d.Stop())
		}
		node, err := node.StartListener(ctx, node.ListenerOptions{
			Server: server.Requests.Addr().String(), Name: screen.Name(i), Listen: "127.0.0.1:0",
			Output: to, News: news, Logger: logger, System: d.system,
			Unheard: func(string) {}, // the screen shows it
		})
		if err != nil {
			return nil, errors.Join(err, d.Stop())
		}
		d.listeners = append(d.listeners, node)
	}
	return d, nil
}

// Stop ends the listeners from the tail on, so that none of them has to search for a
// new upstream, and then the server.
func (d *demo) Stop() error {
	var errs []error
	for i, node := range slices.Backward(d.listeners) {
		if !d.isDead(i) {
			errs = append(errs, node.Leave())
		}
	}
	d.system.Shutdown()
	return errors.Join(append(errs, d.server.Stop(), os.RemoveAll(d.converted))...)
}

// Source is where the screen gets the demo's state.
func (d *demo) Source(ctx context.Context) screen.Source {
	heard := d.listeners[len(d.listeners)-1].Client
	go live.Watch(ctx, d.server.Log, d.pane, d.name)
	source := screen.Source{
		Title: "this demo", Head: []string{"see and hear it in a browser: http://" + d.server.Requests.Addr().String() + "/"},
		Help: []string{
			"A server and its listeners run in this one process. The server sends the music to the first listener, each passes it on to the next, and you hear the last one.",
			"Kill one in the middle: its neighbours find each other, and you hear nothing of it.",
		},
		Snapshot: func() screen.Snapshot { return d.snapshot(ctx) },
		Ask:      live.Asking(heard),
		Search:   live.Searching(heard),
		Kill:     d.kill,
		News:     d.pane.News,
	}
	if d.output == live.Speaker || d.output == "null" {
		source.Volume = func(percent int) { heard.SetGain(live.Gain(percent)) }
	}
	return source
}

// name is the name of the listener with the id.
func (d *demo) name(id string) string {
	for _, node := range d.listeners {
		if node.Client.Node().GetId() == id {
			return node.Client.Node().GetName()
		}
	}
	return id
}

func (d *demo) isDead(i int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead[i]
}

// kill ends a listener as a crash does: it says no goodbye, and its connections end.
func (d *demo) kill(name string) string {
	for i, node := range d.listeners[:len(d.listeners)-1] { // not the last one, which people hear
		if node.Client.Node().GetName() != name || d.isDead(i) {
			continue
		}
		d.mu.Lock()
		d.dead[i] = true
		d.mu.Unlock()
		node.Client.Stop()
		_ = node.Log.Close() // in memory
		return name + " is killed; listen"
	}
	return name + " cannot be killed"
}

// lookPatience is how long a busy node may hold up the picture.
const lookPatience = time.Second

func (d *demo) snapshot(ctx context.Context) screen.Snapshot {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	now := d.listeners[len(d.listeners)-1].Client.ServerNow()
	s := d.program.At(now)
	members := map[string]screen.Member{}
	for i, node := range d.listeners {
		if d.isDead(i) {
			continue
		}
		last := i == len(d.listeners)-1
		m, out := member(ctx, node.Client)
		m.Kill = !last
		if last {
			live.Heard(&s, out, &d.program, now)
			s.Sound = live.WhereHeard(out, d.output)
			m.Speaker = s.Sound == live.Audible
		}
		members[node.Client.Node().GetId()] = m
	}
	dump, err := d.server.Server.Dump(ctx)
	if err != nil {
		return s // an actor restarts, and the next picture has the chain again
	}
	if state, ok := dump.State.(actors.ServerState); ok {
		for place := range state.ChainManager.Chain.All() {
			m, known := members[place.ID]
			if !known { // somebody from outside has joined, or it was killed just now
				m = screen.Member{Name: place.Name}
			}
			s.Chain = append(s.Chain, m)
		}
	}
	return s
}

// member is a listener of the chain, and what its player does.
func member(ctx context.Context, client *actors.Client) (m screen.Member, out player.Live) {
	m = screen.Member{Name: client.Node().GetName()}
	dump, err := client.Dump(ctx)
	if err != nil {
		return m, out // an actor restarts
	}
	if in, ok := dump.Live[relay.Actor].(relay.Live); ok {
		m.Note = fmt.Sprintf("received %d", max(0, in.Received))
	}
	if player, ok := dump.Live[player.Actor].(player.Live); ok {
		out = player
		m.Measured, m.Buffered = true, time.Duration(out.BufferedMs)*time.Millisecond
		m.Underruns = uint64(max(0, out.Underruns))
	}
	return m, out
}
