package why

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"conga/actors/chainmanager/chain"
	"conga/actors/eventlog"
	"conga/messages"
)

// nearby is how far apart two reports of the same failure may be.
const nearby = 10 * time.Second

// atOnce is how far apart two events may be if they report the same thing.
const atOnce = 2 * time.Second

// chain tells what the server's log says about the chain.
func (t *teller) chain() {
	starts := 0
	for _, r := range t.Server {
		switch e := r.Event.(type) {
		case *messages.BroadcastOpened:
			starts++
			switch {
			case r.Seq == 1:
				t.say(r.Time, "the server was started on a new log.")
			case t.Server[0].Seq == 1:
				t.say(r.Time, "the server was started again, as start number %d of this log.", starts)
			default:
				t.say(r.Time, "the server was started again.")
			}
		case *messages.BroadcastClosed:
			t.say(r.Time, "the server was stopped.")
		case *messages.ListenerJoined:
			if t.about(e.GetNode().GetId()) {
				t.joined(r.Time, e)
			}
		case *messages.ListenerReturned:
			if t.about(e.GetNode().GetId()) {
				t.say(r.Time, "%s came back to its place.", t.node(e.GetNode()))
			}
		case *messages.ListenerLeft:
			if t.about(e.GetId()) {
				t.left(r.Time, e)
			}
		case *messages.ListenerMoved:
			if t.about(e.GetId()) {
				t.moved(r.Time, e)
			}
		case *messages.BranchMoved:
			if t.about(e.GetId()) {
				t.say(r.Time, "%s, with all below it, was moved behind %s: %s.", t.name(e.GetId()), t.name(e.GetFrom()), e.Why())
			}
		case *messages.ListenerAudited:
			if t.about(e.GetId()) {
				t.audited(r.Time, e)
			}
		case *messages.VerdictEnded:
			if t.about(e.GetId()) {
				t.say(r.Time, "%s may feed others again.", t.name(e.GetId()))
			}
		case *messages.ListenerFellSilent:
			if t.about(e.GetId()) {
				t.say(r.Time, "%s hears nothing any more%s. A client of 2016 cannot be told where to go on: start it again.", t.name(e.GetId()), because(e.GetReason()))
			}
		case *messages.ListenerReconnected:
			if t.about(e.GetId()) {
				t.reconnected(r, e)
			}
		}
	}
}

func (t *teller) joined(at time.Time, e *messages.ListenerJoined) {
	text := fmt.Sprintf("%s joined the chain behind %s", t.node(e.GetNode()), t.name(e.GetAfter()))
	if e.GetBranch() {
		text += ", where the chain branches"
	}
	switch {
	case e.GetSeed():
		text = fmt.Sprintf("%s, a client of 2016, joined the chain; %s feeds it", t.node(e.GetNode()), t.name(e.GetFedBy()))
	case e.GetUnreachable() != "":
		text += fmt.Sprintf("; nobody can connect to it (%s), so it connects to the listeners that it feeds", e.GetUnreachable())
	case e.GetLeaf():
		text += "; it passes the music on to nobody"
	}
	t.say(at, "%s.", text)
}

func (t *teller) left(at time.Time, e *messages.ListenerLeft) {
	name := t.name(e.GetId())
	switch e.GetCause() {
	case messages.ListenerLeft_CAUSE_SAID_SO:
		t.say(at, "%s said goodbye and left.", name)
	case messages.ListenerLeft_CAUSE_DID_NOT_RETURN:
		t.say(at, "%s did not come back after the server's restart and was taken out of the chain.", name)
	default:
		t.say(at, "the server lost %s and took it out of the chain%s.", name, because(e.GetReason()))
	}
}

func (t *teller) moved(at time.Time, e *messages.ListenerMoved) {
	text := fmt.Sprintf("%s was moved behind %s: %s complained about it%s", t.name(e.GetId()), t.name(e.GetAfter()), t.name(e.GetSeenBy()), because(e.GetReason()))
	switch {
	case e.GetSeenBy() == e.GetId():
		text = fmt.Sprintf("%s was moved behind %s: %s", t.name(e.GetId()), t.name(e.GetAfter()), e.GetReason())
	case e.GetSeenBy() == messages.ServerID:
		text = fmt.Sprintf("%s was moved behind %s", t.name(e.GetId()), t.name(e.GetAfter()))
	case e.GetConvicted():
		text += ". Others have said so before, so it feeds nobody for a while"
	}
	t.say(at, "%s.", text)
}

// audited tells what the server saw when it checked a node itself.
func (t *teller) audited(at time.Time, e *messages.ListenerAudited) {
	switch e.GetFault() {
	case messages.Fault_FAULT_UNSPECIFIED:
		t.say(at, "%[2]s had complained about %[1]s; the server checked %[1]s and found nothing wrong.", t.name(e.GetId()), t.name(e.GetSeenBy()))
	case messages.Fault_FAULT_LYING, messages.Fault_FAULT_SKIPPING:
		t.say(at, "the server checked %s itself%s. It feeds nobody for a while.", t.name(e.GetId()), because(e.GetReason()))
	default:
		t.say(at, "the server checked %s itself%s.", t.name(e.GetId()), because(e.GetReason()))
	}
}

