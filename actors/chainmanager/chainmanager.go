package chainmanager

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"conga/actors/chainmanager/chain"
	"conga/actors/eventlog"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// returnWithin is how long a restarted server waits for the listeners it remembers.
// They search with a backoff of at most a second.
const returnWithin = 5 * time.Second

// Actor is the actor's name among its siblings and in the log; the dump calls it DumpName.
const (
	Actor    = "chainmanager"
	DumpName = "chainManager"
)

// Config configures a chain manager.
type Config struct {
	Log *eventlog.Log
	// Links returns the actor that passes *messages.Neighbours to the listeners.
	Links func() *actor.PID
	// Members is told which listeners came, went, or have another upstream, BEFORE any listener is told its
	// neighbours, because the server serves all that are in the chain. If all is true, changed is the whole
	// chain. May be nil.
	Members func(changed map[string]messages.Standing, all bool)
	// Key is the ed25519 public key that signs the broadcast.
	Key []byte
	// Now reads the server's clock.
	Now func() time.Time
	// PerAddress is how many connections one address may have: with more than usual, it may also cause more events. 0: the
	// usual number.
	PerAddress int
	// Audit describes a child that connects to a node's stream, sends open and reports what comes,
	// as for a relay; nil: there are no audits. Auditor is the node as which it asks: the accused
	// cannot tell it from an ordinary guest. Newest returns the number of the server's newest item.
	Audit   func(link uint64, addr string, open *messages.OpenStream) *actor.Props
	Auditor *messages.Node
	Newest  func() uint64
	// Takes returns how much later than it was sent the music reaches a listener, by its word; false: it has said nothing
	// lately. Slack returns how long before it is heard music is sent now. nil: the chain's depth is not looked at.
	Takes func(id string) (time.Duration, bool)
	Slack func() time.Duration
}

// Props describes the chain manager's actor. It answers a *messages.JoinChain with a
// *messages.Welcome, a *messages.ListListeners with *messages.Listeners, a *messages.Look with a messages.View.
func Props(cfg Config) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor {
		return &chainManager{cfg: cfg, comings: newComings().of(cfg.PerAddress), telling: newReporting().of(cfg.PerAddress)}
	})
}

type chainManager struct {
	cfg     Config
	keep    *eventlog.Keeper[chain.State]
	told    map[string]*messages.Neighbours // what each listener was last told
	news    *chain.Tellings                 // nil: nobody was told anything yet
	expire  *time.Timer
	verdict *time.Timer // fires when the next verdict ends
	audits  audits
	depth   *time.Timer // sends lookAtDepth
	watch   chain.Watch
	lost    losses
	coming  []coming

	reports          *actor.PID
	dropped          atomic.Int64 // reports
	comings, telling *budget
}

// coming is a listener that asks to join.
type coming struct {
	join  *messages.JoinChain
	asker *actor.PID
}

// takeIn ends a row of joins, if nothing else does.
type takeIn struct{}

// losses are the losses that are not yet decided on.
type losses struct {
	left    []*messages.LeaveChain // listeners that said goodbye
	seen    []*messages.PeerLost   // losses that the server itself has seen
	said    []*messages.PeerLost   // losses that listeners report; only the last of each listener
	waiting bool                   // the timer runs
}

// miss records a listener's report, in place of an earlier one of the same listener.
func (l *losses) miss(msg *messages.PeerLost) {
	l.said = slices.DeleteFunc(l.said, func(other *messages.PeerLost) bool { return other.GetSeenBy() == msg.GetSeenBy() })
	l.said = append(l.said, msg)
}

// Together is how long the first loss waits for others: if half of all go at once, or three in a row, that
// is one repair. Listeners that lost their upstream do not wait for it: they know whom to turn to, and
// meanwhile have the processors and lines for themselves. Also, most nodes that a listener misses are soon
// missed by the server, too, and then need not be moved.
const Together = 100 * time.Millisecond

// repair ends that wait.
type repair struct{}

