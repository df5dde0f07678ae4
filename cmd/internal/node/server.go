package node

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"conga/actors"
	"conga/actors/catalog"
	"conga/actors/eventlog"
	"conga/actors/lease"
	"conga/cmd/internal/address"
	"conga/cmd/internal/monitor"
	"conga/cmd/internal/songstore"
	"conga/messages"
	"conga/transport"
	"conga/transport/seed"
	"conga/transport/web"

	"github.com/asynkron/protoactor-go/actor"
	cmap "github.com/orcaman/concurrent-map"
)

// Server is a server with its ports, as serve and demo run it.
type Server struct {
	Server   *actors.Server
	Requests net.Listener
	Stream   net.Listener
	Log      *eventlog.Log
	Key      ed25519.PublicKey // by which listeners know it
	// Vitals says how a listener is doing; false if it has said nothing lately.
	Vitals func(id string) (web.Vitals, bool)

	sent     *transport.Counters
	disk     *monitor.Disk         // nil: the log is in memory
	standing func() lease.Standing // nil: it is the only one
	stocked  func() (songstore.Live, bool)
}

type ServerOptions struct {
	Songs, Listen string
	Data          Data
	Token         string // empty: all may come in
	Limits        transport.Limits
	KeepLog       int64                // bytes of the log; 0: all
	Keep          time.Duration        // for how long its events are kept; 0: for ever
	Converted     string               // folder of music that was converted to mp3; empty: other music is left out
	ConvertedMost int64                // bytes
	Playlist      Playlist             // what plays when nobody has asked for anything
	Uploads       actors.UploadLimits  // for songs that guests bring; the zero value: they may not
	Rules         *messages.QueueRules // for requests; nil: none
	Slack         time.Duration        // how long before it is heard music is sent; 0: the usual time
	WebNames      []string             // further names of this machine, for its page; may be nil
	Browsers      transport.BrowserCertificate
	Players       int // programs for which it plays itself if no listener can; 0: as many as usual
	Past          int // how many may hear the past at a time; 0: nobody
	SeedListeners int // clients of 2016; 0: none
	Chains        int // how many listeners it feeds; 0: one
	ChainsAtMost  int // how many it may feed if the chain is too deep; 0: no more
	Logger        *slog.Logger

	known []byte // see eventlog.OpenWarm
	// Elsewhere are songs that do not lie in Songs under their names; nil: all do.
	Elsewhere *catalog.Elsewhere
	// Leads reports whether it may give out music at this moment, Servers are the request ports of all servers of the radio, and
	// Standing says which of them leads; nil: it is the only one. See Member.
	Leads    func() bool
	Servers  []string
	Standing func() lease.Standing
	// Stocked says which of the radio's songs it has; false: nobody knows. nil as Standing.
	Stocked func() (songstore.Live, bool)

	// Dial and Bind are the server's network; nil: this machine's.
	Dial transport.DialFunc
	Bind func(addr string) (net.Listener, error)
	// Unwatched: the songs folder is not watched, but looked at from time to time.
	Unwatched bool
	// Now is the server's clock; nil: the time of day at the start, and from then on a clock that never steps.
	Now func() time.Time
}

