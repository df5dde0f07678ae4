package chainmanager

import (
	"maps"
	"slices"
	"time"

	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	// Audits cost the server the download of a stream each, and the accused the upload.
	auditsAtOnce = 2
	// auditsWaiting bounds those that wait, auditsOfHousehold those that one address asks for.
	auditsWaiting, auditsOfHousehold = 16, 4
	// auditGlance is how often an audit looks at the clock.
	auditGlance = 250 * time.Millisecond
)

// suspicion is an accused whom the server is to look at, and who said so.
type suspicion struct {
	accused, accuser, address string // ids, and the accuser's address
	fault                     messages.Fault
}

// audits are the chain manager's: its memory, not the log's. What is lost with it is said again.
type audits struct {
	running map[string]suspicion // by the auditor's address
	waiting []suspicion
	links   uint64 // connections so far
}

// ask notes a suspicion, unless there are too many. What is dropped is said again, if it lasts.
func (a *audits) ask(s suspicion) {
	ofHousehold := 0
	for _, other := range append(slices.Collect(maps.Values(a.running)), a.waiting...) {
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

// next is a suspicion whose time has come. Who has gone is not looked at, nor believed.
func (a *audits) next(state State) (suspicion, bool) {
	for len(a.waiting) > 0 && len(a.running) < auditsAtOnce {
		s := a.waiting[0]
		a.waiting = a.waiting[1:]
		if state.place(s.accused) >= 0 && state.place(s.accuser) >= 0 {
			return s, true
		}
	}
	return suspicion{}, false
}

func (a *audits) began(auditor *actor.PID, s suspicion) {
	if a.running == nil {
		a.running = map[string]suspicion{}
	}
	a.running[auditor.GetId()] = s
}

func (a *audits) over(auditor *actor.PID) { delete(a.running, auditor.GetId()) }

// audited is what an auditor says to the chain manager, once.
type audited struct {
	suspicion
	found  finding
	seen   messages.Fault
	reason string
}

// missing says whether items were missing of which nobody spoke: after an outage they are missing to
// all who stand below it, and that is nobody's fault.
func (a *audited) missing() bool {
	return a.found == atFault && a.seen == messages.Fault_FAULT_SKIPPING && !serious(a.fault)
}

// auditor asks one accused for the music, looks at it for a while, says what it saw, and stops.
// It is a child of the chain manager, and the connection a child of it.
type auditor struct {
	cfg     *Config
	about   suspicion
	accused *messages.Node
	link    uint64
	epoch   uint64
	sent    uint64 // the server's newest item at the beginning
	seen    *inspection
	timer   *time.Timer
	done    bool
}

// auditGlances is an auditor's timer.
type auditGlances struct{}

// Receive passes what comes to the inspection.
func (a *auditor) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		a.start(ctx)
	case *actor.Stopping, *actor.Restarting:
		if a.timer != nil { // else it never started
			a.timer.Stop()
		}
	case *messages.UpstreamOpened:
		a.seen.answered()
	case *messages.UpstreamSeal:
		a.say(ctx, a.seen.sealed(msg.Seal))
	case *messages.UpstreamItem:
		a.say(ctx, a.seen.took(msg.Item, a.cfg.Now()))
		if from := ctx.Children(); len(from) > 0 {
			ctx.Send(from[0], &messages.Credit{})
		}
	case *messages.UpstreamLeaving:
		a.say(ctx, nothing)
	case *messages.UpstreamClosed:
		a.say(ctx, a.seen.left(msg.Fault, msg.Reason))
	case auditGlances:
		a.glance(ctx)
		a.say(ctx, a.seen.look(a.cfg.Now(), a.cfg.Newest()-a.sent))
	}
}

func (a *auditor) start(ctx actor.Context) {
	now := a.cfg.Now()
	a.seen, a.sent = newInspection(a.cfg.Key, now), a.cfg.Newest()
	ctx.Spawn(a.cfg.Audit(a.link, a.accused.GetRelay(), &messages.OpenStream{
		Version: messages.DialectVersion, Node: a.cfg.Auditor, Upstream: a.accused.GetId(), Epoch: a.epoch,
		PlayAtUnixUs: now.UnixMicro() + messages.JoinAhead.Microseconds(), // as a newcomer asks
	}))
	a.glance(ctx)
}

func (a *auditor) glance(ctx actor.Context) {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	a.timer = time.AfterFunc(auditGlance, func() { root.Send(self, auditGlances{}) })
}

func (a *auditor) say(ctx actor.Context, found finding) {
	if found == looking || a.done {
		return
	}
	a.done = true
	ctx.Send(ctx.Parent(), &audited{a.about, found, a.seen.fault, a.seen.reason})
	ctx.Stop(ctx.Self())
}

// accused takes what a listener says of its upstream: it is decided on, and the server may look.
func (m *chainManager) accused(ctx actor.Context, msg *messages.PeerLost) {
	state := m.keep.State()
	suspect := state.toAudit(msg) // BEFORE: afterwards the two may have parted
	m.handle(ctx, msg)
	if suspect == nil || m.cfg.Audit == nil {
		return
	}
	m.audits.ask(suspicion{msg.GetId(), msg.GetSeenBy(), state.Chain[state.place(msg.GetSeenBy())].Address, msg.GetFault()})
	m.audit(ctx)
}

// audit begins what may begin.
func (m *chainManager) audit(ctx actor.Context) {
	for {
		state := m.keep.State()
		about, is := m.audits.next(state)
		if !is {
			return
		}
		m.audits.links++
		a := &auditor{
			cfg: &m.cfg, about: about, accused: state.Chain[state.place(about.accused)].node(), link: m.audits.links, epoch: state.Epoch,
		}
		pid := ctx.Spawn(actor.PropsFromProducer(func() actor.Actor { return a }))
		ctx.Watch(pid)
		m.audits.began(pid, about)
	}
}

// audited decides on what an auditor saw.
func (m *chainManager) audited(ctx actor.Context, msg *audited) {
	if msg.missing() {
		return
	}
	if msg.found != nothing {
		m.handle(ctx, &messages.AuditEnded{
			Id: msg.accused, SeenBy: msg.accuser, Address: msg.address,
			Fault: msg.seen, Reason: msg.reason, AtUnixUs: m.cfg.Now().UnixMicro(),
		})
	}
}
