package chain

import (
	"iter"
	"maps"
	"slices"

	"conga/actors/internal/sorted"
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// What a listener says about the node that feeds it is a rumour. After hashicorp/memberlist's
// suspicion.go: a verdict needs several independent voices, and the accused may refute it. Here
// voices are independent if their addresses differ, and the refutation is an audit: the server
// asks the accused for the music, as a listener does, and checks it.
//
// One voice at once moves the accused to the tail, where it harms nobody and loses nothing, so that
// the two part. An accuser has one such move, and so has an address, until an audit or the end of
// the accused proves it right; then it has the move again. Until then its accusations move nobody:
// only an audit decides, and an accuser of two nodes is moved itself. Nobody has to wait for any of
// this: the accuser's relay has already turned to its next ancestor.
//
// A node that receives late sends late. So an accusation of lateness moves no node that the server can
// audit: it audits the accused and the node that feeds it, and goes on upwards until it finds one that
// is late but receives in time. That one moves. The nodes below it are not blamed.
const (
	second = 1_000_000 // all times here are in microseconds
	minute = 60 * second

	// verdictVoices is how many addresses must report within voicesTime that a node lies or skips
	// to convict it without an audit.
	verdictVoices = 3
	voicesTime    = 10 * minute
	// verdictTime is how long the first verdict lasts; each next one lasts twice as long.
	verdictTime = 10 * minute
	// twoTime: an accuser that accuses another node so soon after the first is suspected itself. A
	// relay accuses nobody twice within ten seconds.
	twoTime = 30 * second
	// lossTime is how soon after an accusation the accused must be lost to prove it right: the
	// server must have had the time to notice that it is frozen.
	lossTime = int64(messages.ListenerSilence/1000) + 5*second
	// distrustTime is how long an accuser is not believed after an audit contradicted it; each next
	// time it is twice as long. After forgiveTime the count begins again.
	distrustTime = 10 * second
	forgiveTime  = 60 * minute
	doublings    = 6
	// maxAccounts bounds the memory for accusers and convicted nodes. Each account takes an accusation
	// that counted, so no address can displace the others.
	maxAccounts = 1024

	// Many complaints at once have one cause, a machine or a network that is too busy for all, and
	// moves do not help: each makes others search, and that makes them late, too. So there are at
	// most maxMoves within movesTime.
	maxMoves  = 4
	movesTime = 10 * second
)

// Voice is one accusation of lying or skipping that counted.
type Voice struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	At      int64  `json:"atUnixUs"`
}

// Serious reports whether the fault, if it is proved, costs a node its right to feed.
func Serious(fault messages.Fault) bool {
	return fault == messages.Fault_FAULT_SKIPPING || fault == messages.Fault_FAULT_LYING
}

// accusation is what a listener says about the node that feeds it.
type accusation struct {
	accused, accuser Member
	fault            messages.Fault
	reason           string
	at               int64
}

// accusation returns the accusation in cmd; nil unless the accused feeds the accuser, because nobody else can
// know.
func (s State) accusation(cmd *messages.PeerLost) *accusation {
	at, below := s.Chain.seat(cmd.GetId()), s.Chain.seat(cmd.GetSeenBy())
	if at == nil || below == nil || below.Seed || cmd.GetFault() == messages.Fault_FAULT_UNSPECIFIED || s.Chain.source(below) != cmd.GetId() {
		return nil
	}
	return &accusation{at.Member, below.Member, cmd.GetFault(), cmd.GetReason(), cmd.GetAtUnixUs()}
}

// believed reports whether the accuser's word counts at all.
func (s State) believed(a *accusation) bool {
	return !a.accuser.Liar && !s.Ledger[a.accuser.ID].distrusted(a.at) && !s.Ledger[Household(a.accuser.Address)].distrusted(a.at) && !a.accuser.suspect(a.at)
}

// accuse decides on one accusation.
func (s State) accuse(cmd *messages.PeerLost) []proto.Message {
	a := s.accusation(cmd)
	if a == nil || s.restless(a.at) {
		return nil
	}
	mine, home := s.Ledger[a.accuser.ID], s.Ledger[Household(a.accuser.Address)]
	move := &messages.ListenerMoved{
		Id: a.accused.ID, Name: a.accused.Name, After: s.tail(a.accused.ID), SeenBy: a.accuser.ID,
		Fault: a.fault, Reason: a.reason, AtUnixUs: a.at,
	}
	switch {
	case s.findsAnother(a):
		move.Id, move.Name = a.accuser.ID, a.accuser.Name
		move.Reason = "it accused two upstreams in a row, so the fault is its own"
		if s.Chain.ends(s.Chain.seat(move.Id)) {
			return nil // it is at the tail already
		}
		move.After = s.tail(move.Id)
	case !s.believed(a), mine.Moved != "", home.Moved != "":
		return nil
	case Late(a.fault) && a.accused.Open():
		return nil // the server audits first whose fault it is: a node that receives late sends late
	default:
		move.Convicted = Serious(a.fault) && voices(append(a.accused.heard(a.at), a.voice())) >= verdictVoices
	}
	return s.spliced(move)
}