// Receive is all the plumbing; package chain decides. Joins in a row are one commit, because each commit waits for the disk:
// hundreds come at once when a server starts. They are decided BEFORE whatever comes behind them.
func (m *chainManager) Receive(ctx actor.Context) {
	if _, joins := ctx.Message().(*messages.JoinChain); !joins {
		m.takeIn(ctx)
	}
	switch msg := ctx.Message().(type) {
	case *actor.Started: // also after a restart: it has forgotten what it told, so it tells everybody again
		m.start(ctx)
	case *actor.Stopping, *actor.Restarting:
		if m.expire != nil { // it has started
			m.expire.Stop()
			m.verdict.Stop()
			m.depth.Stop()
		}
	case *messages.JoinChain:
		m.join(ctx, msg)
	case *messages.PeerLost:
		switch {
		case msg.GetSeenBy() == messages.ServerID:
			m.lost.seen = append(m.lost.seen, msg)
			m.wait(ctx)
		case msg.GetFault() >= messages.Fault_FAULT_SLOW:
			m.accused(ctx, msg)
			m.tell(ctx)
		default:
			m.lost.miss(msg)
			m.wait(ctx)
		}
	case *messages.LeaveChain:
		m.lost.left = append(m.lost.left, msg)
		m.mend(ctx)
		m.tell(ctx)
	case *messages.Roll:
		m.called(msg)
		m.mend(ctx)
		m.tell(ctx)
	case *messages.Reconnected:
		m.reconnected(ctx, msg)
	case repair:
		m.repair(ctx)
	case *audited:
		m.audited(ctx, msg)
		m.tell(ctx)
	case *actor.Terminated:
		m.audits.over(msg.Who)
		m.audit(ctx)
	case *messages.ExpireAbsent, *messages.ExpireVerdicts, *messages.ReportSilent:
		m.handle(ctx, msg.(proto.Message))
		m.tell(ctx)
	case lookAtDepth:
		if weigh := m.watch.Look(m.keep.State(), m.cfg.Slack(), m.cfg.Takes, m.cfg.Now()); weigh != nil {
			m.handle(ctx, weigh)
			m.tell(ctx)
		}
		m.depth.Reset(depthEvery)
	case *messages.FindFeeder:
		m.mend(ctx) // first, because a lost listener can feed nobody
		state := m.keep.State()
		msg.Reply <- state.Feeder(m.cfg.Now().UnixMicro())
		m.tell(ctx)
	case *messages.ListListeners:
		all := &messages.Listeners{}
		for m := range m.keep.State().Chain.All() {
			all.Listeners = append(all.Listeners, messages.Listener{Name: m.Name, SinceUs: m.Since})
		}
		ctx.Respond(all)
	case *messages.Look:
		msg.Reply <- messages.View{Actor: Actor, Seq: m.keep.Seq(), State: m.keep.State(), Live: m.live()}
	}
}

// depthEvery is how often the chain manager looks how late the music comes to the ends of the chain.
const depthEvery = 5 * time.Second

// lookAtDepth is its timer.
type lookAtDepth struct{}

// Live is the chain manager's part of the dump that is not in the log.
type Live struct {
	Audits         int   `json:"audits"`         // running
	DroppedReports int64 `json:"droppedReports"` // reports beyond a listener's budget, or not written
}

func (m *chainManager) live() Live {
	return Live{Audits: len(m.audits.running), DroppedReports: m.dropped.Load()}
}

// join lets a listener wait to be taken in, unless it or its address comes and goes too often.
func (m *chainManager) join(ctx actor.Context, msg *messages.JoinChain) {
	if !m.comings.spend(msg.GetNode().GetId(), msg.GetAddress(), m.cfg.Now()) {
		ctx.Respond(&messages.Refused{Reason: "this listener, or its address, comes and goes too often: wait a minute"})
		return
	}
	if len(m.coming) == 0 {
		ctx.Send(ctx.Self(), takeIn{})
	}
	if m.coming = append(m.coming, coming{msg, ctx.Sender()}); len(m.coming) == maxComing {
		m.takeIn(ctx)
	}
}

// maxComing bounds a commit, and how long the first of them waits.
const maxComing = 256

// takeIn takes in the listeners that wait for it.
func (m *chainManager) takeIn(ctx actor.Context) {
	if len(m.coming) == 0 {
		return
	}
	all := m.coming
	m.coming = nil
	m.mend(ctx) // first, because a listener that was lost and comes back is a newcomer
	if len(all) == 1 {
		m.handle(ctx, all[0].join)
	} else {
		joins := &messages.JoinChains{}
		for _, one := range all {
			joins.Joins = append(joins.Joins, one.join)
		}
		m.handle(ctx, joins)
	}
	for _, one := range all {
		delete(m.told, one.join.GetNode().GetId()) // a new connection knows nothing
		if one.asker != nil {
			ctx.Send(one.asker, m.welcome(one.join.GetNode()))
		}
	}
	m.tell(ctx)
}

// reconnected passes a report on to be written, unless it exceeds the budget.
func (m *chainManager) reconnected(ctx actor.Context, msg *messages.Reconnected) {
	state := m.keep.State()
	event := state.Reconnected(msg)
	if event == nil {
		return
	}
	at, _ := state.Chain.Find(event.GetId())
	if !m.telling.spend(at.ID, at.Address, m.cfg.Now()) {
		m.dropped.Add(1)
		return
	}
	ctx.Send(m.reports, event)
}

