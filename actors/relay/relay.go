package relay

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"conga/actors/eventlog"
	"conga/actors/relay/search"
	"conga/actors/window"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// Config is what a relay needs.
type Config struct {
	Log    *eventlog.Log // the listener's own
	Window *window.Window
	// Chunk checks what a chunk holds; nil: mp3 frames.
	Chunk  func(frames []byte) error
	Self   func() *messages.Node
	Server func() string // host:port of the server's stream
	// Dial describes a child that connects to addr, says open and reports what comes.
	Dial func(link uint64, addr string, open *messages.OpenStream) *actor.Props
	// Take describes the same child on a connection that the upstream made; Refuse lets it be closed.
	Take   func(link, ticket uint64, open *messages.OpenStream) *actor.Props
	Refuse func(ticket uint64)
	// Offer makes the stream port dial a listener that this node must dial; nil: nobody.
	Offer func(to *messages.Node)
	// Tell sends the server what this node saw.
	Tell func(proto.Message)
	// Said is what the server said last, each nil before its first word. A relay that begins asks
	// for it: what was said to a life before this one, or meanwhile, does not come again.
	Said func() (*messages.Welcome, *messages.Neighbours)
	// Tally counts what was received, through all lives of the relay, as Window keeps it.
	Tally *Tally
	// ServerNow is the server's clock as far as this node knows, in unix microseconds.
	ServerNow func() int64
	Logger    *slog.Logger
}

// Props describes the relay's actor. It is sent *messages.Welcome and *messages.Neighbours
// as the server says them, and the reports of its links and of the stream port. It answers
// a *messages.Look with a messages.View.
func Props(cfg Config) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor {
		return &relay{cfg: cfg, machine: newMachine(cfg.Window, cfg.Chunk, cfg.Tally)}
	})
}

// relay gives its machine what comes in, keeps what follows, and carries it out.
type relay struct {
	cfg     Config
	machine machine
	keep    *eventlog.Keeper[search.State]
	links   map[uint64]*actor.PID // children, by their link's number
	search  *time.Timer           // sends SearchOn
	steady  *time.Timer           // sends glance
	round   uint64                // of steady
	ending  bool
}

// looked is the message of the relay's steady timer.
type looked struct{ round uint64 }

func (r *relay) Receive(ctx actor.Context) {
	if r.ending {
		r.outlast(ctx.Message())
		return
	}
	m := &r.machine
	m.at(moment{time.Now(), r.cfg.ServerNow()})
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		r.start(ctx)
	case *actor.Stopping, *actor.Restarting:
		r.ending = true
		r.round++
		stop(r.search)
		stop(r.steady)
	case *messages.Welcome:
		m.welcome(msg)
	case *messages.StartNode:
		m.decide(msg)
	case *messages.Neighbours:
		m.neighbours(msg)
	case *messages.StreamOffered:
		m.offeredBy(msg.Node, msg.Ticket)
	case *messages.SearchOn:
		m.searchOn(msg)
	case looked:
		if msg.round == r.round {
			r.lookAgain(ctx)
			m.glance()
		}
	case *messages.UpstreamOpened:
		m.opened(msg.Link, msg.Answer)
	case *messages.UpstreamItem:
		m.item(msg.Link, msg.Item, msg.SentUs)
	case *messages.UpstreamSeal:
		m.seal(msg.Link, msg.Seal)
	case *messages.UpstreamLeaving:
		m.closed(&messages.LinkClosed{Link: msg.Link, Reason: "it leaves", Ending: messages.Ending_ENDING_LEAVING})
	case *messages.UpstreamClosed:
		m.closed(&messages.LinkClosed{Link: msg.Link, Reason: msg.Reason, Fault: msg.Fault})
	case *messages.Look:
		msg.Reply <- messages.View{Actor: "relay", Seq: r.keep.Seq(), State: r.keep.State(), Live: m.live()}
	}
	r.carryOut(ctx)
	switch msg := ctx.Message().(type) {
	case *messages.UpstreamItem:
		if pid := r.links[msg.Link]; pid != nil {
			ctx.Send(pid, &messages.Credit{})
		}
	case *messages.UpstreamClosed:
		delete(r.links, msg.Link)
	}
}

