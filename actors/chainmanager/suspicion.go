package chainmanager

import (
	"maps"
	"slices"

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

// Account is what a State remembers of an id or an address, also while it is away.
type Account struct {
	// Moved is whom its word has moved, as long as nothing proves it right.
	Moved   string `json:"moved,omitempty"`
	MovedAt int64  `json:"movedAtUnixUs,omitempty"`
	// Refuted counts how often in a row it was wrong.
	Refuted   int   `json:"refuted,omitempty"`
	RefutedAt int64 `json:"refutedAtUnixUs,omitempty"`
	// Convicted counts its verdicts. ConvictedAt is 0 when the last one is over.
	Convicted   int   `json:"convicted,omitempty"`
	ConvictedAt int64 `json:"convictedAtUnixUs,omitempty"`
}

// Ledger has the accounts of ids, and of addresses under the names of their households.
type Ledger map[string]Account

// withoutOldest forgets the account that was used last the longest ago, which is not of a convict.
func (l Ledger) withoutOldest() {
	oldest := ""
	for name, a := range l {
		o := l[oldest]
		if oldest == "" || (a.ConvictedAt > 0) != (o.ConvictedAt > 0) && a.ConvictedAt == 0 ||
			(a.ConvictedAt > 0) == (o.ConvictedAt > 0) && (a.newest() < o.newest() || a.newest() == o.newest() && name < oldest) {
			oldest = name
		}
	}
	delete(l, oldest)
}

func (a Account) newest() int64 { return max(a.MovedAt, a.RefutedAt, a.ConvictedAt) }

// distrusted says whether its word does not count.
func (a Account) distrusted(at int64) bool {
	return a.Refuted > 0 && at-a.RefutedAt < distrustTime<<min(a.Refuted-1, doublings)
}

// verdictEnds is when a convict may feed again.
func (a Account) verdictEnds() int64 {
	return a.ConvictedAt + verdictTime<<min(max(a.Convicted-1, 0), doublings)
}

// Voice is one accusation of lying or skipping that counted.
type Voice struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	At      int64  `json:"atUnixUs"`
}

// household is under which name the ledger has an address.
func household(address string) string { return "@" + address }

// serious says whether the fault costs a node its right to feed, when it is proved.
func serious(fault messages.Fault) bool {
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
	at, below := s.place(cmd.GetId()), s.place(cmd.GetSeenBy())
	if at < 0 || below < 0 || s.Chain[below].Seed || cmd.GetFault() == messages.Fault_FAULT_UNSPECIFIED || s.source(below) != cmd.GetId() {
		return nil
	}
	return &accusation{s.Chain[at], s.Chain[below], cmd.GetFault(), cmd.GetReason(), cmd.GetAtUnixUs()}
}

// believed says whether the accuser's word counts at all.
func (s State) believed(a *accusation) bool {
	return !a.accuser.Liar && !s.Ledger[a.accuser.ID].distrusted(a.at) && !s.Ledger[household(a.accuser.Address)].distrusted(a.at) && !a.accuser.suspect(a.at)
}

