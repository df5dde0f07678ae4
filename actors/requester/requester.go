// Package requester talks to the server for a listener: its requests, its place in the chain,
// the server's clock. It keeps one request connection open for the listener's whole life. When
// the connection breaks, it connects again and repeats unanswered requests with the same id, so
// that the server takes each once.
package requester

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"conga/actors/requester/clockfilter"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
)

const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
	// lostTogether is where the waits go on from when the server is lost, because probably all have lost it: firstRetry<<4, so
	// they come back 160 to 320 ms later. The music needs the server's time more than this connection does.
	lostTogether = 4
	// patient is after how many failures the wait is the longest.
	patient = 6
	// following is as many failures as a server counts for that does not lead: while the lead passes from one to another, each is
	// asked some times a second.
	following   = 4
	pongMissing = 4 * time.Second
	// lookEvery is how often the requester looks whether there is something to say. If there is nothing, its pings are
	// up to clockfilter.Rarest apart.
	lookEvery = time.Second
	// welcomeMissing is how long a server may take for its WELCOME after the connection is open: it
	// tries this node's port meanwhile.
	welcomeMissing = 6 * time.Second
	// steady is how long a connection must last to count as successful, so that a server that
	// accepts and hangs up is not flooded.
	steady = 2 * time.Second
	// longestTold is the longest wait that the server can impose on this listener.
	longestTold = 10 * time.Minute
	// maxPending bounds the lines that wait while the server is away, maxReports the reports.
	// All of it fits into a new connection at once.
	maxPending = 32
	maxReports = 8
	// maxLines is how much of an answer goes into the listener's log.
	maxLines = 8
)

// Actor is the actor's name among its siblings, in the log and in the dump.
const Actor = "requester"

// Config configures a requester.
type Config struct {
	Hello func() *messages.Hello
	Clock *Clock
	// Dial describes a child that connects to the server and reports what it says.
	Dial func(link uint64) *actor.Props
	// Owed is what the requester has not delivered yet. A restarted requester continues with it.
	Owed *Owed
	// Tell gives the relay what concerns it: *messages.Welcome, *messages.Neighbours.
	Tell func(proto.Message)
	// Away tells the relay that the server has gone away, until Tell gives it a *messages.Welcome; may be nil.
	Away func()
	// Report takes the facts for the listener's log: RequestSent, RequestAnswered. May be nil.
	Report func(proto.Message)
	// News shows the listener what plays.
	News func(*messages.Playing)
	// Vitals adds to a ping how this node is; may be nil. It must not wait.
	Vitals func(*messages.ClockPing)
	// Joined is told the server's answer to each Hello; the Refused is nil if the listener is in.
	Joined func(*messages.Welcome, *messages.Refused)
	Logger *slog.Logger
}

// Props describes the requester's actor. It takes *messages.TypedLine, *messages.Leave,
// and reports for the server (*messages.PeerLost, *messages.Reconnected); it answers a
// *messages.Look.
func Props(cfg Config) *actor.Props {
	if cfg.Report == nil {
		cfg.Report = func(proto.Message) {}
	}
	return actor.PropsFromProducer(func() actor.Actor { return &requester{cfg: cfg, Owed: cfg.Owed} })
}

// Live is the requester's part of the dump.
type Live struct {
	Connected     bool    `json:"connected"`
	Connections   uint64  `json:"connections"` // tried so far
	Asked         int64   `json:"asked"`       // lines sent
	Answered      int64   `json:"answered"`
	Waiting       int     `json:"waiting"` // lines without an answer yet
	ClockOffsetMs float64 `json:"clockOffsetMs"`
	ClockErrorMs  float64 `json:"clockErrorMs"` // how wrong it probably is, by what delays have in common
	ClockBoundMs  float64 `json:"clockBoundMs"` // how wrong it is at most
	ClockSkewPpm  float64 `json:"clockSkewPpm"` // how much faster the server's clock runs
	RoundTripMs   float64 `json:"roundTripMs"`
	Goodbye       bool    `json:"goodbye,omitempty"` // it leaves, and the server may not know it yet
}

type pending struct {
	ask      *messages.Ask
	unlogged bool
	reply    chan<- []string
}

type requester struct {
	*Owed

	cfg      Config
	child    *actor.PID
	welcome  bool          // the server has taken this connection in
	welcomed time.Time     // when
	leaving  bool          // or ending: no connection is made any more
	goodbye  bool          // is on its way to the server
	failed   int           // connections in a row that did not last
	told     time.Duration // by the server that refused: not to ask again before

	pinged    *messages.ClockPing // the last ping
	pingedAt  time.Time
	turn      time.Time // the server wants no ping before that only measures
	missingAt time.Time // since when the server owes an answer, but for the time in which this process did not run; zero: it owes none
	lookAt    time.Time // when the next look is due
	round     uint64    // numbers the timers: an old one's message is ignored
	timer     *time.Timer
}

