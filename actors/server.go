package actors

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"conga/actors/catalog"
	"conga/actors/chainmanager"
	"conga/actors/chainmanager/chain"
	"conga/actors/eventlog"
	"conga/actors/internal/transcode"
	"conga/actors/pacer"
	"conga/actors/pacer/place"
	"conga/actors/scheduler"
	"conga/actors/window"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// ServerConfig configures a server. The caller owns Log and closes it after Stop.
type ServerConfig struct {
	System *actor.ActorSystem
	Log    *eventlog.Log
	Songs  string // the folder
	// Elsewhere are songs that do not lie there under their names; nil: all do.
	Elsewhere *catalog.Elsewhere
	// Unwatched: the folder is only looked at from time to time.
	Unwatched bool
	// Converted is the folder for mp3 files that are made from other music, and ConvertedMost its greatest size
	// in bytes; empty: other music is left out.
	Converted     string
	Playlist      *messages.SetPlaylist // what plays when nobody has asked for anything; nil: it stays as it was
	ConvertedMost int64
	Uploads       UploadLimits // for songs that people bring; the zero value: nobody may
	Key           ed25519.PrivateKey
	Now           func() time.Time // the server's clock: it must not step
	Logger        *slog.Logger
	// KeepLog is about how many bytes of the log are kept, and Keep for how long its events are; 0: without limit.
	KeepLog int64
	Keep    time.Duration
	// Slack is how long before it is heard the host wants music to be sent; 0: the usual time. If the chain needs more, it
	// gets more: ChainTakes, if it is not nil, returns how much later than it was sent the music reaches the last listener,
	// and who that is.
	Slack      time.Duration
	ChainTakes func() (takes time.Duration, last string)
	// Chains is how many listeners the server feeds, at most messages.MaxChains; 0: one. ChainsAtMost is how many it may feed
	// if the chain is too deep; 0: no more.
	Chains, ChainsAtMost int
	// Takes returns how much later than it was sent the music reaches a listener, by its word; false: it has said nothing
	// lately. nil: nobody looks at the chain's depth.
	Takes func(id string) (time.Duration, bool)
	// Leads reports whether this server may give out music at this moment; nil: it always may. See actors/lease.
	Leads func() bool
	// Rules are the rules for requests; nil: first come, first served, without limits.
	Rules *messages.QueueRules
	// PerAddress is chainmanager.Config.PerAddress.
	PerAddress int
	// Members is chainmanager.Config.Members: the stream port serves all that are in the chain. May be nil.
	Members func(changed map[string]messages.Standing, all bool)

	// Streams and Requests describe the two ports.
	Streams  func(*Server) *actor.Props
	Requests func(*Server) *actor.Props
	// Audit describes a connection to a listener's relay, on which the server asks for the music as
	// Auditor; nil: there are no audits. See chainmanager.Config.
	Audit   func(link uint64, addr string, open *messages.OpenStream) *actor.Props
	Auditor *messages.Node
	// Sent returns what was sent on all stream connections.
	Sent func() (bytes, chunks int64)
}

// Server is a running server.
type Server struct {
	tree
	cfg    ServerConfig
	window *window.Window
	place  atomic.Pointer[place.State]
	epoch  uint64
	songs  chan struct{} // closed when the songs in the folder are known
	keep   *snapshots
	fold   *logKeeper       // nil: all of the log is kept
	seeds  []*messages.Node // see SeedsBefore
	bring  *catalog.Uploads // nil: nobody may bring songs
}

// The server's children that write to no log.
const (
	announcerName = "announcer"
	streamsName   = "streams"
	requestsName  = "requests"
)

// StartServer opens the broadcast, a new one or the log's, and starts the actors.
func StartServer(cfg ServerConfig) (*Server, error) {
	s := &Server{tree: tree{system: cfg.System, name: "server"}, cfg: cfg, window: window.New(), songs: make(chan struct{})}
	err := s.openBroadcast() // BEFORE anything runs
	if err != nil {
		return nil, err
	}
	var converted *transcode.Cache
	if cfg.Converted != "" {
		if converted, err = transcode.Open(cfg.Converted, cfg.ConvertedMost); err != nil {
			return nil, err
		}
	}
	var made func(transcode.Made) (io.ReadSeekCloser, error)
	if converted != nil {
		made = converted.Open
	}
	if cfg.Uploads != (UploadLimits{}) {
		s.bring = s.openUploads(converted)
	}
	ends := limited(cfg.System)
	known := sync.OnceFunc(func() { close(s.songs) }) // a restarted catalog calls it again
	err = s.start(
		child{catalog.Actor, catalog.Props(catalog.Config{Dir: cfg.Songs, Unwatched: cfg.Unwatched, Elsewhere: cfg.Elsewhere, Converted: converted, Log: cfg.Log, Logger: cfg.Logger, Ready: known}).Configure(ends)},
		child{scheduler.Actor, scheduler.Props(scheduler.Config{Log: cfg.Log, Publish: s.publish, Playlist: cfg.Playlist}).Configure(ends)},
		child{chainmanager.Actor, chainmanager.Props(chainmanager.Config{
			Log: cfg.Log, Links: func() *actor.PID { return s.of(requestsName) },
			Key: cfg.Key.Public().(ed25519.PublicKey), Now: cfg.Now, PerAddress: cfg.PerAddress, Members: cfg.Members,
			Audit: cfg.Audit, Auditor: cfg.Auditor, Newest: s.newest, Takes: cfg.Takes, Slack: s.Slack,
		}).Configure(ends)},
		child{pacer.Actor, pacer.Props(pacer.Config{
			Log: cfg.Log, Window: s.window, Key: cfg.Key, Publish: s.publish, Placed: func(at place.State) { s.place.Store(&at) }, Sent: cfg.Sent, Now: cfg.Now, Logger: cfg.Logger,
			ChainTakes: cfg.ChainTakes, Leads: cfg.Leads,
			Scheduler: func() *actor.PID { return s.of(scheduler.Actor) },
			Catalog:   func() *actor.PID { return s.of(catalog.Actor) },
			Open: func(name, of, sum string) (pacer.File, error) {
				return openSong(cfg.Songs, cfg.Elsewhere, made, name, transcode.Made{Of: of, Sum: sum})
			},
		}).Configure(ends)},
		child{streamsName, cfg.Streams(s)},
		child{requestsName, cfg.Requests(s)},
		// Last, because it begins with news to the actors above; what it misses before is in the log.
		child{announcerName, announcerProps(cfg.Log, s.askQueue, s.findSong, func(news *messages.Playing) { s.tell(requestsName, news) })},
	)
	if err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	s.keep = keepSnapshots(s, snapshotEvery)
	if cfg.KeepLog > 0 || cfg.Keep > 0 {
		s.fold = keepLog(s, cfg.KeepLog, cfg.Keep)
	}
	return s, nil
}

