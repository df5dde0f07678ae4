package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// RequestsConfig says whom the server's request port asks.
type RequestsConfig struct {
	Listener net.Listener // the acceptor closes it

	Catalog   *actor.PID // is asked ListSongs, responds with List
	Scheduler *actor.PID // is asked ListRequests (List) and RequestPlay (SongQueued or PlayRefused)
	Chain     *actor.PID // is asked JoinChain (Welcome or Refused), is told LeaveChain and PeerLost

	// Follows says whether the broadcast goes on from the song that a Hello names; nil: it does.
	Follows func(songNumber uint64, playAtUnixUs int64) bool

	Auth   *Auth       // who comes in must know its token; nil: all may come
	TLS    *tls.Config // see ServerTLS; nil: plain text only
	Limits Limits
	Disk   Disk // below the server's log; nil: one that is never full

	// Pinged is told each second how a listener is, and Parted that its connection has ended. Its relay is
	// empty if nobody can connect there. Nil: nobody wants to know.
	Pinged func(*messages.Node, *messages.ClockPing)
	Parted func(id string)
	// Web answers those who speak HTTP; VisitOf knows their connection. nil: nothing is found here.
	Web http.Handler

	Dial     DialFunc         // tries a newcomer's relay; nil: DialNode
	Resolve  ResolveFunc      // of a host that a newcomer names; nil: as this machine does
	Now      func() time.Time // the server's clock; nil: time.Now
	Counters *Counters        // may be nil

	// Seed sees a connection before its first line is read, and waits for what comes. It is
	// true when it has taken the connection over and is done with it; false leaves it, and
	// all that has come, to the lines. nil: there are only lines.
	// With Auth it is not asked: the seed's bytes know no token.
	Seed func(context.Context, *Stranger) bool
}