// Owed outlives a restart of its requester: typed lines that wait for answers, reports that wait for the
// server, and the last link number, so that none is used twice. Whoever starts the requester owns it; only
// the requester's goroutine reads and writes it.
type Owed struct {
	link    uint64 // number of the connection that counts
	waiting []pending
	reports []proto.Message // what the server has not been told yet, oldest first
	filter  clockfilter.Filter
	absence absence

	dialled         uint64
	asked, answered int64
}

// absence is what the listener was told about the connection to a server that had accepted it.
type absence int

const (
	here absence = iota
	away
	awayTold // and has been told that a typed line waits
)

type (
	redial  struct{ round uint64 }
	look    struct{ round uint64 }
	message func(round uint64) any
)

// Receive handles one message; each case is a line of the conversation.
func (r *requester) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		r.dial(ctx)
	case *actor.Stopping, *actor.Restarting:
		r.leaving = true // a connection made now would have no one to close it
		r.after(ctx, 0, nil)
	case redial:
		if msg.round == r.round {
			r.dial(ctx)
		}
	case look:
		if msg.round == r.round {
			r.look(ctx)
		}
	case *messages.RequestsOpened:
		if msg.Link == r.link && r.child != nil {
			ctx.Send(r.child, r.cfg.Hello())
			r.missingAt = time.Now() // a frozen server accepts connections and never answers
			r.lookAgain(ctx)
		}
	case *messages.RequestsClosed:
		if msg.Link == r.link && r.leaving {
			r.goodbye = false
		}
		if msg.Link == r.link && r.child != nil {
			r.closed(ctx, msg.Reason)
		}
	case *messages.RequestsSaid:
		if msg.Link == r.link && r.child != nil {
			r.hear(ctx, msg)
		}
	case *messages.TypedLine:
		r.ask(ctx, msg)
	case *messages.PeerLost:
		// The relay will ask a dead or slow node again, and accuse it again, but never a liar.
		if r.welcome || msg.GetFault() == messages.Fault_FAULT_LYING {
			r.report(ctx, msg)
		}
	case *messages.ReportSilent: // a server that was restarted does not know that client
		if r.welcome {
			r.report(ctx, msg)
		}
	case *messages.Reconnected: // the lost upstream may be the server: it is told when it is back
		r.report(ctx, msg)
	case *messages.Leave:
		r.leave(ctx)
	case *messages.Look:
		msg.Reply <- messages.View{Actor: Actor, Live: r.live()}
	}
}

// hear takes what the server says on the present connection. Messages from an older connection, perhaps
// to another server, do not count.
func (r *requester) hear(ctx actor.Context, msg *messages.RequestsSaid) {
	switch said := msg.Said.(type) {
	case *messages.Welcome:
		r.taken(ctx, said)
	case *messages.Refused:
		if said.GetFollows() { // another may lead already
			r.failed = following
		} else {
			r.failed = max(r.failed, patient)
		}
		r.told = min(time.Duration(said.GetWaitSeconds())*time.Second, longestTold)
		r.cfg.Joined(nil, said)
	case *messages.Neighbours:
		r.cfg.Tell(said)
	case *messages.Playing:
		r.cfg.News(said)
	case *messages.Answer:
		r.answer(said)
	case *messages.ClockPong:
		r.pong(said, msg.At)
	case *messages.SpeakUp:
		r.ping(ctx)
	}
}

// after replaces the one timer that the requester has; message nil only stops it.
func (r *requester) after(ctx actor.Context, wait time.Duration, say message) {
	if r.timer != nil {
		r.timer.Stop()
	}
	r.round++
	if say == nil {
		return
	}
	root, self, m := ctx.ActorSystem().Root, ctx.Self(), say(r.round)
	r.timer = time.AfterFunc(wait, func() { root.Send(self, m) })
}

func (r *requester) dial(ctx actor.Context) {
	if r.leaving {
		return
	}
	r.link++
	r.dialled++
	r.child = ctx.Spawn(r.cfg.Dial(r.link)) // it ends by itself if the server is not reached
}