// openBroadcast begins a new epoch: each start of a server does.
func (s *Server) openBroadcast() error {
	opening, err := eventlog.NewKeeper(s.cfg.Log, pacer.Actor, place.State{})
	if err != nil {
		return err
	}
	if _, err := opening.Commit(&messages.OpenBroadcast{AtUnixUs: s.cfg.Now().UnixMicro(), Rules: s.cfg.Rules, SlackUs: messages.SlackUs(s.cfg.Slack), Chains: uint32(max(s.cfg.Chains, 0)), ChainsAtMost: uint32(max(s.cfg.ChainsAtMost, 0))}); err != nil {
		return fmt.Errorf("open the broadcast: %w", err)
	}
	at := opening.State()
	s.place.Store(&at)
	s.epoch = at.Epoch
	line, err := eventlog.NewKeeper(s.cfg.Log, chainmanager.Actor, chain.State{})
	if err != nil {
		return err
	}
	s.seeds = line.State().Chain.Seeds()
	return nil
}

// publish tells the other actors about an event of the scheduler or the pacer.
func (s *Server) publish(event proto.Message) {
	s.tell(announcerName, event)
	switch event.(type) {
	case *messages.SongQueued, *messages.SongWaits:
		s.tell(catalog.Actor, &messages.WantSong{})
	case *messages.SkipDecided:
		s.tell(pacer.Actor, event)
	}
}

// askQueue asks the scheduler for its state; the scheduler answers asker.
func (s *Server) askQueue(asker actor.Context) {
	asker.Request(s.Scheduler(), &messages.AskLibrary{})
}

// findSong asks the catalog for a song; the catalog answers asker.
func (s *Server) findSong(asker actor.Context, name string) {
	asker.Request(s.Catalog(), &messages.FindSong{Name: name})
}

// newest returns the number of the last item that was sent.
func (s *Server) newest() uint64 {
	if last := s.window.Last(); last != nil {
		return last.Number
	}
	return 0
}

// Catalog, Scheduler and ChainManager return the actors that the request port asks; their
// addresses stay the same when they are restarted.
func (s *Server) Catalog() *actor.PID      { return s.of(catalog.Actor) }
func (s *Server) Scheduler() *actor.PID    { return s.of(scheduler.Actor) }
func (s *Server) ChainManager() *actor.PID { return s.of(chainmanager.Actor) }

// SongsKnown returns a channel that is closed after the first scan of the folder: from then on its songs can be
// requested.
func (s *Server) SongsKnown() <-chan struct{} { return s.songs }

// Epoch counts the server's starts on its log.
func (s *Server) Epoch() uint64 { return s.epoch }

// Place is where the broadcast is.
func (s *Server) Place() place.State { return *s.place.Load() }

// Follows reports whether the broadcast continues the one with a listener's last song, whose song change had
// the number song and which began at playAt.
func (s *Server) Follows(song uint64, playAt int64) bool {
	return s.place.Load().Follows(song, playAt)
}

// Open returns the cursor for a stream connection.
func (s *Server) Open(open *messages.OpenStream) *window.Cursor {
	return s.window.For(open)
}

// Newest returns the number of the newest item that was sent, 0 before the first.
func (s *Server) Newest() uint64 { return newest(s.window) }

func newest(w *window.Window) uint64 { return max(w.Next(), 1) - 1 }

// Slack returns how long before it is heard the music is sent now.
func (s *Server) Slack() time.Duration { return slackIn(s.window) }

func slackIn(w *window.Window) time.Duration {
	if last := w.Last(); last != nil {
		return last.Slack()
	}
	return messages.Slack
}

// Stop ends all actors and waits for them. The listeners still play what they have.
func (s *Server) Stop() {
	if s.fold != nil {
		s.fold.finish()
	}
	save := s.keep.finish()
	s.stop()
	s.window.Close()
	save()
}

// Dump asks the actors for their states, and brings them to the same event.
func (s *Server) Dump(ctx context.Context) (Dump, error) {
	views, err := s.look(ctx, catalog.Actor, scheduler.Actor, pacer.Actor, chainmanager.Actor)
	if err != nil {
		return Dump{}, fmt.Errorf("the server is busy or restarting an actor, try again: %w", err)
	}
	state, event, err := s.align(views)
	if err != nil {
		return Dump{}, err
	}
	live := map[string]any{}
	for name, view := range views {
		if name == chainmanager.Actor {
			name = chainmanager.DumpName
		}
		if view.Live != nil {
			live[name] = view.Live
		}
	}
	return Dump{Node: messages.ServerID, Event: event, State: state, Live: live}, nil
}
