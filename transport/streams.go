package transport

import (
	"context"
	"crypto/tls"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"conga/messages"
)

const (
	// helloPatience is how long a connection may take for its whole HI.
	helloPatience = 5 * time.Second
	// SeedGrace is how long a port waits for a native's first byte before it takes the peer
	// for a client of 2016, which waits for the server to speak.
	SeedGrace = 250 * time.Millisecond
	// streamBuffer is how much the kernel may buffer for a listener that does not read.
	streamBuffer = 128 << 10 // bytes
)

// StreamsConfig says what a node's stream port serves. Its functions are called by any
// connection's goroutine.
type StreamsConfig struct {
	Listener net.Listener // the acceptor closes it
	Owner    *actor.PID   // is told DownstreamOpened and DownstreamClosed

	// Open returns the cursor for a listener's HI. An error refuses the listener, and is
	// sent to it as the reason.
	Open func(*messages.OpenStream) (Cursor, error)

	Self     func() *messages.Node
	Epoch    func() uint64
	Newest   func() uint64 // the newest number that this node has, 0 before the first; nil: always 0
	Upstream func() string // host:port that this node receives from, for DC; may be nil or return ""
	Counters *Counters     // may be nil
	// Identity signs this node's offers and proofs; nil: it makes none, as the server.
	Identity *Identity
	// Expected lists the nodes that the chain sends here; nil: every node that proves its identity.
	Expected *Expected
	// Pass returns what a listener must prove to have; its error refuses all. nil: all may come.
	Pass      func() (Pass, error)
	ServerNow func() int64 // the server's clock, in unix microseconds; nil: this machine's
	Limits    Limits       // for one address, and for connections that have not said HI

	// Offered is called when a node above has dialled this one to offer its music, with the ticket for
	// that connection, which Tickets has issued. nil: this node takes no offers.
	Offered func(from *messages.Node, ticket uint64)
	Tickets *Tickets
	Dial    DialFunc // for offers of this node; nil: DialNode

	// Web answers HTTP, for players. nil: this port does not speak HTTP.
	Web http.Handler
	// TLS is how it also answers HTTP inside TLS; nil: it does not. See PlayersTLS.
	TLS *tls.Config
	// Players is how many players this node plays for at once.
	Players int

	// Seed gets a connection whose peer has said nothing within SeedGrace. It returns true when it has
	// handled the connection to its end; after false the peer is treated as a native if it has
	// spoken meanwhile. nil: there are only natives.
	Seed func(context.Context, *Stranger) bool
}

// Streams is the stream port of a node: an acceptor whose children are the connections.
// SayGoodbye closes the port and makes every connection tell its listener.
func Streams(cfg StreamsConfig) *actor.Props {
	if cfg.Counters == nil {
		cfg.Counters = &Counters{}
	}
	if cfg.Dial == nil {
		cfg.Dial = DialNode
	}
	if cfg.Pass == nil {
		cfg.Pass = openHouse
	}
	if cfg.Newest == nil {
		cfg.Newest = func() uint64 { return 0 }
	}
	if cfg.ServerNow == nil {
		cfg.ServerNow = func() int64 { return time.Now().UnixMicro() }
	}
	cfg.Limits = cfg.Limits.filled()
	entry, admission := &door{}, newAdmission(&cfg) // they outlive a restart of the actor
	return actor.PropsFromProducer(func() actor.Actor {
		return &streams{cfg: &cfg, door: entry, admission: admission}
	}, stopBroken())
}

// sweepEvery is how often a port looks for listeners that are no longer expected.
const sweepEvery = listGrace / 3

// sweep and look are the port's timers.
type (
	sweep struct{}
	look  struct{}
)

type streams struct {
	cfg       *StreamsConfig
	door      *door
	admission *admission
	lobby     *lobby
	offer     offerer
	leaving   bool
	sweeping  *time.Timer
	looking   *time.Timer // only at the server; may be nil
}

// later tells the actor of its timer after a while.
func later(ctx actor.Context, wait time.Duration, timer any) *time.Timer {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	return time.AfterFunc(wait, func() { root.Send(self, timer) })
}

// rest stops the timers.
func (s *streams) rest() {
	s.sweeping.Stop()
	if s.looking != nil {
		s.looking.Stop()
	}
}

