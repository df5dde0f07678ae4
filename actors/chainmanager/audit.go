package chainmanager

import (
	"maps"
	"slices"
	"time"

	"conga/actors/chainmanager/chain"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	// auditsAtOnce bounds the audits that run: each downloads two streams.
	auditsAtOnce = 2
	// auditsWaiting bounds the audits that wait, auditsOfHousehold those that one address asks for.
	auditsWaiting, auditsOfHousehold = 16, 4
	// auditGlance is how often an audit looks at the clock.
	auditGlance = 250 * time.Millisecond
)

// suspicion is an accusation that the server should audit. If an audit goes on from a late node to the one
// that feeds it, the accuser is the server itself.
type suspicion struct {
	accused, accuser, address string // ids, and the address of the first accuser
	fault                     messages.Fault
}

// audits are kept in memory, not in the log: a suspicion that is lost in a restart will be reported again.
type audits struct {
	running map[string]suspicion // by the auditor's address
	waiting []suspicion
	links   uint64 // connections so far
}

// ask adds a suspicion, unless there are too many. A dropped one will be reported again if the fault lasts.
func (a *audits) ask(s suspicion) {
	ofHousehold := 0
	for _, other := range a.all() {
		if other.accused == s.accused || other.accuser == s.accuser {
			return
		}
		if other.address == s.address {
			ofHousehold++
		}
	}
	if ofHousehold < auditsOfHousehold && len(a.waiting) < auditsWaiting {
		a.waiting = append(a.waiting, s)
	}
}

func (a *audits) all() []suspicion {
	return append(slices.Collect(maps.Values(a.running)), a.waiting...)
}

// goOn adds the next step upwards of an audit that has ended. It needs no room of its own: it takes that
// audit's place.
func (a *audits) goOn(s suspicion) {
	if !slices.ContainsFunc(a.all(), func(other suspicion) bool { return other.accused == s.accused }) {
		a.waiting = append(a.waiting, s)
	}
}

// next returns the suspicion to audit now: that of the node nearest the server, because of which the nodes
// below it may be late. It drops suspicions whose accused or accuser has gone.
func (a *audits) next(line chain.Line) (suspicion, bool) {
	a.waiting = slices.DeleteFunc(a.waiting, func(s suspicion) bool {
		return !stands(line, s.accused) || s.accuser != messages.ServerID && !stands(line, s.accuser)
	})
	if len(a.waiting) == 0 || len(a.running) >= auditsAtOnce {
		return suspicion{}, false
	}
	first := slices.MinFunc(a.waiting, func(s, other suspicion) int { return line.Compare(s.accused, other.accused) })
	a.waiting = slices.DeleteFunc(a.waiting, func(s suspicion) bool { return s == first })
	return first, true
}

func stands(line chain.Line, id string) bool {
	_, is := line.Find(id)
	return is
}

func (a *audits) began(auditor *actor.PID, s suspicion) {
	if a.running == nil {
		a.running = map[string]suspicion{}
	}
	a.running[auditor.GetId()] = s
}

func (a *audits) over(auditor *actor.PID) { delete(a.running, auditor.GetId()) }

// audited is an auditor's result, sent to the chain manager once.
type audited struct {
	suspicion
	above  string // the node that fed the accused at the beginning
	found  finding
	seen   messages.Fault
	reason string
}

// missing reports whether the audit found missing items although nobody had accused the node of that. After
// an outage, all nodes below it lack the same items, and that is nobody's fault.
func (a *audited) missing() bool {
	return a.found == atFault && a.seen == messages.Fault_FAULT_SKIPPING && !chain.Serious(a.fault)
}

// auditor asks the accused for the music and, if its upstream may be the cause of its lateness, that one
// at the same time. It watches for auditTakes, reports what it saw, and stops. It is a child of the chain
// manager; the connections are its children.
type auditor struct {
	cfg     *Config
	about   suspicion
	above   string // the node that feeds the accused
	accused *look
	feeder  *look // nil: it is the server or cannot be reached, or the fault is not lateness
	epoch   uint64
	sent    uint64 // the server's newest item at the beginning
	timer   *time.Timer
	done    bool
}

// look is what an auditor sees of one node.
type look struct {
	node  *messages.Node
	link  uint64
	from  *actor.PID // the connection
	seen  *inspection
	found finding
}

// stopsBroken stops a connection that panics; the auditor was told before.
var stopsBroken = actor.WithSupervisor(actor.NewOneForOneStrategy(0, 0, func(any) actor.Directive { return actor.StopDirective }))

// auditGlances is an auditor's timer.
type auditGlances struct{}