func (m *chainManager) start(ctx actor.Context) {
	keep, err := eventlog.NewKeeper(m.cfg.Log, Actor, chain.State{})
	if err != nil {
		panic(fmt.Errorf("rebuild the chain: %w", err))
	}
	m.keep = keep
	m.told = map[string]*messages.Neighbours{}
	root, self := ctx.ActorSystem().Root, ctx.Self()
	m.verdict = time.AfterFunc(time.Hour, func() {
		root.Send(self, &messages.ExpireVerdicts{AtUnixUs: m.cfg.Now().UnixMicro()})
	})
	m.awaitVerdict()
	m.depth = time.AfterFunc(depthEvery, func() { root.Send(self, lookAtDepth{}) })
	if m.cfg.Takes == nil {
		m.depth.Stop()
	}
	m.reports = ctx.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &reports{log: m.cfg.Log, dropped: &m.dropped}
	}))
	m.tell(ctx)
	for member := range keep.State().Chain.All() {
		if !member.Absent { // only this actor restarted: it may have missed that listeners left
			ctx.Request(m.cfg.Links(), &messages.CallRoll{})
			break
		}
	}
	m.expire = time.AfterFunc(returnWithin, func() {
		root.Send(self, &messages.ExpireAbsent{AtUnixUs: m.cfg.Now().UnixMicro()})
	})
}

// called removes members of the chain that are no longer connected: the report of their end was lost when
// this actor restarted. Members of whom a restarted server has not heard yet are absent, and still have time.
func (m *chainManager) called(roll *messages.Roll) {
	here, left := map[string]bool{}, map[string]bool{}
	for _, id := range roll.Here {
		here[id] = true
	}
	for _, id := range roll.Left {
		left[id] = true
	}
	now := m.cfg.Now().UnixMicro()
	for member := range m.keep.State().Chain.All() {
		switch {
		case here[member.ID], member.Absent:
		case left[member.ID]:
			m.lost.left = append(m.lost.left, &messages.LeaveChain{Id: member.ID, AtUnixUs: now})
		default:
			m.lost.seen = append(m.lost.seen, &messages.PeerLost{
				Id: member.ID, SeenBy: messages.ServerID, Reason: "its request connection ended", AtUnixUs: now,
			})
		}
	}
}

// wait starts the timer for one repair of all losses.
func (m *chainManager) wait(ctx actor.Context) {
	if m.lost.waiting {
		return
	}
	m.lost.waiting = true
	root, self := ctx.ActorSystem().Root, ctx.Self()
	time.AfterFunc(Together, func() { root.Send(self, repair{}) })
}

// repair decides on all losses so far, and tells the listeners of the splice before it handles what
// listeners report. Reports of listeners that have gone meanwhile are ignored.
func (m *chainManager) repair(ctx actor.Context) {
	m.lost.waiting = false
	m.mend(ctx)
	m.tell(ctx)
	for len(m.lost.said) > 0 {
		m.accused(ctx, m.lost.said[0])
		m.lost.said = m.lost.said[1:]
	}
	m.tell(ctx)
}

// mend removes the listeners that have said goodbye and those that the server has lost.
func (m *chainManager) mend(ctx actor.Context) {
	for len(m.lost.left) > 0 {
		m.handle(ctx, m.lost.left[0])
		m.lost.left = m.lost.left[1:]
	}
	m.handle(ctx, &messages.PeersLost{Lost: m.lost.seen})
	m.lost.seen = nil
}

func (m *chainManager) handle(ctx actor.Context, cmd proto.Message) {
	events, err := m.keep.Commit(cmd)
	if err != nil {
		panic(err) // an actor that cannot write to the log must not act: the supervisor restarts it
	}
	if len(events) > 0 {
		m.awaitVerdict()
	}
}

// awaitVerdict sets the timer for the end of the next verdict.
func (m *chainManager) awaitVerdict() {
	if next := m.keep.State().NextEnd(); next > 0 {
		m.verdict.Reset(time.UnixMicro(next).Sub(m.cfg.Now()))
	}
}

// tell sends each listener its neighbours if they differ from what it was last told.
func (m *chainManager) tell(ctx actor.Context) {
	state := m.keep.State()
	all := m.news == nil
	if all {
		m.news = &chain.Tellings{}
	}
	change := m.news.Follow(state)
	if m.cfg.Members != nil && (all || len(change.Standing) > 0) {
		m.cfg.Members(change.Standing, all)
	}
	for id, standing := range change.Standing {
		if standing == messages.StandingOutside {
			delete(m.told, id)
		}
	}
	for _, n := range change.Tell {
		before := m.told[n.Id]
		if proto.Equal(before, n) {
			continue
		}
		news := proto.CloneOf(n)
		news.Event, news.Epoch = m.keep.Seq(), state.Epoch
		news.Guests = chain.AlsoBefore(n.Guests, before.GetGuests())
		if m.cfg.Auditor != nil {
			news.Guests = append(news.Guests, m.cfg.Auditor.GetId())
		}
		if at, in := state.Chain.Find(n.Id); !in || !at.Absent { // an absent listener has no connection, and the port may not be open yet
			ctx.Send(m.cfg.Links(), news)
		}
		m.told[n.Id] = n
	}
}

func (m *chainManager) welcome(node *messages.Node) *messages.Welcome {
	return &messages.Welcome{
		Version:      messages.DialectVersion,
		Node:         node,
		Epoch:        m.keep.State().Epoch,
		Key:          m.cfg.Key,
		ServerUnixUs: m.cfg.Now().UnixMicro(),
	}
}
