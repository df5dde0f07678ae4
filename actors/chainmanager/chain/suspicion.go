package chain

import (
	"iter"
	"maps"
	"slices"

	"conga/actors/internal/sorted"
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// What a listener says of the node that feeds it is a rumour. After hashicorp/memberlist's
// suspicion.go: a verdict needs several independent voices, and the accused may refute it. Here
// independent are those of different addresses, and the refutation is an audit: the server
// asks the accused for the music, as a listener does, and looks itself.
//
// What one voice does at once: the accused goes to the tail, where it harms nobody and loses
// nothing, so the two part. An accuser has one such move, and so has an address, until an
// audit or the end of the accused proves it right: then it has it again. With more words than
// that it moves nobody; the audit alone decides, and who accuses two moves itself. Nobody has
// to wait for any of this: the accuser's relay has turned to its next ancestor by itself.
//
// Who hears late sends late. So a word of lateness moves nobody whom the server can look at: it
// looks at the accused and at whoever feeds it, and goes on upwards until it finds one that is
// late and hears in time. That one moves. Of those below it nothing is said.
const (
	second = 1_000_000 // all times here are in microseconds
	minute = 60 * second

	// verdictVoices is how many addresses must say within voicesTime that a node lies or skips
	// before it is nobody's source without an audit.
	verdictVoices = 3
	voicesTime    = 10 * minute
	// verdictTime is how long a verdict lasts, the first time; each next lasts twice as long.
	verdictTime = 10 * minute
	// twoTime is how soon after one accusation another, of somebody else, makes the accuser the
	// suspect. A relay accuses nobody twice within ten seconds.
	twoTime = 30 * second
	// lossTime is how soon after an accusation the accused must be lost to prove it right: the
	// server notices a frozen one after five seconds.
	lossTime = 15 * second
	// distrustTime is how long the word of somebody whom an audit contradicted does not count;
	// each next time for twice as long. After forgiveTime it begins anew.
	distrustTime = 10 * second
	forgiveTime  = 60 * minute
	doublings    = 6
	// maxAccounts bounds the memory for accusers and convicts. Each takes an accusation that
	// counted, so no address can push out the others.
	maxAccounts = 1024

	// Many complaints at once have one cause that no move mends: a machine or a network that is
	// too busy for all. Each move makes others search, and that makes them late, too. So in
	// movesTime there are at most maxMoves.
	maxMoves  = 4
	movesTime = 10 * second
)

// Voice is one accusation of lying or skipping that counted.
type Voice struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	At      int64  `json:"atUnixUs"`
}

// Serious says whether the fault costs a node its right to feed, when it is proved.
func Serious(fault messages.Fault) bool {
	return fault == messages.Fault_FAULT_SKIPPING || fault == messages.Fault_FAULT_LYING
}

// accusation is what a listener says of the node that feeds it.
type accusation struct {
	accused, accuser Member
	fault            messages.Fault
	reason           string
	at               int64
}

// accusation is nil for words that mean nothing: only whoever a node feeds can know.
func (s State) accusation(cmd *messages.PeerLost) *accusation {
	at, below := s.Chain.seat(cmd.GetId()), s.Chain.seat(cmd.GetSeenBy())
	if at == nil || below == nil || below.Seed || cmd.GetFault() == messages.Fault_FAULT_UNSPECIFIED || s.Chain.source(below) != cmd.GetId() {
		return nil
	}
	return &accusation{at.Member, below.Member, cmd.GetFault(), cmd.GetReason(), cmd.GetAtUnixUs()}
}

// believed says whether the accuser's word counts at all.
func (s State) believed(a *accusation) bool {
	return !a.accuser.Liar && !s.Ledger[a.accuser.ID].distrusted(a.at) && !s.Ledger[Household(a.accuser.Address)].distrusted(a.at) && !a.accuser.suspect(a.at)
}

// accuse is what one word does.
func (s State) accuse(cmd *messages.PeerLost) []proto.Message {
	a := s.accusation(cmd)
	if a == nil || s.restless(a.at) {
		return nil
	}
	mine, home := s.Ledger[a.accuser.ID], s.Ledger[Household(a.accuser.Address)]
	move := &messages.ListenerMoved{
		Id: a.accused.ID, Name: a.accused.Name, After: s.Chain.last().id(), SeenBy: a.accuser.ID,
		Fault: a.fault, Reason: a.reason, AtUnixUs: a.at,
	}
	switch {
	case s.findsAnother(a):
		move.Id, move.Name = a.accuser.ID, a.accuser.Name
		move.Reason = "it finds fault with everybody, so the fault is its own"
		if move.After == move.Id {
			return nil // it harms nobody there
		}
	case !s.believed(a), mine.Moved != "", home.Moved != "":
		return nil
	case Late(a.fault) && a.accused.Open():
		return nil // the server looks first whose fault it is: who hears late sends late
	default:
		move.Convicted = Serious(a.fault) && voices(append(a.accused.heard(a.at), a.voice())) >= verdictVoices
	}
	return s.spliced(move)
}

// findsAnother says whether the accuser has found fault with somebody else just before. That two
// who feed it die or are silent at the same time can be; that both are bad cannot.
func (s State) findsAnother(a *accusation) bool {
	last := s.Ledger[a.accuser.ID]
	return a.fault >= messages.Fault_FAULT_STARVING && last.Moved != "" && last.Moved != a.accused.ID && a.at-last.MovedAt < twoTime
}

func (a *accusation) voice() Voice { return Voice{a.accuser.ID, a.accuser.Address, a.at} }