// Receive passes what comes to the inspections.
func (a *auditor) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		a.start(ctx)
	case *actor.Stopping, *actor.Restarting:
		if a.timer != nil { // it has started
			a.timer.Stop()
		}
	case *messages.UpstreamOpened:
		a.of(msg.Link).seen.answered()
	case *messages.UpstreamSeal:
		at := a.of(msg.Link)
		at.finds(at.seen.sealed(msg.Seal))
	case *messages.UpstreamItem:
		at := a.of(msg.Link)
		at.finds(at.seen.took(msg.Item, a.cfg.Now()))
		ctx.Send(at.from, &messages.Credit{})
	case *messages.UpstreamLeaving:
		a.of(msg.Link).finds(nothing)
	case *messages.UpstreamClosed:
		at := a.of(msg.Link)
		at.finds(at.seen.left(msg.Fault, msg.Reason))
	case auditGlances:
		a.glance(ctx)
		for _, at := range a.looks() {
			at.finds(at.seen.look(a.cfg.Now(), a.cfg.Newest()-a.sent))
		}
	}
	a.say(ctx)
}

func (a *auditor) looks() []*look {
	if a.feeder == nil {
		return []*look{a.accused}
	}
	return []*look{a.accused, a.feeder}
}

// of returns the look to which the link belongs.
func (a *auditor) of(link uint64) *look {
	if a.feeder != nil && a.feeder.link == link {
		return a.feeder
	}
	return a.accused
}

// finds keeps the first finding and ignores later ones.
func (l *look) finds(found finding) {
	if l.found == looking {
		l.found = found
	}
}

func (a *auditor) start(ctx actor.Context) {
	now := a.cfg.Now()
	a.sent = a.cfg.Newest()
	for _, at := range a.looks() {
		at.seen = newInspection(a.cfg.Key, now)
		at.from = ctx.Spawn(a.cfg.Audit(at.link, at.node.GetRelay(), &messages.OpenStream{
			Version: messages.DialectVersion, Node: a.cfg.Auditor, Upstream: at.node.GetId(), Epoch: a.epoch,
			PlayAtUnixUs: now.UnixMicro() + messages.JoinAhead.Microseconds(), // as a newcomer asks
		}))
	}
	a.glance(ctx)
}

func (a *auditor) glance(ctx actor.Context) {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	a.timer = time.AfterFunc(auditGlance, func() { root.Send(self, auditGlances{}) })
}

func (a *auditor) say(ctx actor.Context) {
	if a.done || a.accused.seen == nil {
		return
	}
	found := a.accused.found
	if a.above != messages.ServerID && found == atFault && chain.Late(a.accused.seen.fault) {
		found = blamed(a.accused, a.feeder)
	}
	if found == looking {
		return
	}
	a.done = true
	ctx.Send(ctx.Parent(), &audited{a.about, a.above, found, a.accused.seen.fault, a.accused.seen.reason})
	ctx.Stop(ctx.Self())
}

// accused handles an accusation: it decides on it, and may start an audit.
func (m *chainManager) accused(ctx actor.Context, msg *messages.PeerLost) {
	state := m.keep.State()
	suspect := state.ToAudit(msg) // before the decision, which may move the accused away from the accuser
	m.handle(ctx, msg)
	if suspect == nil || m.cfg.Audit == nil {
		return
	}
	accuser, _ := state.Chain.Find(msg.GetSeenBy())
	m.audits.ask(suspicion{msg.GetId(), msg.GetSeenBy(), accuser.Address, msg.GetFault()})
	m.audit(ctx)
}

// audit starts the audits that may run now.
func (m *chainManager) audit(ctx actor.Context) {
	for {
		state := m.keep.State()
		about, is := m.audits.next(state.Chain)
		if !is {
			return
		}
		accused, _ := state.Chain.Find(about.accused)
		a := &auditor{cfg: &m.cfg, about: about, accused: m.look(accused), epoch: state.Epoch, above: state.Chain.Source(about.accused)}
		// A node that is accused of something else may just have moved below its accuser, which could hold it up.
		if feeder, is := state.Chain.Find(a.above); is && chain.Late(about.fault) && feeder.Open() {
			a.feeder = m.look(feeder)
		}
		pid := ctx.Spawn(actor.PropsFromProducer(func() actor.Actor { return a }, stopsBroken))
		ctx.Watch(pid)
		m.audits.began(pid, about)
	}
}

func (m *chainManager) look(at chain.Member) *look {
	m.audits.links++
	return &look{node: at.Node(), link: m.audits.links}
}

// audited decides on an auditor's result, or goes on with the node that feeds the accused.
func (m *chainManager) audited(ctx actor.Context, msg *audited) {
	line := m.keep.State().Chain
	switch {
	case msg.missing(), msg.found == nothing, chain.Late(msg.seen) && line.Source(msg.accused) != msg.above:
	case msg.found == sound && msg.accuser == messages.ServerID: // no listener accused it, so nothing is refuted
	case msg.found == passedOn:
		m.audits.goOn(suspicion{msg.above, messages.ServerID, msg.address, msg.seen})
		m.audit(ctx) // if the auditor still counts as running, its Terminated will start it
	default:
		m.handle(ctx, &messages.AuditEnded{
			Id: msg.accused, SeenBy: msg.accuser, Address: msg.address,
			Fault: msg.seen, Reason: msg.reason, AtUnixUs: m.cfg.Now().UnixMicro(),
		})
	}
}
