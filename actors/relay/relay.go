package relay

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"conga/actors/eventlog"
	"conga/actors/relay/machine"
	"conga/actors/relay/search"
	"conga/actors/window"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// Actor is the actor's name among its siblings, in the log and in the dump.
const Actor = "relay"

// Config configures a relay.
type Config struct {
	Log    *eventlog.Log // the listener's own
	Window *window.Window
	// Chunk checks the content of a chunk; nil: it must be mp3 frames.
	Chunk  func(frames []byte) error
	Self   func() *messages.Node
	Server func() string // host:port of the server's stream
	// Dial describes a child that connects to addr, sends open and reports what comes. Its own goroutine calls report,
	// which returns how many items are done with; for each of the others the relay sends a *messages.Credit when it has
	// handled it.
	Dial func(link uint64, addr string, open *messages.OpenStream, report func(any) (done int)) *actor.Props
	// Take describes the same child on a connection that the upstream has made; Refuse closes that.
	Take   func(link, ticket uint64, open *messages.OpenStream, report func(any) (done int)) *actor.Props
	Refuse func(ticket uint64)
	// Offer makes the stream port dial a listener that this node must dial; nil: nobody.
	Offer func(to *messages.Node)
	// Tell sends the server a report.
	Tell func(proto.Message)
	// Said returns the server's last messages, nil for one that has not come yet. A relay asks for them
	// when it starts: what came before, or during a restart, does not come again.
	Said func() (*messages.Welcome, *messages.Neighbours)
	// Tally counts what was received. Like Window, it outlives a restart of the relay.
	Tally *Tally
	// ServerNow returns the server's clock as far as this node knows it, in unix microseconds.
	ServerNow func() int64
	Logger    *slog.Logger
}

// Tally has a listener's counters.
type Tally = machine.Tally

// Live is the relay's part of the dump that is not in the log.
type Live struct {
	machine.Live
	Downstream []string `json:"downstream"` // the names of those it feeds; its owner fills them in
}

// Props describes the relay's actor. It gets *messages.Welcome and *messages.Neighbours as they come
// from the server, *messages.ServerAway when that goes, and the reports of its links and of the stream port. It answers a *messages.Look
// with a messages.View.
func Props(cfg Config) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor {
		return &relay{cfg: cfg, short: short{machine: machine.New(cfg.Chunk, cfg.Tally), window: cfg.Window, now: cfg.ServerNow}}
	})
}

// relay passes inputs to its machine, commits the commands that follow, and carries out the effects.
type relay struct {
	short

	cfg    Config
	keep   *eventlog.Keeper[search.State]
	links  map[uint64]*actor.PID // children, by their link's number
	search *time.Timer           // sends SearchOn
	ending bool
}

func (r *relay) Receive(ctx actor.Context) {
	message, left := r.close(ctx.Message())
	if r.ending {
		r.outlast(message)
		return // and the short way stays closed
	}
	switch message.(type) {
	case *actor.Stopping, *actor.Restarting: // like what is in the mailbox, it ends with the relay
	default:
		for _, follows := range left {
			r.carryOutAll(ctx, follows)
		}
	}
	r.receive(ctx, message)
	if !r.ending {
		r.open() // after a panic it stays closed
	}
}

func (r *relay) receive(ctx actor.Context, message any) {
	switch msg := message.(type) {
	case *actor.Started:
		r.start(ctx)
	case *actor.Stopping, *actor.Restarting:
		r.ending = true
		stop(r.search)
		stop(r.clock)
	case broken:
		panic(msg.reason)
	case *messages.Look:
		msg.Reply <- messages.View{Actor: Actor, Seq: r.keep.Seq(), State: r.keep.State(), Live: Live{Live: r.machine.Live()}}
	case look:
		r.step(ctx, machine.Look{})
	case *messages.UpstreamItem:
		r.step(ctx, msg)
		if pid := r.links[msg.Link]; pid != nil {
			ctx.Send(pid, &messages.Credit{})
		}
	case *messages.UpstreamClosed:
		r.step(ctx, msg)
		delete(r.links, msg.Link)
	case *messages.Welcome, *messages.ServerAway, *messages.Neighbours, *messages.StreamOffered, *messages.SearchOn,
		*messages.UpstreamOpened, *messages.UpstreamSeal, *messages.UpstreamLeaving:
		r.step(ctx, msg)
	}
}

