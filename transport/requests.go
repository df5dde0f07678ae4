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

// RequestsConfig configures the server's request port.
type RequestsConfig struct {
	Listener net.Listener // the acceptor closes it

	Catalog   *actor.PID // answers ListSongs with List
	Scheduler *actor.PID // answers RequestPlay, CancelRequest, SkipSong, ListRequests, ListHistory, AskLibrary
	Chain     *actor.PID // answers JoinChain with Welcome or Refused, ListListeners; is told LeaveChain and PeerLost

	// Follows reports whether the broadcast continues the one with the song that a Hello names; nil: it does.
	Follows func(songNumber uint64, playAtUnixUs int64) bool

	// Servers are the request ports of all servers of the radio, for WELCOME; nil: there is only this one. With Standby another
	// one leads, or none: then every line is answered with what Standby says, and no actor is asked.
	Servers []string
	Standby func() string

	Persons *Persons // tells those apart who ask; nil: it forgets them when it ends

	Auth   *Auth       // clients must know its token; nil: all may come
	TLS    *tls.Config // see ServerTLS; nil: plain text only
	Limits Limits
	Disk   Disk  // below the server's log; nil: one that is never full
	NoDisk error // why nobody can ask for a song while the disk is full or away; nil: the usual

	// Pinged is called for each ping of a listener; the node's relay is empty if nobody can connect
	// there, and name is one that leads there and for which it says that it has a certificate, or empty. Parted is called
	// when a listener's connection has ended. Both may be nil.
	Pinged func(node *messages.Node, name string, ping *messages.ClockPing)
	Parted func(id string)
	// Web answers HTTP; VisitOf gives a request's connection. nil: every answer is 404.
	Web http.Handler

	Dial     DialFunc         // tries a newcomer's relay; nil: DialNode
	Resolve  ResolveFunc      // of a host that a newcomer names; nil: as this machine does
	Now      func() time.Time // the server's clock; nil: time.Now
	Counters *Counters        // may be nil

	// Seed gets a connection before its first line is read, and waits for its first bytes. It
	// returns true when it has handled the connection to its end. After false the connection, with
	// all bytes still unread, is treated as lines. nil: there are only lines. With Auth it is not
	// called, because the program of 2016 has no way to send a token.
	Seed func(context.Context, *Stranger) bool
}

// Requests is the server's request port: an acceptor whose children are the connections.
//
// It passes Neighbours to the connection of their node, and Playing to every native, including those
// that come later. A connection gets news only after its WELCOME. When the actor of a listener's
// connection has ended, for whatever reason, and the listener had not said that it leaves, cfg.Chain
// is told PeerLost, unless the listener came back on another connection before. Requests answers
// messages.CallRoll with messages.Roll.
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
	if cfg.NoDisk == nil {
		cfg.NoDisk = errDisk
	}
	if cfg.Persons == nil {
		cfg.Persons = NewPersons(nil)
	}
	if cfg.Counters == nil {
		cfg.Counters = &Counters{}
	}
	if cfg.Pinged == nil {
		cfg.Pinged = func(*messages.Node, string, *messages.ClockPing) {}
	}
	if cfg.Parted == nil {
		cfg.Parted = func(string) {}
	}
	if cfg.Web == nil {
		cfg.Web = http.NotFoundHandler()
	}
	entry, pace := &door{}, newPace(cfg.Limits) // they outlive a restart of the actor
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
	left    map[string]bool    // the last listeners that said goodbye
	playing *messages.Playing  // the latest, for newcomers
	closing bool
}

// maxLeftListeners bounds the memory for goodbyes.
const maxLeftListeners = 1024

// StandIn gives the port a connection on which the server itself speaks as a native for a client of
// 2016. Such a client can come into the chain only in this way. The port owns Conn from then on.
type StandIn struct {
	Conn  net.Conn
	FedBy string   // id of the node that the client was told to receive from
	From  net.Addr // of the client
	// Host: the person at the server's own terminal speaks, not a client of 2016.
	Host bool
}

// holder is what the acceptor knows about a connection.
type holder struct {
	conn *actor.PID
	end  *atomic.Pointer[end]

	id       string // its listener's; empty: it has none
	instance string
	from     string
	heard    *atomic.Int64 // when it last said something, unix nanoseconds
}