// Requests is the server's request port: an acceptor whose children are the connections.
//
// Neighbours sent to it reach the connection of the node that they are of, Playing
// reaches every native, and those who come later: news only after the connection's WELCOME.
// A listener is lost when the actor of its connection has ended, for whatever reason, and it had
// not said that it leaves: then cfg.Chain is told PeerLost. A listener that came back on another
// connection before is not lost. It answers messages.CallRoll with messages.Roll.
func Requests(cfg RequestsConfig) *actor.Props {
	cfg.Limits = cfg.Limits.filled()
	if cfg.Dial == nil {
		cfg.Dial = DialNode
	}
	if cfg.Resolve == nil {
		cfg.Resolve = resolve
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Follows == nil {
		cfg.Follows = func(uint64, int64) bool { return true }
	}
	if cfg.Disk == nil {
		cfg.Disk = fineDisk{}
	}
	if cfg.Counters == nil {
		cfg.Counters = &Counters{}
	}
	if cfg.Pinged == nil {
		cfg.Pinged = func(*messages.Node, *messages.ClockPing) {}
	}
	if cfg.Parted == nil {
		cfg.Parted = func(string) {}
	}
	if cfg.Web == nil {
		cfg.Web = http.NotFoundHandler()
	}
	entry, pace := &door{}, newPace(cfg.Limits) // of the port, whatever becomes of its actor
	return actor.PropsFromProducer(func() actor.Actor {
		return &requests{cfg: &cfg, door: entry, pace: pace, talks: map[string]*holder{}, bound: map[string]*holder{}, left: map[string]bool{}}
	}, stopBroken())
}

type requests struct {
	cfg     *RequestsConfig
	door    *door
	lobby   *lobby
	pace    *pace
	talks   map[string]*holder // all connections, by their actors' ids
	bound   map[string]*holder // those of listeners, by the listeners' ids
	left    map[string]bool    // listeners that said goodbye, the last of them
	playing *messages.Playing  // the latest, for those who come
	closing bool
}

// maxLeftListeners bounds the memory for goodbyes.
const maxLeftListeners = 1024

// StandIn gives the port a connection of the server's own: on it somebody speaks as a native in
// the name of a client of 2016, which only so can come into the chain. Conn is the port's then.
type StandIn struct {
	Conn  net.Conn
	FedBy string // id of the node that the client was told to receive from
}

// holder is a connection, as its acceptor knows it.
type holder struct {
	conn *actor.PID
	end  *atomic.Pointer[end]

	id       string // of its listener; empty: nobody's
	instance string
	from     string
	heard    *atomic.Int64 // when it last said something, unix nanoseconds
}

// end is what the end of a listener's connection means. The connection says so BEFORE it ends, and its
// acceptor looks when it has: so the chain hears of each end once, whatever breaks.
type end struct {
	ends   ending
	reason string
}

// ending is what the chain is told.
type ending int

const (
	lost  ending = iota // PeerLost
	left                // LeaveChain
	notIn               // nothing: it does not believe that the listener is there
)

// What a connection and its acceptor say to each other.
type (
	// bind asks that news for the id go to the connection; answered with bound.
	bind struct {
		conn         *actor.PID
		id, instance string
		from         string
		heard        *atomic.Int64
		guest        *guest
		since        time.Time // when it said HELLO
	}
	bound struct {
		replaced bool   // an older connection had the id
		full     bool   // there are as many listeners as there may be: it is not bound
		claimed  ruling // of an id that another connection has: only takeOver means bound
		by       string // address of that other
	}
	// enter takes the connection's listener to the chain, which answers.
	enter struct {
		conn *actor.PID
		join *messages.JoinChain
	}
	// goodbye: the end of the connection can be told now.
	goodbye struct{ conn *actor.PID }
	// replaced tells a connection that its listener has a newer one.
	replaced struct{}
	// welcomed: WELCOME is on its way, news may follow.
	welcomed struct{}
)

// Receive knows which connection is whose, and nothing else.
func (r *requests) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		root, self := ctx.ActorSystem().Root, ctx.Self()
		r.lobby = requestLobby(r.cfg.Limits, func() []byte {
			return fmt.Appendf(nil, "Your address has %d connections here, which is the limit. Close some, or try again later.\n", r.cfg.Limits.PerAddress)
		})
		r.door.open(root, self, r.cfg.Listener, r.lobby)
	case *accepted:
		r.talk(ctx, msg.guest, nil)
	case *StandIn:
		if r.closing {
			_ = msg.Conn.Close()
			return
		}
		r.talk(ctx, r.lobby.own(msg.Conn), msg)
	case *bind:
		r.bind(ctx, msg)
	case *enter:
		if h := r.talks[msg.conn.GetId()]; h.listens(r) { // else it would be there for ever
			ctx.RequestWithCustomSender(r.cfg.Chain, msg.join, ctx.Sender())
		}
	case *goodbye:
		r.over(ctx, r.talks[msg.conn.GetId()])
	case *actor.Terminated:
		r.over(ctx, r.talks[msg.Who.GetId()])
		delete(r.talks, msg.Who.GetId())
	case *messages.CallRoll:
		ctx.Respond(&messages.Roll{Here: slices.Collect(maps.Keys(r.bound)), Left: slices.Collect(maps.Keys(r.left))})
	case *messages.Neighbours:
		if to, is := r.bound[msg.GetId()]; is {
			ctx.Send(to.conn, msg)
		}
	case *messages.Playing:
		r.playing = msg
		for _, to := range r.bound {
			ctx.Send(to.conn, msg)
		}
	case *actor.Restarting:
		r.lobby.close()
	case *actor.Stopping:
		r.closing = true // the server goes, its listeners stay: they are not lost
		_ = r.cfg.Listener.Close()
		r.lobby.close()
	}
}

// talk gives the connection an actor, of whose end r is told as its parent.
func (r *requests) talk(ctx actor.Context, guest *guest, standIn *StandIn) {
	last := &atomic.Pointer[end]{}
	last.Store(&end{lost, errBroken.Error()})
	pid := ctx.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &request{cfg: r.cfg, pace: r.pace, conn: guest.conn, guest: guest, standIn: standIn, end: last}
	}))
	r.talks[pid.GetId()] = &holder{conn: pid, end: last}
}

// listens says whether it is the connection of a listener.
func (h *holder) listens(r *requests) bool { return h != nil && h.id != "" && r.bound[h.id] == h }