// findsAnother reports whether the accuser has accused another node just before. Two upstreams may die or
// fall silent at the same time, but it is implausible that both are bad.
func (s State) findsAnother(a *accusation) bool {
	last := s.Ledger[a.accuser.ID]
	return a.fault >= messages.Fault_FAULT_STARVING && last.Moved != "" && last.Moved != a.accused.ID && a.at-last.MovedAt < twoTime
}

func (a *accusation) voice() Voice { return Voice{a.accuser.ID, a.accuser.Address, a.at} }

// heard returns the voices against the member that still count.
func (m Member) heard(at int64) []Voice {
	return slices.DeleteFunc(slices.Clone(m.Voices), func(v Voice) bool { return at-v.At >= voicesTime })
}

// voices counts the addresses that they come from.
func voices(all []Voice) int {
	addresses := map[string]bool{}
	for _, v := range all {
		addresses[v.Address] = true
	}
	return len(addresses)
}

// ToAudit returns the node that the server should audit because of the accusation, nil if there is no
// reason to. It must be called before the accusation is decided on.
func (s State) ToAudit(cmd *messages.PeerLost) *messages.Node {
	a := s.accusation(cmd)
	if a == nil || !s.believed(a) || s.findsAnother(a) || !a.accused.Open() {
		return nil
	}
	return a.accused.Node()
}

// audited decides on the result of an audit.
func (s State) audited(cmd *messages.AuditEnded) []proto.Message {
	at := s.Chain.seat(cmd.GetId())
	if at == nil {
		return nil
	}
	events := []proto.Message{&messages.ListenerAudited{
		Id: cmd.GetId(), Name: at.Name, SeenBy: cmd.GetSeenBy(), Address: cmd.GetAddress(),
		Fault: cmd.GetFault(), Reason: cmd.GetReason(), AtUnixUs: cmd.GetAtUnixUs(),
	}}
	// A convicted node stays where it is: it feeds nobody anyway.
	if cmd.GetFault() != messages.Fault_FAULT_UNSPECIFIED && !Serious(cmd.GetFault()) &&
		!s.Chain.ends(at) && !s.restless(cmd.GetAtUnixUs()) {
		events = append(events, &messages.ListenerMoved{
			Id: cmd.GetId(), Name: at.Name, After: s.tail(cmd.GetId()), SeenBy: messages.ServerID,
			Fault: cmd.GetFault(), Reason: cmd.GetReason(), AtUnixUs: cmd.GetAtUnixUs(),
		})
	}
	return s.spliced(events...)
}

// endVerdicts ends the verdicts whose time is over.
func (s State) endVerdicts(at int64) []proto.Message {
	var events []proto.Message
	for m := range s.convicts() {
		if at >= s.Ledger[m.ID].verdictEnds() {
			events = append(events, &messages.VerdictEnded{Id: m.ID, Name: m.Name, AtUnixUs: at})
		}
	}
	return s.spliced(events...)
}

// NextEnd returns when the next verdict of a member ends, in unix microseconds; 0 if there is none.
func (s State) NextEnd() int64 {
	next := int64(0)
	for m := range s.convicts() {
		if end := s.Ledger[m.ID].verdictEnds(); next == 0 || end < next {
			next = end
		}
	}
	return next
}

// convicts yields the members with a verdict, from the top.
func (s State) convicts() iter.Seq[*seat] {
	var all []*seat
	for id, a := range s.Ledger {
		if m := s.Chain.seat(id); a.ConvictedAt > 0 && m != nil && m.Liar {
			all = append(all, m)
		}
	}
	return sorted.Of(all).All()
}

// restless reports whether there were maxMoves lately. Nobody suffers from the pause: accusers already
// receive from another ancestor, and a dead node is removed when its request connection ends.
func (s State) restless(at int64) bool {
	return len(s.MovedAt) == maxMoves && at-s.MovedAt[0] < movesTime
}

// suspect reports whether others have complained of the member lately. A node with a bad line gets nothing
// from anybody, and its accusations would hit innocent nodes.
func (m Member) suspect(at int64) bool {
	return m.AccusedAt > 0 && at-m.AccusedAt < movesTime
}

// doubted reports whether nobody should be placed behind the member yet, because others have complained of
// it lately. Each time that it was found slow or bad doubles the wait.
func (m Member) doubted(at int64) bool {
	return m.AccusedAt > 0 && at-m.AccusedAt < movesTime<<min(max(m.Doubts-1, 0), doublings)
}