// end is what the end of a listener's connection means. The connection sets it before it ends, and the
// acceptor reads it afterwards. So the chain is told of each end once, whatever breaks.
type end struct {
	ends   ending
	reason string
}

// ending is what the chain is told.
type ending int

const (
	lost  ending = iota // PeerLost
	left                // LeaveChain
	notIn               // nothing: the chain does not have the listener
)

// Messages between a connection and its acceptor.
type (
	// bind asks to bind the id to the connection, which then gets its news; answered with bound.
	bind struct {
		conn         *actor.PID
		id, instance string
		from         string
		heard        *atomic.Int64
		guest        *guest
		since        time.Time     // when it said HELLO
		called       bool          // the older connection has been told to speak up
		looked       time.Duration // for so long it was looked whether that has
	}
	bound struct {
		replaced bool   // an older connection had the id
		full     bool   // the limit of listeners is reached: it is not bound
		claimed  ruling // if another connection has the id; only takeOver means bound
		by       string // that other connection's address
	}
	// enter sends the connection's JoinChain to the chain, which answers the sender.
	enter struct {
		conn *actor.PID
		join *messages.JoinChain
	}
	// goodbye: the end of the connection can be reported now.
	goodbye struct{ conn *actor.PID }
	// replaced tells a connection that its listener has a newer one.
	replaced struct{}
	// welcomed: WELCOME was sent, news may follow.
	welcomed struct{}
)

// Receive keeps track of which connection belongs to which listener.
func (r *requests) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		root, self := ctx.ActorSystem().Root, ctx.Self()
		r.lobby = requestLobby(r.cfg.Limits, func() []byte {
			return fmt.Appendf(nil, "Your address has %d connections here, which is the limit. Close some, or try again later.\n", r.cfg.Limits.PerAddress)
		})
		r.lobby.refused = r.cfg.Counters.Refuse
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
		if h := r.talks[msg.conn.GetId()]; h.listens(r) { // otherwise nobody would ever report its end
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
		r.closing = true // the server leaves, its listeners stay: they are not lost
		_ = r.cfg.Listener.Close()
		r.lobby.close()
	}
}

// talk gives the connection an actor. As its parent, r gets Terminated when it ends.
func (r *requests) talk(ctx actor.Context, guest *guest, standIn *StandIn) {
	last := &atomic.Pointer[end]{}
	last.Store(&end{lost, errBroken.Error()})
	pid := ctx.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &request{cfg: r.cfg, pace: r.pace, conn: guest.conn, guest: guest, standIn: standIn, end: last}
	}))
	r.talks[pid.GetId()] = &holder{conn: pid, end: last}
}

// listens reports whether h is the current connection of a listener.
func (h *holder) listens(r *requests) bool { return h != nil && h.id != "" && r.bound[h.id] == h }

// bind binds the id to the connection, unless it has ended or the other connection keeps the id.
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
			sameLife: older.instance == msg.instance, waited: time.Since(msg.since), looked: msg.looked,
			quiet: time.Since(time.Unix(0, older.heard.Load())),
		}
		if ruling := claim.rule(); ruling != takeOver {
			if !msg.called {
				ctx.Send(older.conn, &messages.SpeakUp{})
				msg.called = true
			}
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

// over tells the chain that a listener's connection has ended, unless the listener has a newer one.
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
	conn  net.Conn // as accepted: closing it never waits; closing TLS may
	guest *guest
	// standIn is set if the server itself speaks for a client of 2016.
	standIn *StandIn

	stop context.CancelFunc
	out  *outbox
	end  *atomic.Pointer[end]

	native bool            // it has got its WELCOME
	news   []proto.Message // what came before that; at most one of a kind
}

// Receive sends news to the peer; requestTalk answers its lines.
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
	case *messages.SpeakUp:
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
		if errors.Is(err, errStuck) { // on other errors the peer's last lines, perhaps a goodbye, can still be read
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
		talk.begin(func() { retire(life, root, self) })
	})
}

// tell sends news. Before the WELCOME is sent, it keeps the newest of each kind.
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