// StartServer starts a server, which closes the data in the end.
func StartServer(o ServerOptions) (*Server, error) {
	auth, secure, err := o.access()
	if err != nil {
		return nil, errors.Join(err, o.Data.Store.Close())
	}
	requests, stream, err := o.listen()
	if err != nil {
		return nil, errors.Join(err, o.Data.Store.Close())
	}
	log, err := eventlog.OpenWarm(o.Data.Store, time.Now, o.known)
	if err == nil {
		err = actors.Prepare(log) // here a damaged log is an error; an actor could only panic
	}
	if err != nil {
		return nil, errors.Join(err, o.Data.Store.Close(), requests.Close(), stream.Close())
	}
	if o.Now == nil {
		o.Now = steadyClock()
	}
	p := &parts{
		ServerOptions: o, auth: auth, secure: secure, listener: requests, ports: seed.NewPorts(stream), log: log, sent: &transport.Counters{},
		now: o.Now, members: transport.NewExpected(), offers: &web.Offers{Now: time.Now}, auditor: transport.NewIdentity(),
	}
	server, err := actors.StartServer(actors.ServerConfig{
		System: NewSystem(o.Logger), Log: log, Songs: o.Songs, Elsewhere: o.Elsewhere, Unwatched: o.Unwatched, Converted: o.Converted, ConvertedMost: o.ConvertedMost,
		Uploads: o.Uploads, Playlist: o.Playlist.message(), Key: o.Data.Key, Now: p.now, Logger: o.Logger, PerAddress: o.Limits.PerAddress, Members: p.members.Members,
		KeepLog: o.KeepLog, Keep: o.Keep, Rules: o.Rules, Slack: o.Slack, Chains: o.Chains, ChainsAtMost: o.ChainsAtMost, ChainTakes: p.offers.ChainTakes, Takes: p.offers.Takes, Auditor: &messages.Node{Id: p.auditor.ID(), Name: "guest"}, Audit: p.audit,
		Leads:   o.Leads,
		Sent:    func() (bytes, chunks int64) { return p.sent.Bytes.Load(), p.sent.Chunks.Load() },
		Streams: p.streams, Requests: p.requests,
	})
	if err != nil {
		return nil, errors.Join(err, requests.Close(), p.ports.Close(), log.Close())
	}
	return &Server{Server: server, Requests: requests, Stream: stream, Log: log, Key: o.Data.Key.Public().(ed25519.PublicKey), sent: p.sent, disk: o.Data.Watched, Vitals: p.offers.Vitals, standing: o.Standing, stocked: o.Stocked}, nil
}

// parts are what the connections of a server share.
type parts struct {
	ServerOptions
	auth     *transport.Auth // nil: all may come in
	secure   *tls.Config
	listener net.Listener // for requests
	ports    *seed.Ports
	log      *eventlog.Log
	sent     *transport.Counters
	now      func() time.Time
	members  *transport.Expected
	offers   *web.Offers
	auditor  *transport.Identity // an ordinary one: a liar that recognized the server would serve it honestly
	porter   *seed.Porter        // nil: there are no clients of 2016
}

func (p *parts) nowUs() int64 { return p.now().UnixMicro() }

func (p *parts) audit(link uint64, addr string, open *messages.OpenStream) *actor.Props {
	return transport.Upstream(transport.UpstreamConfig{
		Link: link, Addr: addr, Open: open, Dial: p.Dial, Pass: p.auth.Pass, Identity: p.auditor, Now: p.nowUs,
	})
}

func (p *parts) streams(s *actors.Server) *actor.Props {
	cfg := transport.StreamsConfig{
		Listener: p.ports, Owner: s.ChainManager(), Counters: p.sent, Epoch: s.Epoch, Newest: s.Newest,
		Self:     func() *messages.Node { return &messages.Node{Id: messages.ServerID, Name: messages.ServerID} },
		Open:     func(open *messages.OpenStream) (transport.Cursor, error) { return s.Open(open), nil },
		Expected: p.members, Pass: p.auth.Pass, ServerNow: p.nowUs, Limits: p.Limits,
	}
	if p.auth == nil && p.SeedListeners > 0 { // clients of 2016 know no token
		p.porter = newPorter(s, p.ports, p.SeedListeners, p.sent, p.now)
		cfg.Seed = p.porter.Stream
	}
	return transport.Streams(cfg)
}

// requests comes after streams, because a client of 2016 needs both.
func (p *parts) requests(s *actors.Server) *actor.Props {
	p.offers.Slack = s.Slack
	cfg := transport.RequestsConfig{
		Listener: p.listener, Dial: p.Dial, Servers: p.Servers, Catalog: s.Catalog(), Scheduler: s.Scheduler(), Chain: s.ChainManager(), Now: p.now, Follows: s.Follows,
		Persons: transport.NewPersons(p.Data.Key.Seed()), Auth: p.auth, TLS: p.secure, Limits: p.Limits, Disk: p.Data.Disk, NoDisk: p.Data.NoDisk, Counters: p.sent,
		Pinged: p.offers.Pinged, Parted: p.offers.Parted, Web: webSite(s, p.ServerOptions, p.log, p.offers, p.now),
	}
	if p.porter != nil {
		cfg.Seed = p.porter.Request
	}
	return transport.Requests(cfg)
}