func (r *requester) closed(ctx actor.Context, reason string) {
	if r.welcome {
		r.cfg.Logger.Warn("the server is away: this listener tries again and again, and the lines that you type wait", "reason", reason)
		r.absence = away
		if r.cfg.Away != nil {
			r.cfg.Away()
		}
		if time.Since(r.welcomed) >= steady {
			r.failed = lostTogether
		}
	}
	if r.child != nil {
		ctx.Stop(r.child) // it may be only silent
	}
	r.child, r.welcome = nil, false
	r.link++ // so that what the dead connection still brings is ignored
	if r.leaving {
		return
	}
	wait := min(firstRetry<<min(r.failed, 10), lastRetry)
	if r.told > 0 { // with the jitter on top: never earlier than the server said
		wait += 2 * r.told
		r.told = 0
	}
	r.failed++
	// Jitter, as at lostTogether: after a server's restart its listeners must not come in step.
	r.after(ctx, wait/2+rand.N(wait/2), func(round uint64) any { return redial{round} })
}

// taken begins the conversation after the server has accepted the listener.
func (r *requester) taken(ctx actor.Context, msg *messages.Welcome) {
	if r.leaving {
		return
	}
	r.welcome, r.welcomed = true, time.Now()
	r.missingAt, r.turn = time.Time{}, time.Time{}
	if r.absence != here {
		r.cfg.Logger.Info("the server is back")
		r.absence = here
	}
	r.cfg.Tell(msg)
	r.cfg.Joined(msg, nil)
	for _, p := range r.waiting {
		ctx.Send(r.child, p.ask)
	}
	r.tellReports(ctx)
}

func (r *requester) report(ctx actor.Context, msg proto.Message) {
	r.reports = append(r.reports, msg)
	r.reports = r.reports[max(0, len(r.reports)-maxReports):]
	r.tellReports(ctx)
}

func (r *requester) tellReports(ctx actor.Context) {
	if !r.welcome {
		return
	}
	for _, report := range r.reports {
		ctx.Send(r.child, report)
	}
	r.reports = nil
	r.ping(ctx)
}

func (r *requester) ask(ctx actor.Context, typed *messages.TypedLine) {
	if len(r.waiting) >= maxPending {
		typed.Reply <- []string{"The server has not answered yet; try again later"}
		return
	}
	p := pending{ask: &messages.Ask{RequestId: uuid.NewString(), Line: typed.Line}, unlogged: typed.Unlogged, reply: typed.Reply}
	r.waiting = append(r.waiting, p)
	r.asked++
	if !p.unlogged {
		r.cfg.Report(&messages.RequestSent{RequestId: p.ask.GetRequestId(), Line: typed.Line, AtUnixUs: r.cfg.Clock.Now()})
	}
	switch {
	case r.welcome:
		ctx.Send(r.child, p.ask)
		r.ping(ctx) // whether the line gets there
	case r.absence == away && !p.unlogged:
		r.cfg.Logger.Info("the server is away: what you type is answered when it is back")
		r.absence = awayTold
	}
}

func (r *requester) answer(msg *messages.Answer) {
	for i, p := range r.waiting {
		if p.ask.GetRequestId() == msg.GetRequestId() {
			p.reply <- msg.GetLines()
			r.waiting = append(r.waiting[:i:i], r.waiting[i+1:]...)
			r.answered++
			if !p.unlogged {
				r.cfg.Report(&messages.RequestAnswered{
					RequestId: msg.GetRequestId(), Lines: msg.GetLines()[:min(len(msg.GetLines()), maxLines)],
					AtUnixUs: r.cfg.Clock.Now(),
				})
			}
			return
		}
	}
}

// leave says goodbye once. The present connection still sends it, and none is made again. A connection that
// the server has not answered yet must not become a place in the chain.
func (r *requester) leave(ctx actor.Context) {
	r.leaving = true
	r.after(ctx, 0, nil)
	switch {
	case r.welcome:
		ctx.Send(r.child, &messages.LeaveChain{AtUnixUs: r.cfg.Clock.Now()})
		ctx.Poison(r.child)
		r.goodbye = true
	case r.child != nil:
		ctx.Stop(r.child)
	}
	r.child, r.welcome = nil, false
}

func (r *requester) live() Live {
	clock := r.cfg.Clock.Estimate()
	return Live{
		Connected: r.welcome, Connections: r.dialled, Asked: r.asked, Answered: r.answered,
		Waiting: len(r.waiting), Goodbye: r.goodbye,
		ClockOffsetMs: clock.OffsetUs / 1000, ClockErrorMs: clock.ErrorUs / 1000, ClockBoundMs: clock.BoundUs / 1000,
		ClockSkewPpm: clock.Skew * 1e6, RoundTripMs: float64(clock.RoundTripUs) / 1000,
	}
}