// reconnected tells who failed, how the music came back, and what
// that cost.
func (t *teller) reconnected(r eventlog.Record, e *messages.ListenerReconnected) {
	at := r.Time
	// It may have waited for the server's return. It is the listener's word: no later than the event.
	if said := time.UnixMicro(e.GetAtUnixUs()); e.GetAtUnixUs() > 0 && said.Before(at) && at.Sub(said) < longWait {
		at = said
	}
	t.fed(e.GetId(), at, feeding{
		lost: e.GetLost(), reason: e.GetReason(), upstream: e.GetUpstream(),
		search: micros(e.GetSearchUs()), buffered: micros(e.GetBufferedUs()), missing: e.GetMissing(),
	})
}

// longWait is how late a report may come with a time of its own that is believed.
const longWait = 24 * time.Hour

// feeding is a change of the upstream, from the server's log or the listener's own.
type feeding struct {
	lost, upstream *messages.Node
	reason         string
	search         time.Duration
	buffered       time.Duration
	missing        uint64
}

// fed tells that the listener was fed again at that time, by the server's clock. How much it still had to
// play was measured; whether there was a silence, only its own log knows.
func (t *teller) fed(id string, at time.Time, f feeding) {
	sum := t.tally(id)
	sum.failures++
	sum.longest = max(sum.longest, f.search)
	if sum.failures == 1 || f.buffered < sum.least {
		sum.least = f.buffered
	}
	sum.missing += f.missing
	lostAt := at.Add(-f.search)
	text := fmt.Sprintf("%s lost its music: %s, which fed it, %s. %s later it was fed by %s.",
		t.name(id), t.node(f.lost), t.fate(f.lost, f.reason, lostAt, at), span(f.search), t.node(f.upstream))
	if f.buffered > 0 {
		text += fmt.Sprintf(" It still had %s of music", span(f.buffered))
	} else {
		text += " Its buffer had run empty"
	}
	if f.missing == 0 {
		t.say(lostAt, "%s; nothing was lost.", text)
	} else {
		t.say(lostAt, "%s; it lost %s that nobody could give it.", text, plural(f.missing, "item"))
	}
}

// fate says what became of a node that fed somebody until `from`. At `to` the one that it had fed was fed again.
func (t *teller) fate(n *messages.Node, reason string, from, to time.Time) string {
	reason = parens(reason)
	fate := "stopped feeding it" + reason
	first := sort.Search(len(t.Server), func(i int) bool { return !t.Server[i].Time.Before(from.Add(-nearby)) })
	for _, r := range t.Server[first:] {
		if r.Time.After(to.Add(nearby)) {
			break // it happened at another time, so it has another cause
		}
		switch e := r.Event.(type) {
		case *messages.BroadcastClosed:
			if n.GetId() == messages.ServerID && r.Time.Sub(from).Abs() < atOnce {
				fate = "was stopped"
			}
		case *messages.BroadcastOpened:
			if n.GetId() == messages.ServerID && r.Seq > 1 && r.Time.After(from) {
				return fmt.Sprintf("%s and was started again at %s", fate, t.clock(r.Time))
			}
		case *messages.ListenerLeft:
			switch {
			case e.GetId() != n.GetId():
			case e.GetCause() == messages.ListenerLeft_CAUSE_SAID_SO && r.Time.Sub(from).Abs() < atOnce:
				return "said goodbye"
			case e.GetCause() == messages.ListenerLeft_CAUSE_SAID_SO:
				return fmt.Sprintf("stopped feeding it%s; it said goodbye at %s", reason, t.clock(r.Time))
			default:
				return fmt.Sprintf("stopped feeding it%s; the server lost it too%s", reason, because(e.GetReason()))
			}
		case *messages.ListenerMoved: // it may still turn out to be dead
			if e.GetId() == n.GetId() {
				fate = fmt.Sprintf("stopped feeding it%s and was moved behind %s", reason, t.name(e.GetAfter()))
			}
		case *messages.ListenerReturned:
			if e.GetNode().GetId() == n.GetId() && r.Time.After(from) {
				fate = fmt.Sprintf("stopped feeding it%s; it came back at %s", reason, t.clock(r.Time))
			}
		}
	}
	return fate
}