// bind gives the id to the connection, unless it has ended or another has a better claim.
func (r *requests) bind(ctx actor.Context, msg *bind) {
	h := r.talks[msg.conn.GetId()]
	if h == nil {
		return
	}
	older, is := r.bound[msg.id]
	if !is && len(r.bound) >= r.cfg.Limits.Listeners && !msg.guest.outrank() {
		ctx.Respond(&bound{full: true})
		return
	}
	if is {
		claim := claim{
			sameLife: older.instance == msg.instance, waited: time.Since(msg.since),
			quiet: time.Since(time.Unix(0, older.heard.Load())),
		}
		if ruling := claim.rule(); ruling != takeOver {
			ctx.Respond(&bound{claimed: ruling, by: older.from})
			return
		}
		ctx.Send(older.conn, &replaced{})
	}
	h.id, h.instance, h.from, h.heard = msg.id, msg.instance, msg.from, msg.heard
	r.bound[h.id] = h
	delete(r.left, h.id)
	if r.playing != nil {
		ctx.Send(h.conn, r.playing)
	}
	ctx.Respond(&bound{replaced: is, claimed: takeOver})
}

// over tells the chain of the end of a listener's connection, unless the listener has a newer one.
func (r *requests) over(ctx actor.Context, h *holder) {
	if !h.listens(r) {
		return
	}
	delete(r.bound, h.id)
	r.cfg.Parted(h.id)
	now := r.cfg.Now().UnixMicro()
	switch end := h.end.Load(); {
	case end.ends == left:
		if len(r.left) >= maxLeftListeners {
			clear(r.left)
		}
		r.left[h.id] = true
		ctx.Send(r.cfg.Chain, &messages.LeaveChain{Id: h.id, AtUnixUs: now})
	case end.ends == lost && !r.closing:
		ctx.Send(r.cfg.Chain, &messages.PeerLost{Id: h.id, SeenBy: messages.ServerID, Reason: end.reason, AtUnixUs: now})
	}
}

// request is one accepted connection.
type request struct {
	cfg   *RequestsConfig
	pace  *pace
	conn  net.Conn // as it was accepted: to close it waits for nobody, unlike TLS
	guest *guest
	// standIn is set where the server's own adapter speaks.
	standIn *StandIn

	stop context.CancelFunc
	out  *outbox
	end  *atomic.Pointer[end]

	native bool            // has had its WELCOME
	news   []proto.Message // what came before; at most one of a kind
}

// Receive brings news to the peer; its lines are answered in requestTalk.
func (q *request) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		q.start(ctx)
	case *welcomed:
		q.native = true
		for _, m := range q.news {
			q.push(m)
		}
		q.news = nil
	case *messages.Neighbours:
		q.tell(msg)
	case *messages.Playing:
		q.tell(msg)
	case *replaced:
		_ = q.conn.Close()
	case *actor.Stopping:
		q.stop()
		_ = q.conn.Close() // wakes every read and write
		q.guest.leave()
	case *crashed:
		panic(msg.reason)
	}
}

func (q *request) start(ctx actor.Context) {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	life, stop := context.WithCancel(context.Background())
	q.stop = stop
	conn := q.conn
	q.out = newOutbox(&q.cfg.Counters.Cut, func(err error) {
		if errors.Is(err, errStuck) { // who is gone may have said something before, perhaps goodbye
			_ = conn.Close()
		}
	})
	talk := &requestTalk{
		cfg: q.cfg, pace: q.pace, conn: conn, guest: q.guest, standIn: q.standIn, out: q.out, end: q.end,
		root: root, self: self, parent: ctx.Parent(), life: life,
		asking: rate.NewLimiter(rate.Limit(q.cfg.Limits.Requests), int(burstSeconds*q.cfg.Limits.Requests)+1),
		words:  newWords(q.cfg.Limits),
	}
	guard(root, self, func() {
		talk.serve()
		retire(life, root, self)
	})
}

// tell brings news, or keeps it until the WELCOME is out: the newest of its kind only.
func (q *request) tell(m proto.Message) {
	if q.native {
		q.push(m)
		return
	}
	for i, older := range q.news {
		if verb(older) == verb(m) {
			q.news[i] = m
			return
		}
	}
	q.news = append(q.news, m)
}

func (q *request) push(m proto.Message) {
	line, err := AppendLine(nil, m)
	if err != nil {
		panic(err) // both kinds of news have a line
	}
	q.out.push(line)
}