// moved returns the state after a ListenerMoved.
func (s State) moved(event *messages.ListenerMoved) State {
	at := event.GetAtUnixUs()
	s.MovedAt = append(slices.Clone(s.MovedAt[max(0, len(s.MovedAt)+1-maxMoves):]), at)
	by, accused := s.Chain.Find(event.GetSeenBy())
	switch {
	case event.GetSeenBy() == event.GetId():
		s = s.book(event.GetId(), func(a *Account) { a.refute(at) })
	case accused:
		charge := func(a *Account) { a.Moved, a.MovedAt = event.GetId(), at }
		s = s.book(event.GetSeenBy(), charge).book(Household(by.Address), charge)
	}
	moved, is := s.Chain.Find(event.GetId())
	if !is {
		return s
	}
	moved.AccusedAt = at
	if event.GetFault() == messages.Fault_FAULT_SLOW && accused { // if an audit moved it, found has counted
		moved.Doubts++
	}
	if Serious(event.GetFault()) && accused && event.GetSeenBy() != event.GetId() {
		moved.Voices = append(moved.heard(at), Voice{event.GetSeenBy(), by.Address, at})
		moved.Voices = moved.Voices[max(0, len(moved.Voices)-verdictVoices):]
	}
	s.Chain = s.Chain.cut(s.Chain.seat(moved.ID))
	after := s.Chain.seat(event.GetAfter())
	if after == nil && event.GetAfter() != messages.ServerID {
		after = s.Chain.last()
	}
	moved.Branch = ""
	s.Chain = s.Chain.insert(moved, after)
	if event.GetConvicted() {
		s = s.convict(event.GetId(), at)
	}
	return s
}

// found returns the state after a ListenerAudited.
func (s State) found(event *messages.ListenerAudited) State {
	at := event.GetAtUnixUs()
	said := event.GetSeenBy() != messages.ServerID
	if event.GetFault() == messages.Fault_FAULT_UNSPECIFIED {
		// The voice still counts: a liar may know the server's address, and serve it honestly.
		refute := func(a *Account) { a.refute(at) }
		return s.book(event.GetSeenBy(), refute).book(Household(event.GetAddress()), refute)
	}
	right := func(a *Account) { a.right(event.GetId()) }
	if said { // otherwise the accusers below complained of another node
		s = s.book(event.GetSeenBy(), right).book(Household(event.GetAddress()), right)
	}
	s = s.proved(event.GetId(), 0)
	if Serious(event.GetFault()) {
		return s.convict(event.GetId(), at)
	}
	s.changed(event.GetId(), func(m *Member) { m.AccusedAt, m.Doubts = at, m.Doubts+1 })
	return s
}

func (s State) convict(id string, at int64) State {
	s.changed(id, func(m *Member) { m.Liar, m.Voices = true, nil })
	return s.book(id, func(a *Account) {
		a.Convicted++
		a.ConvictedAt = at
	})
}

func (s State) cleared(id string) State {
	s.changed(id, func(m *Member) { m.Liar = false })
	return s.book(id, func(a *Account) { a.ConvictedAt = 0 })
}

// lostToo returns the state after the server has lost a member: those that accused it just before were
// right.
func (s State) lostToo(event *messages.ListenerLeft) State {
	if event.GetCause() == messages.ListenerLeft_CAUSE_SAID_SO {
		return s
	}
	return s.proved(event.GetId(), event.GetAtUnixUs()-lossTime)
}

// reopened returns the state after the server has started at that time: all members are absent. The clock
// may have been set back meanwhile: times that would be in the future become at, so that limits and
// verdicts still end.
func (s State) reopened(at int64) State {
	all := slices.Collect(s.Chain.All())
	for i := range all {
		all[i].Absent = true
		all[i].notAfter(at)
	}
	s.Chain = Of(all...)
	if at == 0 {
		return s
	}
	s.WeighedAt = min(s.WeighedAt, at)
	s.MovedAt = slices.Clone(s.MovedAt)
	for i := range s.MovedAt {
		s.MovedAt[i] = min(s.MovedAt[i], at)
	}
	s.Ledger = maps.Clone(s.Ledger)
	for name, a := range s.Ledger {
		a.MovedAt, a.RefutedAt, a.ConvictedAt = min(a.MovedAt, at), min(a.RefutedAt, at), min(a.ConvictedAt, at)
		s.Ledger[name] = a
	}
	return s
}

func (m *Member) notAfter(at int64) {
	if at == 0 {
		return
	}
	m.AccusedAt = min(m.AccusedAt, at)
	m.Voices = slices.Clone(m.Voices)
	for i := range m.Voices {
		m.Voices[i].At = min(m.Voices[i].At, at)
	}
}

// Late reports whether the cause of the fault may be a node further up: a node that receives late sends
// late.
func Late(fault messages.Fault) bool {
	return fault == messages.Fault_FAULT_SLOW || fault == messages.Fault_FAULT_STARVING
}