func parens(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func ordinal(n int) string {
	suffix := "th"
	switch {
	case n%100 >= 11 && n%100 <= 13:
	case n%10 == 1:
		suffix = "st"
	case n%10 == 2:
		suffix = "nd"
	case n%10 == 3:
		suffix = "rd"
	}
	return fmt.Sprintf("%d%s", n, suffix)
}

// summary says how things stand.
func (t *teller) summary() {
	line := t.State.ChainManager.Chain
	if t.subjects == nil {
		if len(t.told) == 0 {
			t.sayNow("nothing has happened since %s.", t.clock(t.begins()))
		}
		t.sayNow("%s in the chain now.", plural(uint64(line.Len()), "listener"))
		return
	}
	for _, id := range slices.Sorted(maps.Keys(t.subjects)) {
		t.stands(id)
	}
}

// stands says how things stand with one listener.
func (t *teller) stands(id string) {
	sum, who := t.tally(id), ""
	if len(t.subjects) > 1 {
		who = " of " + t.name(id)
	}
	if sum.failures > 0 || sum.silences > 0 {
		t.sayNow("%s", t.account(id, who))
	}
	if !sum.unfed.IsZero() {
		t.sayNow("nobody has fed %s since %s, according to its own log.", t.name(id), t.clock(sum.unfed))
	}
	line := slices.Collect(t.State.ChainManager.Chain.All())
	if len(t.Server) == 0 && len(line) == 0 {
		return // the server was not asked
	}
	at := slices.IndexFunc(line, func(m chain.Member) bool { return m.ID == id })
	if at < 0 {
		t.sayNow("%s is not in the chain now.", t.name(id))
		return
	}
	above := messages.ServerID
	if at > 0 {
		above = line[at-1].ID
	}
	text := fmt.Sprintf("%s is the %s of %d in the chain now, behind %s", t.name(id), ordinal(at+1), len(line), t.name(above))
	if chain := t.State.ChainManager.Chain; chain.Branches() {
		text = fmt.Sprintf("%s is one of %d in the chain now, %s below the server, behind %s", t.name(id), len(line), plural(uint64(chain.Hops(id)), "hop"), t.name(chain.Source(id)))
	}
	if line[at].Absent {
		text += "; the server has not heard of it since its restart"
	}
	if sum.failures == 0 && sum.silences == 0 && sum.unfed.IsZero() && !line[at].Absent {
		text += fmt.Sprintf("; since %s %s that its music stopped", t.clock(t.known(id)), t.silentLogs(id))
	}
	t.sayNow("%s.", text)
}

// known is since when everything is known of the listener: since it exists, but not before the logs begin.
func (t *teller) known(id string) time.Time {
	since := t.begins()
	for _, r := range t.Server {
		switch e := r.Event.(type) {
		case *messages.ListenerJoined:
			if e.GetNode().GetId() == id {
				since = latest(since, r.Time)
			}
		case *messages.ListenerReturned:
			if e.GetNode().GetId() == id {
				since = latest(since, r.Time)
			}
		}
	}
	if id == t.NodeID && len(t.Node) > 0 {
		since = latest(since, t.NodeBegins)
		for i, r := range t.Node {
			if _, is := r.Event.(*messages.NodeStarted); is {
				since = latest(since, t.ownTime(i))
			}
		}
	}
	return since
}

// lived is when the listener came, or when the logs first name it.
func (t *teller) lived(id string) time.Time {
	if len(t.Server) == 0 {
		for i, r := range t.Node {
			if _, is := r.Event.(*messages.NodeStarted); is && i == 0 {
				return latest(t.Since, t.ownTime(i))
			}
		}
		return latest(t.Since, t.NodeBegins)
	}
	for _, r := range t.Server {
		if about := nodes(r.Event); len(about) == 0 || about[0].GetId() != id {
			continue
		}
		if _, is := r.Event.(*messages.ListenerJoined); is {
			return latest(t.begins(), r.Time)
		}
		break // it was there before
	}
	return t.begins()
}

// silentLogs says which logs know of no silence.
func (t *teller) silentLogs(id string) string {
	if id == t.NodeID && len(t.Node) > 0 {
		return "neither the server's log nor its own says"
	}
	return "the server has not heard"
}

// account adds up a listener's failures and silences in the logs.
func (t *teller) account(id, who string) string {
	sum := t.tally(id)
	text := fmt.Sprintf("in all%s, since %s: ", who, t.clock(t.lived(id)))
	var parts []string
	if sum.failures > 0 {
		part := fmt.Sprintf("it lost its music %s and was fed again after at most %s", times(sum.failures), span(sum.longest))
		switch {
		case sum.least > 0:
			part += fmt.Sprintf(", with at least %s still to play", span(sum.least))
		case sum.failures == 1:
			part += ", with nothing left to play"
		default:
			part += ", at least once with nothing left to play"
		}
		if sum.missing == 0 {
			part += "; nothing was lost"
		} else {
			part += fmt.Sprintf("; %s lost", plural(sum.missing, "item"))
		}
		parts = append(parts, part)
	}
	if sum.silences > 0 {
		atLeast := ""
		if sum.goesOn {
			atLeast = "at least "
		}
		part := fmt.Sprintf("it was silent %s, for %s%s in all, according to its own log", times(sum.silences), atLeast, span(sum.silent))
		switch {
		case sum.unsent > 0 && sum.silent-sum.unsent < nearlyAll:
			part += ", because nothing was broadcast"
		case sum.unsent > 0:
			part += fmt.Sprintf("; for %s of that nothing was broadcast", span(sum.unsent))
		}
		parts = append(parts, part)
	}
	return text + strings.Join(parts, "; ") + "."
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}
