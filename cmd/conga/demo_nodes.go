package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/player"
	"conga/actors/relay"
	"conga/cmd/conga/internal/screen"
	"conga/messages"
)

// demo is a server and its listeners in one process, on free ports of the loopback
// address and with logs in memory: they leave nothing behind.
type demo struct {
	server    *serverNode
	listeners []*listenerNode // in the order they came; the last one is heard
	output    string          // there
	program   programme
	system    *actor.ActorSystem // of all listeners
}

// startDemo starts the nodes. They run until stop.
func startDemo(ctx context.Context, songs, heard string, listeners int, info *slog.Logger) (*demo, error) {
	logger := slog.New(atLeast{info.Handler(), slog.LevelWarn}) // the screen tells the rest
	server, err := startServer(serverOptions{
		songs: songs, listen: "127.0.0.1:0", store: eventlog.NewMemory(), keepLog: 64 << 20, key: newKey(), logger: logger,
	})
	if err != nil {
		return nil, err
	}
	d := &demo{server: server, output: heard, system: newSystem(logger)}
	for i := range listeners {
		output, news := "null", func(*messages.Playing) {}
		if i == listeners-1 {
			output, news = heard, d.program.add
		}
		to, err := player.ParseOutput(output)
		if err != nil {
			return nil, errors.Join(err, d.stop())
		}
		log, err := listenerLog()
		if err != nil {
			return nil, errors.Join(err, d.stop())
		}
		node, err := startListener(ctx, listenerOptions{
			server: server.requests.Addr().String(), name: screen.Name(i), listen: "127.0.0.1:0",
			output: to, log: log, news: news, logger: logger, system: d.system,
			unheard: func(string) {}, // the screen says it
		})
		if err != nil {
			return nil, errors.Join(err, d.stop())
		}
		d.listeners = append(d.listeners, node)
	}
	return d, nil
}

// stop ends the listeners from the tail on, so that none of them has to search for a
// new upstream, and then the server.
func (d *demo) stop() error {
	var errs []error
	for _, node := range slices.Backward(d.listeners) {
		errs = append(errs, node.leave())
	}
	d.system.Shutdown()
	return errors.Join(append(errs, d.server.stop())...)
}

// source is what the screen shows of the demo.
func (d *demo) source(ctx context.Context) screen.Source {
	heard := d.listeners[len(d.listeners)-1].client
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
		id, last := node.client.Node().GetId(), i == len(d.listeners)-1
		m, sound := member(ctx, node.client, d.output)
		if last {
			s.Sound, m.Speaker = sound, sound == audible
		}
		members[id] = m
	}
	dump, err := d.server.server.Dump(ctx)
	if err != nil {
		return s // restarting: the chain is back in the next picture
	}
	if state, ok := dump.State.(actors.ServerState); ok {
		for _, place := range state.ChainManager.Chain {
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

// programme is what plays and what comes, as the news told it. News of a song comes
// before it is heard, by the slack; so does the news that nothing more is sent of one.
type programme struct {
	mu       sync.Mutex
	on, next *messages.Playing // nil: none
	queue    []string
}

func (p *programme) add(news *messages.Playing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(time.Now())
	p.queue = news.GetQueue()
	if news.GetSong() != nil {
		p.next = news
	}
}

// turn lets the next song be the one that is on, if its time has come, and ends the one that
// is over.
func (p *programme) turn(now time.Time) {
	if p.next != nil && p.next.GetPlayAtUnixUs() <= now.UnixMicro() {
		p.on, p.next = p.next, nil
	}
	if p.on != nil && p.next == nil && p.on.GetPlayAtUnixUs()+p.on.GetSong().GetDurationUs() <= now.UnixMicro() {
		p.on = nil
	}
}

// at is the song that is heard at now, and the queue as last told.
func (p *programme) at(now time.Time) screen.Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	s := screen.Snapshot{Queue: p.queue}
	if p.on != nil {
		s.Song, s.Title, s.Artist = p.on.GetSong().GetName(), p.on.GetSong().GetTitle(), p.on.GetSong().GetArtist()
		s.Asked = p.on.GetListenerName()
		s.Duration = time.Duration(p.on.GetSong().GetDurationUs()) * time.Microsecond
		s.Elapsed = now.Sub(time.UnixMicro(p.on.GetPlayAtUnixUs()))
	}
	return s
}
