package main

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/messages"
	"conga/transport"
	"conga/transport/seed"

	"github.com/asynkron/protoactor-go/actor"
)

// serverNode is a server with its ports, as serve and demo run it.
type serverNode struct {
	server   *actors.Server
	requests net.Listener
	stream   net.Listener
	log      *eventlog.Log
}

type serverOptions struct {
	songs, listen string
	store         eventlog.Store
	key           ed25519.PrivateKey
	token         string // empty: all may come in
	limits        transport.Limits
	keepLog       int64          // bytes; 0: all
	disk          transport.Disk // below store; nil: one that is never full
	seedListeners int            // clients of 2016; 0: none
	logger        *slog.Logger
}

// startServer takes store over.
func startServer(o serverOptions) (*serverNode, error) {
	auth, secure, err := o.access()
	if err != nil {
		return nil, errors.Join(err, o.store.Close())
	}
	requests, stream, err := listenPair(o.listen)
	if err != nil {
		return nil, errors.Join(err, o.store.Close())
	}
	log, err := eventlog.Open(o.store, time.Now)
	if err != nil {
		return nil, errors.Join(err, o.store.Close(), requests.Close(), stream.Close())
	}
	n := &serverNode{requests: requests, stream: stream, log: log}
	ports := seed.NewPorts(stream)
	var seedRequests func(context.Context, *transport.Stranger) bool // there before the requests are
	counters, now, members := &transport.Counters{}, steadyClock(), transport.NewExpected()
	auditor := transport.NewIdentity() // an ordinary one: a liar that knew the server's would serve that honestly
	n.server, err = actors.StartServer(actors.ServerConfig{
		System: newSystem(o.logger), Log: log, Songs: o.songs, Key: o.key,
		Now: now, Logger: o.logger, Members: members.Members,
		Auditor: &messages.Node{Id: auditor.ID(), Name: "guest"},
		Audit: func(link uint64, addr string, open *messages.OpenStream) *actor.Props {
			return transport.Upstream(transport.UpstreamConfig{
				Link: link, Addr: addr, Open: open, Pass: auth.Pass, Identity: auditor, Now: func() int64 { return now().UnixMicro() },
			})
		},
		Sent: func() (bytes, chunks int64) { return counters.Bytes.Load(), counters.Chunks.Load() },
		Streams: func(s *actors.Server) *actor.Props {
			var seeds func(context.Context, *transport.Stranger) bool
			if auth == nil && o.seedListeners > 0 { // who speaks only the seed's bytes knows no token
				porter := newPorter(s, ports, o.seedListeners, counters, now)
				seeds, seedRequests = porter.Stream, porter.Request
			}
			return transport.Streams(transport.StreamsConfig{
				Listener: ports, Owner: s.ChainManager(), Counters: counters, Epoch: s.Epoch, Newest: s.Newest, Seed: seeds,
				Self:     func() *messages.Node { return &messages.Node{Id: messages.ServerID, Name: messages.ServerID} },
				Open:     func(open *messages.OpenStream) (transport.Cursor, error) { return s.Open(open), nil },
				Expected: members, Pass: auth.Pass, ServerNow: func() int64 { return now().UnixMicro() }, Limits: o.limits,
			})
		},
		Requests: func(s *actors.Server) *actor.Props {
			return transport.Requests(transport.RequestsConfig{
				Listener: requests, Catalog: s.Catalog(), Scheduler: s.Scheduler(), Chain: s.ChainManager(), Now: now, Follows: s.Follows,
				Auth: auth, TLS: secure, Limits: o.limits, Disk: o.disk, Counters: counters, Seed: seedRequests,
			})
		},
	})
	if err != nil {
		return nil, errors.Join(err, requests.Close(), ports.Close(), log.Close())
	}
	return n, nil
}

// access is who may come in, and how they know that this is the server.
func (o serverOptions) access() (auth *transport.Auth, secure *tls.Config, err error) {
	if o.token != "" {
		if auth, err = transport.NewAuth(o.token, o.key); err != nil {
			return nil, nil, err
		}
	}
	secure, err = transport.ServerTLS(o.key)
	return auth, secure, err
}

// stop ends the server; all that it promised is in its log.
func (n *serverNode) stop() error {
	n.server.Stop()
	return n.log.Close()
}

// listenPair takes HOST:PORT and the port after it. Port 0 looks for a free pair.
func listenPair(addr string) (requests, stream net.Listener, err error) {
	const tries = 50
	for try := 1; ; try++ {
		requests, err = net.Listen("tcp", addr)
		if err != nil {
			return nil, nil, cannotListen("--listen", addr, err)
		}
		host, port, _ := net.SplitHostPort(addr)
		n := requests.Addr().(*net.TCPAddr).Port
		if n == 65535 && port != "0" {
			return nil, nil, errors.Join(errors.New("the stream is on the port after --listen: 65534 is the last one"), requests.Close())
		}
		next := net.JoinHostPort(host, strconv.Itoa(n+1))
		if stream, err = net.Listen("tcp", next); err == nil {
			return requests, stream, nil
		}
		_ = requests.Close()
		if port != "0" || try == tries {
			return nil, nil, cannotListen("--listen", next, err)
		}
	}
}

// cannotListen says what to do about an address, which the flag named, that cannot be had.
func cannotListen(flag, addr string, err error) error {
	host, port, _ := net.SplitHostPort(addr)
	if lookup := (*net.DNSError)(nil); errors.As(err, &lookup) {
		return fmt.Errorf("listen on %s: there is no host %s: %s takes an address of this machine, or :%s for all of them", addr, host, flag, port)
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err
	}
	remedy := flag + " takes another address"
	switch {
	case isTaken(err):
		remedy = fmt.Sprintf("is another conga running there? Choose another port: %s %s", flag, net.JoinHostPort(host, "9000"))
	case isForbidden(err):
		remedy = fmt.Sprintf("only the administrator may use ports below 1024. Choose another port: %s %s", flag, net.JoinHostPort(host, requestsPort))
	case isElsewhere(err):
		remedy = fmt.Sprintf("this machine does not have that address: %s :%s listens on all of its addresses", flag, port)
	}
	return fmt.Errorf("listen on %s: %w; %s", addr, err, remedy)
}

// shown is an address that works from this machine: a listener on all interfaces is
// shown as the loopback address.
func shown(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// steadyClock starts at the time of day and then counts by the monotonic clock: a
// broadcast must not jump when somebody sets the clock.
func steadyClock() func() time.Time {
	start := time.Now()
	return func() time.Time { return start.Round(0).Add(time.Since(start)) }
}

// newSystem lets the library speak only when something is wrong: letters to actors that
// have just stopped are no news.
func newSystem(logger *slog.Logger) *actor.ActorSystem {
	warnings := slog.New(atLeast{logger.Handler(), slog.LevelWarn})
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return warnings }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond), // what counts such letters outlives the system by this
	)
}

// atLeast passes on what is as grave as its level.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, nil))
}

// signingKey is the key that signs the broadcast. Listeners remember its public half: a server
// that loses it is a stranger to them.
func signingKey(dir string) (ed25519.PrivateKey, error) {
	key, err := keptKey(filepath.Join(dir, keyFile))
	if errors.Is(err, errNoKey) {
		return nil, fmt.Errorf("%w; if you move it away, the server makes a new one, but listeners that know the old one will refuse it", err)
	}
	return key, err
}