// Receive spawns a child for each connection.
func (s *streams) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		root, self := ctx.ActorSystem().Root, ctx.Self()
		s.lobby = streamLobby(s.cfg.Limits, math.MaxInt, s.cfg.Players, func() []byte { return refusal(s.cfg, errCrowd) })
		s.lobby.refused = s.cfg.Counters.Refuse
		s.door.open(root, self, s.cfg.Listener, s.lobby)
		s.sweeping = later(ctx, sweepEvery, sweep{})
		if s.cfg.Expected != nil && !s.cfg.Expected.loose {
			s.looking = later(ctx, UplinkLook, look{})
		}
	case sweep:
		s.admission.sweep()
		s.sweeping = later(ctx, sweepEvery, sweep{})
	case look:
		s.admission.look(time.Now())
		s.looking = later(ctx, UplinkLook, look{})
	case *accepted:
		if s.leaving { // it came just before the port was closed
			_ = msg.conn.Close()
			msg.guest.leave()
			return
		}
		s.talk(ctx, msg.guest)
	case *messages.OfferMusic:
		if !s.leaving {
			s.offer.turn(ctx, s.cfg, msg.To)
		}
	case *offered:
		s.offered(ctx, msg)
	case *actor.Terminated:
		if s.offer.child != nil && s.offer.child.Equal(msg.Who) {
			s.offer.later(ctx)
		}
	case *crashed: // an offer under way
		if s.offer.to != nil && !s.leaving {
			s.offer.later(ctx)
		}
	case offerAgain:
		if msg.round == s.offer.round && !s.leaving {
			s.offer.dial(ctx, s.cfg)
		}
	case *messages.SayGoodbye:
		s.leaving = true
		_ = s.cfg.Listener.Close() // an orphan must not choose a node that leaves
		s.offer.end()
		for _, child := range ctx.Children() {
			ctx.Send(child, msg)
		}
	case *actor.Restarting:
		s.rest()
		s.lobby.close()
	case *actor.Stopping:
		s.rest()
		_ = s.cfg.Listener.Close()
		s.offer.end()
		s.lobby.close()
	}
}

// talk gives the connection an actor of its own.
func (s *streams) talk(ctx actor.Context, guest *guest) *actor.PID {
	return ctx.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &stream{cfg: s.cfg, admission: s.admission, conn: guest.conn, guest: guest}
	}))
}

// offered treats a connection that this node made like one that it accepted.
func (s *streams) offered(ctx actor.Context, msg *offered) {
	switch {
	case msg.round != s.offer.round:
		if msg.conn != nil {
			_ = msg.conn.Close()
		}
	case msg.conn == nil:
		s.offer.later(ctx)
	default:
		guest := s.lobby.enter(msg.conn)
		if guest == nil {
			s.offer.later(ctx)
			return
		}
		s.offer.child = s.talk(ctx, guest)
		ctx.Watch(s.offer.child)
	}
}

// stream is one accepted connection.
type stream struct {
	cfg       *StreamsConfig
	admission *admission
	conn      net.Conn
	guest     *guest

	stop  context.CancelFunc      // ends everything
	leave context.CancelCauseFunc // ends the music, to send DC
	given atomic.Bool             // the connection belongs to another actor now
}

// Receive is all the plumbing; streamTalk.serve does the talking.
func (s *stream) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		root, self := ctx.ActorSystem().Root, ctx.Self()
		life, stop := context.WithCancel(context.Background())
		playing, leave := context.WithCancelCause(life)
		s.stop, s.leave = stop, leave
		talk := &streamTalk{cfg: s.cfg, admission: s.admission, conn: s.conn, guest: s.guest, root: root, self: self, life: life, playing: playing}
		guard(root, self, func() {
			s.given.Store(talk.serve())
			s.close()
			retire(life, root, self)
		})
	case *messages.SayGoodbye:
		s.leave(errLeaving)
	case *actor.Stopping:
		s.stop()
		s.close() // wakes every read and write
		s.guest.leave()
	case *crashed:
		panic(msg.reason)
	}
}

func (s *stream) close() {
	if !s.given.Load() {
		_ = s.conn.Close()
	}
}
