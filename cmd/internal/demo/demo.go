package demo

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"conga/actors"
	"conga/actors/player"
	"conga/actors/relay"
	"conga/cmd/internal/node"
	"conga/cmd/internal/screen"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

// demo is a server and its listeners in one process, on free ports of the loopback
// address and with logs in memory: they leave nothing behind.
type demo struct {
	server    *node.Server
	listeners []*node.Listener // in the order they came; the last one is heard
	output    string           // there
	program   programme
	system    *actor.ActorSystem // of all listeners
}

// Start starts the nodes. They run until stop.
func Start(ctx context.Context, songs, heard string, listeners int, info *slog.Logger) (*demo, error) {
	logger := node.OnlyWarnings(info) // the screen tells the rest
	server, err := node.StartServer(node.ServerOptions{
		Songs: songs, Listen: "127.0.0.1:0", Data: node.MemoryData(), KeepLog: 64 << 20, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	d := &demo{server: server, output: heard, system: node.NewSystem(logger)}
	for i := range listeners {
		output, news := "null", func(*messages.Playing) {}
		if i == listeners-1 {
			output, news = heard, d.program.add
		}
		to, err := player.ParseOutput(output)
		if err != nil {
			return nil, errors.Join(err, d.Stop())
		}
		node, err := node.StartListener(ctx, node.ListenerOptions{
			Server: server.Requests.Addr().String(), Name: screen.Name(i), Listen: "127.0.0.1:0",
			Output: to, News: news, Logger: logger, System: d.system,
			Unheard: func(string) {}, // the screen says it
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
	for _, node := range slices.Backward(d.listeners) {
		errs = append(errs, node.Leave())
	}
	d.system.Shutdown()
	return errors.Join(append(errs, d.server.Stop())...)
}

// Source is what the screen shows of the demo.
func (d *demo) Source(ctx context.Context) screen.Source {
	heard := d.listeners[len(d.listeners)-1].Client
	return screen.Source{
		Snapshot: func() screen.Snapshot { return d.snapshot(ctx) },
		Ask: func(ctx context.Context, line string) []string {
			answer, err := heard.Ask(ctx, line)
			if err != nil {
				return nil // the demo is over
			}
			return answer
		},
	}
}

// lookPatience is how long a busy node may hold up the picture.
const lookPatience = time.Second

func (d *demo) snapshot(ctx context.Context) screen.Snapshot {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	s := d.program.at(time.Now())
	members := map[string]screen.Member{}
	for i, node := range d.listeners {
		id, last := node.Client.Node().GetId(), i == len(d.listeners)-1
		m, sound := member(ctx, node.Client, d.output)
		if last {
			s.Sound, m.Speaker = sound, sound == audible
		}
		members[id] = m
	}
	dump, err := d.server.Server.Dump(ctx)
	if err != nil {
		return s // restarting: the chain is back in the next picture
	}
	if state, ok := dump.State.(actors.ServerState); ok {
		for place := range state.ChainManager.Chain.All() {
			m, known := members[place.ID]
			if !known { // somebody from outside has joined
				m = screen.Member{Name: place.Name, Relay: place.Relay}
			}
			s.Chain = append(s.Chain, m)
		}
	}
	return s
}

// speaker is the output that people hear, audible what the screen says while it plays.
const (
	speaker = "speaker"
	audible = "on the loudspeaker"
)

// member is what a listener has, and how it is heard, or why it is not, if output is where.
func member(ctx context.Context, client *actors.Client, output string) (m screen.Member, sound string) {
	node := client.Node()
	m = screen.Member{Name: node.GetName(), Relay: node.GetRelay()}
	dump, err := client.Dump(ctx)
	if err != nil {
		return m, "" // restarting
	}
	if live, ok := dump.Live["relay"].(relay.Live); ok {
		m.Received = uint64(max(0, live.Received))
	}
	if live, ok := dump.Live["player"].(player.Live); ok {
		m.Buffered = time.Duration(live.BufferedMs) * time.Millisecond
		m.Underruns = uint64(max(0, live.Underruns))
		sound = whereHeard(live, output)
	}
	return m, sound
}

// whereHeard is how the output of a player is heard, or why it is not.
func whereHeard(live player.Live, output string) string {
	switch {
	case live.Silenced != "":
		return live.Silenced
	case output != speaker:
		return "into " + output
	case live.Output != speaker || live.HeardNumber == 0:
		return "the loudspeaker is being opened"
	}
	return audible
}