// heard are the voices against the member that still count.
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

// ToAudit is the node that the server should look at because of what a listener says of it, nil
// if there is nothing to look for. It has to be asked BEFORE that is decided on.
func (s State) ToAudit(cmd *messages.PeerLost) *messages.Node {
	a := s.accusation(cmd)
	if a == nil || !s.believed(a) || s.findsAnother(a) || !a.accused.Open() {
		return nil
	}
	return a.accused.Node()
}

// audited is what an audit shows.
func (s State) audited(cmd *messages.AuditEnded) []proto.Message {
	at := s.Chain.seat(cmd.GetId())
	if at == nil {
		return nil
	}
	events := []proto.Message{&messages.ListenerAudited{
		Id: cmd.GetId(), Name: at.Name, SeenBy: cmd.GetSeenBy(), Address: cmd.GetAddress(),
		Fault: cmd.GetFault(), Reason: cmd.GetReason(), AtUnixUs: cmd.GetAtUnixUs(),
	}}
	// A convict stays where it is: it feeds nobody there.
	if cmd.GetFault() != messages.Fault_FAULT_UNSPECIFIED && !Serious(cmd.GetFault()) &&
		at != s.Chain.last() && !s.restless(cmd.GetAtUnixUs()) {
		events = append(events, &messages.ListenerMoved{
			Id: cmd.GetId(), Name: at.Name, After: s.Chain.last().id(), SeenBy: messages.ServerID,
			Fault: cmd.GetFault(), Reason: cmd.GetReason(), AtUnixUs: cmd.GetAtUnixUs(),
		})
	}
	return s.spliced(events...)
}

// endVerdicts ends the verdicts whose time is up.
func (s State) endVerdicts(at int64) []proto.Message {
	var events []proto.Message
	for m := range s.convicts() {
		if at >= s.Ledger[m.ID].verdictEnds() {
			events = append(events, &messages.VerdictEnded{Id: m.ID, Name: m.Name, AtUnixUs: at})
		}
	}
	return s.spliced(events...)
}

// NextEnd is when the next verdict of a member ends, 0 if there is none.
func (s State) NextEnd() int64 {
	next := int64(0)
	for m := range s.convicts() {
		if end := s.Ledger[m.ID].verdictEnds(); next == 0 || end < next {
			next = end
		}
	}
	return next
}

// convicts are those of the chain who feed nobody for a while, from the top.
func (s State) convicts() iter.Seq[*seat] {
	var all []*seat
	for id, a := range s.Ledger {
		if m := s.Chain.seat(id); a.ConvictedAt > 0 && m != nil && m.Liar {
			all = append(all, m)
		}
	}
	return sorted.Of(all).All()
}

// restless says whether the chain has been moved about enough lately. Those who complain
// feed on another ancestor meanwhile; whoever is dead goes with its request connection.
func (s State) restless(at int64) bool {
	return len(s.MovedAt) == maxMoves && at-s.MovedAt[0] < movesTime
}

// suspect says whether others have complained of it lately. Whoever's line is bad hears nothing
// from anybody, and its word would turn the chain against the innocent.
func (m Member) suspect(at int64) bool {
	return m.AccusedAt > 0 && at-m.AccusedAt < movesTime
}

// doubted says whether nobody is to come behind it yet: others have complained of it of
// late. Each time that it was found slow or bad before doubles the wait.
func (m Member) doubted(at int64) bool {
	return m.AccusedAt > 0 && at-m.AccusedAt < movesTime<<min(max(m.Doubts-1, 0), doublings)
}

// moved is the state after a ListenerMoved.
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
	if event.GetFault() == messages.Fault_FAULT_SLOW && accused { // an audit counts by itself
		moved.Doubts++
	}
	if Serious(event.GetFault()) && accused && event.GetSeenBy() != event.GetId() {
		moved.Voices = append(moved.heard(at), Voice{event.GetSeenBy(), by.Address, at})
		moved.Voices = moved.Voices[max(0, len(moved.Voices)-verdictVoices):]
	}
	s.Chain = s.Chain.without(s.Chain.seat(moved.ID))
	s.Chain = s.Chain.insert(moved, s.Chain.last())
	if event.GetConvicted() {
		s = s.convict(event.GetId(), at)
	}
	return s
}

// found is the state after a ListenerAudited.
func (s State) found(event *messages.ListenerAudited) State {
	at := event.GetAtUnixUs()
	said := event.GetSeenBy() != messages.ServerID
	if event.GetFault() == messages.Fault_FAULT_UNSPECIFIED {
		// The voice stays: a liar may know the server's address, and serve that honestly.
		refute := func(a *Account) { a.refute(at) }
		return s.book(event.GetSeenBy(), refute).book(Household(event.GetAddress()), refute)
	}
	right := func(a *Account) { a.right(event.GetId()) }
	if said { // else those below it complained of each other
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

// lostToo is the state after the server has lost a member: whoever accused it just before was right.
func (s State) lostToo(event *messages.ListenerLeft) State {
	if event.GetCause() == messages.ListenerLeft_CAUSE_SAID_SO {
		return s
	}
	return s.proved(event.GetId(), event.GetAtUnixUs()-lossTime)
}

// reopened is the state after the server's start at that time: it has heard of nobody yet. Its clock
// may have been set back meanwhile: what would be in the future counts as now, or no brake and no
// verdict would ever end.
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

// Late says whether the fault can be that of one further up: whoever hears late sends late.
func Late(fault messages.Fault) bool {
	return fault == messages.Fault_FAULT_SLOW || fault == messages.Fault_FAULT_STARVING
}