// accuse is what one word does.
func (s State) accuse(cmd *messages.PeerLost) []proto.Message {
	a := s.accusation(cmd)
	if a == nil || s.restless(a.at) {
		return nil
	}
	mine, home := s.Ledger[a.accuser.ID], s.Ledger[household(a.accuser.Address)]
	move := &messages.ListenerMoved{
		Id: a.accused.ID, Name: a.accused.Name, After: s.at(len(s.Chain) - 1), SeenBy: a.accuser.ID,
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
	case late(a.fault) && a.accused.open():
		return nil // the server looks first whose fault it is: who hears late sends late
	default:
		move.Convicted = serious(a.fault) && voices(append(a.accused.heard(a.at), a.voice())) >= verdictVoices
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

// toAudit is the node that the server should look at because of what a listener says of it, nil
// if there is nothing to look for. It has to be asked BEFORE that is decided on.
func (s State) toAudit(cmd *messages.PeerLost) *messages.Node {
	a := s.accusation(cmd)
	if a == nil || !s.believed(a) || s.findsAnother(a) || !a.accused.open() {
		return nil
	}
	return a.accused.node()
}

// open says whether the server can ask it for the music.
func (m Member) open() bool { return m.feeds() && !m.Dials }

// fedStill says whether the node receives from that one, as before.
func (s State) fedStill(id, above string) bool {
	place := s.place(id)
	return place >= 0 && s.source(place) == above
}

// audited is what an audit shows.
func (s State) audited(cmd *messages.AuditEnded) []proto.Message {
	at := s.place(cmd.GetId())
	if at < 0 {
		return nil
	}
	events := []proto.Message{&messages.ListenerAudited{
		Id: cmd.GetId(), Name: s.Chain[at].Name, SeenBy: cmd.GetSeenBy(), Address: cmd.GetAddress(),
		Fault: cmd.GetFault(), Reason: cmd.GetReason(), AtUnixUs: cmd.GetAtUnixUs(),
	}}
	// A convict stays where it is: it feeds nobody there.
	if cmd.GetFault() != messages.Fault_FAULT_UNSPECIFIED && !serious(cmd.GetFault()) &&
		at < len(s.Chain)-1 && !s.restless(cmd.GetAtUnixUs()) {
		events = append(events, &messages.ListenerMoved{
			Id: cmd.GetId(), Name: s.Chain[at].Name, After: s.at(len(s.Chain) - 1), SeenBy: messages.ServerID,
			Fault: cmd.GetFault(), Reason: cmd.GetReason(), AtUnixUs: cmd.GetAtUnixUs(),
		})
	}
	return s.spliced(events...)
}

// endVerdicts ends the verdicts whose time is up.
func (s State) endVerdicts(at int64) []proto.Message {
	var events []proto.Message
	for _, m := range s.Chain {
		if m.Liar && at >= s.Ledger[m.ID].verdictEnds() {
			events = append(events, &messages.VerdictEnded{Id: m.ID, Name: m.Name, AtUnixUs: at})
		}
	}
	return s.spliced(events...)
}

// nextEnd is when the next verdict of a member ends, 0 if there is none.
func (s State) nextEnd() int64 {
	next := int64(0)
	for _, m := range s.Chain {
		if end := s.Ledger[m.ID].verdictEnds(); m.Liar && (next == 0 || end < next) {
			next = end
		}
	}
	return next
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
	by := s.place(event.GetSeenBy())
	switch {
	case event.GetSeenBy() == event.GetId():
		s = s.book(event.GetId(), func(a *Account) { a.refute(at) })
	case by >= 0:
		charge := func(a *Account) { a.Moved, a.MovedAt = event.GetId(), at }
		s = s.book(event.GetSeenBy(), charge).book(household(s.Chain[by].Address), charge)
	}
	place := s.place(event.GetId())
	if place < 0 {
		return s
	}
	moved := s.Chain[place]
	moved.AccusedAt = at
	if event.GetFault() == messages.Fault_FAULT_SLOW && by >= 0 { // an audit counts by itself
		moved.Doubts++
	}
	if serious(event.GetFault()) && by >= 0 && event.GetSeenBy() != event.GetId() {
		moved.Voices = append(moved.heard(at), Voice{event.GetSeenBy(), s.Chain[by].Address, at})
		moved.Voices = moved.Voices[max(0, len(moved.Voices)-verdictVoices):]
	}
	s.Chain = append(slices.Delete(slices.Clone(s.Chain), place, place+1), moved)
	if event.GetConvicted() {
		s = s.convict(event.GetId(), at)
	}
	return s
}

// found is the state after a ListenerAudited.
func (s State) found(event *messages.ListenerAudited) State {
	at := event.GetAtUnixUs()
	place, said := s.place(event.GetId()), event.GetSeenBy() != messages.ServerID
	if event.GetFault() == messages.Fault_FAULT_UNSPECIFIED {
		// The voice stays: a liar may know the server's address, and serve that honestly.
		refute := func(a *Account) { a.refute(at) }
		return s.book(event.GetSeenBy(), refute).book(household(event.GetAddress()), refute)
	}
	right := func(a *Account) { a.right(event.GetId()) }
	if said { // else those below it complained of each other
		s = s.book(event.GetSeenBy(), right).book(household(event.GetAddress()), right)
	}
	s = s.proved(event.GetId(), 0)
	if serious(event.GetFault()) {
		return s.convict(event.GetId(), at)
	}
	if place >= 0 {
		s.Chain = slices.Clone(s.Chain)
		s.Chain[place].AccusedAt = at
		s.Chain[place].Doubts++
	}
	return s
}

// refute notes that it was wrong at that time.
func (a *Account) refute(at int64) {
	if at-a.RefutedAt >= forgiveTime {
		a.Refuted = 0
	}
	a.Refuted, a.RefutedAt = a.Refuted+1, at
}

// right notes that what it said of id was true.
func (a *Account) right(id string) {
	if a.Moved == id {
		a.Moved, a.MovedAt = "", 0
	}
	a.Refuted, a.RefutedAt = 0, 0
}

func (s State) convict(id string, at int64) State {
	if place := s.place(id); place >= 0 {
		s.Chain = slices.Clone(s.Chain)
		s.Chain[place].Liar, s.Chain[place].Voices = true, nil
	}
	return s.book(id, func(a *Account) {
		a.Convicted++
		a.ConvictedAt = at
	})
}

func (s State) cleared(id string) State {
	if place := s.place(id); place >= 0 {
		s.Chain = slices.Clone(s.Chain)
		s.Chain[place].Liar = false
	}
	return s.book(id, func(a *Account) { a.ConvictedAt = 0 })
}

// lostToo is the state after the server has lost a member: whoever accused it just before was right.
func (s State) lostToo(event *messages.ListenerLeft) State {
	if event.GetCause() == messages.ListenerLeft_CAUSE_SAID_SO {
		return s
	}
	return s.proved(event.GetId(), event.GetAtUnixUs()-lossTime)
}

// proved is the state after it was found that those were right whose word moved id since then.
func (s State) proved(id string, since int64) State {
	for name, a := range s.Ledger { // the old map: book makes new ones
		if a.Moved == id && a.MovedAt >= since {
			s = s.book(name, func(a *Account) { a.right(id) })
		}
	}
	return s
}

// book changes the account of an id or an address.
func (s State) book(name string, change func(*Account)) State {
	a := s.Ledger[name]
	change(&a)
	s.Ledger = maps.Clone(s.Ledger)
	if a == (Account{}) {
		delete(s.Ledger, name)
		return s
	}
	if s.Ledger == nil {
		s.Ledger = Ledger{}
	}
	s.Ledger[name] = a
	if len(s.Ledger) > maxAccounts {
		s.Ledger.withoutOldest()
	}
	return s
}

// reopened is the state after the server's start at that time. Its clock may have been set back
// meanwhile: what would be in the future counts as now, or no brake and no verdict would ever end.
func (s State) reopened(at int64) State {
	if at == 0 {
		return s
	}
	for i := range s.Chain { // a copy already
		m := &s.Chain[i]
		m.AccusedAt = min(m.AccusedAt, at)
		m.Voices = slices.Clone(m.Voices)
		for j := range m.Voices {
			m.Voices[j].At = min(m.Voices[j].At, at)
		}
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