// outlast takes what comes while the relay waits for its links' end: a link dialled now would have
// no one to stop it. The next relay asks for the server's words itself; but whether the broadcast
// goes on from the window is said once.
func (r *relay) outlast(msg any) {
	switch msg := msg.(type) {
	case *messages.Welcome:
		_ = r.machine.adopt(msg)
	case *messages.StreamOffered:
		r.cfg.Refuse(msg.Ticket)
	}
}

func (r *relay) start(ctx actor.Context) {
	keep, err := eventlog.NewKeeper(r.cfg.Log, "relay", search.State{})
	if err != nil {
		panic(fmt.Errorf("rebuild the relay: %w", err))
	}
	r.keep, r.links = keep, map[uint64]*actor.PID{}
	welcome, above := r.cfg.Said()
	r.machine.start(keep.State(), welcome, above)
	r.lookAgain(ctx)
}

// carryOut keeps what the machine has decided, and then does it.
func (r *relay) carryOut(ctx actor.Context) {
	follows := r.machine.out
	r.machine.out = out{}
	for _, cmd := range follows.commands {
		events, err := r.keep.Commit(cmd)
		if err != nil {
			panic(err) // an actor that cannot remember must not act: the supervisor restarts it
		}
		for _, event := range events {
			r.say(event)
		}
	}
	for _, e := range follows.effects {
		switch e := e.(type) {
		case dial:
			r.dial(ctx, e)
		case searchAfter:
			r.searchAfter(ctx, e)
		case searchNoMore:
			stop(r.search)
		case offer:
			if r.cfg.Offer != nil {
				r.cfg.Offer(e.to)
			}
		case refuse:
			r.cfg.Refuse(e.ticket)
		case tell:
			r.cfg.Tell(e.word)
		case begunAnew:
			r.cfg.Logger.Warn("the server's broadcast does not go on from what was heard: beginning anew")
		}
	}
	r.hangUp(ctx)
}

// say tells the listener's user what happened.
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

func (r *relay) dial(ctx actor.Context, d dial) {
	number, open, props := d.sought.GetLink(), d.open, r.cfg.Dial
	open.Node = r.cfg.Self()
	addr := d.sought.GetNode().GetRelay()
	if d.sought.GetNode().GetId() == messages.ServerID {
		addr = r.cfg.Server()
	}
	if d.ticket > 0 {
		props = func(link uint64, _ string, open *messages.OpenStream) *actor.Props {
			return r.cfg.Take(link, d.ticket, open)
		}
	}
	r.links[number] = ctx.Spawn(props(number, addr, open))
}

// hangUp stops the links that the state does not know any more.
func (r *relay) hangUp(ctx actor.Context) {
	for number, pid := range r.links {
		if _, seeking := r.machine.state.Sought(number); !seeking && !r.machine.feeds(number) {
			ctx.Stop(pid)
			delete(r.links, number)
		}
	}
}

// searchAfter goes on with the search after the wait.
func (r *relay) searchAfter(ctx actor.Context, e searchAfter) {
	stop(r.search)
	wait := e.wait
	if e.jitter {
		wait = wait/2 + rand.N(wait/2)
	}
	root, self, link := ctx.ActorSystem().Root, ctx.Self(), r.machine.state.Links
	r.search = time.AfterFunc(wait, func() { root.Send(self, &messages.SearchOn{Link: link}) })
}

func (r *relay) lookAgain(ctx actor.Context) {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	r.round++
	next := looked{r.round}
	r.steady = time.AfterFunc(glance, func() { root.Send(self, next) })
}

func stop(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}