// listen opens the two ports.
func (o ServerOptions) listen() (requests, stream net.Listener, err error) {
	if o.Bind == nil {
		return address.ListenPair(o.Listen)
	}
	at, err := transport.StreamOf(o.Listen)
	if err != nil {
		return nil, nil, err
	}
	if requests, err = o.Bind(o.Listen); err != nil {
		return nil, nil, err
	}
	if stream, err = o.Bind(at); err != nil {
		return nil, nil, errors.Join(err, requests.Close())
	}
	return requests, stream, nil
}

// access makes what decides who may come in, and what proves to them that this is the server.
func (o ServerOptions) access() (auth *transport.Auth, secure *tls.Config, err error) {
	if o.Token != "" {
		if auth, err = transport.NewAuth(o.Token, o.Data.Key); err != nil {
			return nil, nil, err
		}
	}
	secure, err = transport.ServerTLS(o.Data.Key, o.Browsers)
	return auth, secure, err
}

// sayPatience is how long the server's own port may take to answer its host.
const sayPatience = 5 * time.Second

// Say carries out a line that the host types, as if it came from nc, except that the host may cancel what
// others asked for, and skip songs.
func (n *Server) Say(ctx context.Context, line string) []string {
	answer, err := n.say(ctx, line)
	if err != nil && ctx.Err() == nil {
		return []string{"the server's own port does not answer: " + err.Error()}
	}
	return answer
}

func (n *Server) say(ctx context.Context, line string) (answer []string, err error) {
	conn, there := net.Pipe()
	defer conn.Close()
	n.Server.TellRequests(&transport.StandIn{Conn: there, Host: true})
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := conn.SetDeadline(time.Now().Add(sayPatience)); err != nil {
		return nil, err
	}
	go func() { _, _ = io.WriteString(conn, line+"\nQUIT\n") }() // it ends with conn
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if lines.Text() != "" {
			answer = append(answer, lines.Text())
		}
	}
	return answer, lines.Err()
}

// Music is for players on this machine.
func (n *Server) Music() *web.Music {
	return &web.Music{Most: ownPlayers, Open: func() web.Cursor { return n.Server.Tune() }}
}

// Watched is the server as the monitor sees it.
func (n *Server) Watched() monitor.Node {
	return monitor.Node{
		Dump: n.dump, Log: n.Log, Sent: n.sent, Disk: n.disk, Ahead: n.Server.Ahead, Away: func() string { return "" },
	}
}

func (n *Server) dump(ctx context.Context) (actors.Dump, error) {
	dump, err := n.Server.Dump(ctx)
	if err == nil && n.standing != nil {
		dump.Live[lease.Actor] = n.standing().Live()
	}
	if err == nil && n.stocked != nil {
		if songs, known := n.stocked(); known {
			dump.Live[songstore.DumpName] = songs
		}
	}
	return dump, err
}

// Stop ends the server. Everything that it promised is in its log.
func (n *Server) Stop() error {
	n.Server.Stop()
	return n.Log.Close()
}

// steadyClock starts at the time of day and then counts by the monotonic clock: a
// broadcast must not jump when somebody sets the clock.
func steadyClock() func() time.Time {
	start := time.Now()
	return func() time.Time { return start.Round(0).Add(time.Since(start)) }
}

// protoactor-go keeps the addresses of its actors in 1,024 maps, and would make 32 of each: 3 MB and some
// milliseconds of every start.
func init() { cmap.SHARD_COUNT = 1 }

// NewSystem returns an actor system that logs only errors: messages to actors that
// have just stopped are nothing to report.
func NewSystem(logger *slog.Logger) *actor.ActorSystem {
	warnings := OnlyWarnings(logger)
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return warnings }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond), // the goroutine that counts such messages outlives the system by this
	)
}

// OnlyWarnings is the logger without what is less than a warning.
func OnlyWarnings(logger *slog.Logger) *slog.Logger {
	return slog.New(atLeast{logger.Handler(), slog.LevelWarn})
}

// atLeast passes on records from its level on.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}