// outlast handles messages while the relay waits for its links to end: a link dialled now would have no one
// to stop it. The next relay asks for the server's messages itself; but that the broadcast does not continue
// from the window is said only once.
func (r *relay) outlast(msg any) {
	switch msg := msg.(type) {
	case *messages.Welcome:
		if r.machine.Adopt(msg) {
			r.cfg.Window.Restart()
		}
	case *messages.StreamOffered:
		r.cfg.Refuse(msg.Ticket)
	}
}

func (r *relay) start(ctx actor.Context) {
	keep, err := eventlog.NewKeeper(r.cfg.Log, Actor, search.State{})
	if err != nil {
		panic(fmt.Errorf("rebuild the relay: %w", err))
	}
	r.keep, r.links = keep, map[uint64]*actor.PID{}
	welcome, above := r.cfg.Said()
	r.step(ctx, machine.Begin{
		State: keep.State(), Next: r.cfg.Window.Next(), Last: r.cfg.Window.Last(), Welcome: welcome, Above: above,
	})
	root, self := ctx.ActorSystem().Root, ctx.Self()
	r.watch(func(m any) { root.Send(self, m) })
}

// step lets the machine decide on the input and carries out what follows.
func (r *relay) step(ctx actor.Context, input any) {
	r.carryOutAll(ctx, r.decide(input))
}

// carryOutAll commits the commands, and then carries out the effects.
func (r *relay) carryOutAll(ctx actor.Context, follows machine.Out) {
	for _, cmd := range follows.Commands {
		events, err := r.keep.Commit(cmd)
		if err != nil {
			panic(err) // an actor that cannot write to the log must not act: the supervisor restarts it
		}
		for _, event := range events {
			r.say(event)
		}
	}
	for _, e := range follows.Effects {
		r.carryOut(ctx, e)
	}
	for number, pid := range r.links {
		if !r.machine.Needs(number) {
			ctx.Stop(pid)
			delete(r.links, number)
		}
	}
}

func (r *relay) carryOut(ctx actor.Context, e machine.Effect) {
	switch e := e.(type) {
	case machine.Pass:
		if err := r.cfg.Window.Append(e.Item); err != nil {
			panic(err) // the next relay begins where the window is
		}
	case machine.BegunAnew:
		r.cfg.Window.Restart()
		r.cfg.Logger.Warn("the server's broadcast does not continue the one that was heard: beginning anew")
	case machine.Dial:
		r.dial(ctx, e)
	case machine.SearchAfter:
		r.searchAfter(ctx, e)
	case machine.SearchNoMore:
		stop(r.search)
	case machine.Offer:
		if r.cfg.Offer != nil {
			r.cfg.Offer(e.To)
		}
	case machine.Refuse:
		r.cfg.Refuse(e.Ticket)
	case machine.Tell:
		r.cfg.Tell(e.Word)
	}
}

// say logs the event for the listener's user.
func (r *relay) say(event proto.Message) {
	switch event := event.(type) {
	case *messages.UpstreamConnected:
		r.cfg.Logger.Info("receiving", "from", event.GetNode().GetName(), "searchMs", float64(event.GetSearchUs())/1000)
	case *messages.UpstreamLost:
		r.cfg.Logger.Info("upstream lost", "node", event.GetNode().GetName(), "reason", event.GetReason())
	case *messages.UpstreamUnusable:
		r.cfg.Logger.Debug("ancestor cannot serve", "node", event.GetNode().GetName(), "reason", event.GetReason())
	}
}

func (r *relay) dial(ctx actor.Context, d machine.Dial) {
	number, open := d.Sought.GetLink(), d.Open
	open.Node = r.cfg.Self()
	root, self := ctx.ActorSystem().Root, ctx.Self()
	report := func(what any) int { return r.take(what, func(m any) { root.Send(self, m) }) }
	addr := d.Sought.GetNode().GetRelay()
	if d.Sought.GetNode().GetId() == messages.ServerID {
		addr = r.cfg.Server()
	}
	if d.Ticket > 0 {
		r.links[number] = ctx.Spawn(r.cfg.Take(number, d.Ticket, open, report))
		return
	}
	r.links[number] = ctx.Spawn(r.cfg.Dial(number, addr, open, report))
}

// searchAfter sets the timer after which the search goes on.
func (r *relay) searchAfter(ctx actor.Context, e machine.SearchAfter) {
	stop(r.search)
	wait := e.Wait
	if e.Jitter {
		wait = wait/2 + rand.N(wait/2)
	}
	root, self := ctx.ActorSystem().Root, ctx.Self()
	r.search = time.AfterFunc(wait, func() { root.Send(self, &messages.SearchOn{Link: e.Link}) })
}

func stop(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}
