package why

import (
	"fmt"
	"time"

	"conga/actors/eventlog"
	"conga/messages"
)

// nearby is how far apart two reports of the same failure may be.
const nearby = 10 * time.Second

// chain tells what the server's log says of the places in the chain.
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
				t.say(r.Time, "the server was started again, for the %s time on this log.", ordinal(starts))
			default:
				t.say(r.Time, "the server was started again.")
			}
		case *messages.ListenerJoined:
			if t.about(e.GetNode().GetId()) {
				t.joined(r.Time, e)
			}
		case *messages.ListenerReturned:
			if t.about(e.GetNode().GetId()) {
				t.say(r.Time, "%s came back, to the place that it had.", t.called(e.GetNode()))
			}
		case *messages.ListenerLeft:
			if t.about(e.GetId()) {
				t.left(r.Time, e)
			}
		case *messages.ListenerMoved:
			if t.about(e.GetId()) {
				t.moved(r.Time, e)
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
				t.say(r.Time, "%s hears nothing any more%s. No word reaches such a client: it must be started again.", t.name(e.GetId()), because(e.GetReason()))
			}
		case *messages.ListenerReconnected:
			if t.about(e.GetId()) {
				t.reconnected(r, e)
			}
		}
	}
}

func (t *teller) joined(at time.Time, e *messages.ListenerJoined) {
	text := fmt.Sprintf("%s joined the chain behind %s", t.called(e.GetNode()), t.name(e.GetAfter()))
	switch {
	case e.GetSeed():
		text = fmt.Sprintf("%s, a client of 2016, joined the chain; %s feeds it", t.called(e.GetNode()), t.name(e.GetFedBy()))
	case e.GetUnreachable() != "":
		text += fmt.Sprintf("; nobody can connect to it (%s), so it has to dial those whom it feeds", e.GetUnreachable())
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
		t.say(at, "%s had not come back after the server's restart and was taken out of the chain.", name)
	default:
		t.say(at, "the server lost %s%s, and took it out of the chain.", name, because(e.GetReason()))
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

// audited tells what the server saw when it looked at a node itself.
func (t *teller) audited(at time.Time, e *messages.ListenerAudited) {
	switch e.GetFault() {
	case messages.Fault_FAULT_UNSPECIFIED:
		t.say(at, "the server looked at %s, of which %s had complained, and found nothing wrong.", t.name(e.GetId()), t.name(e.GetSeenBy()))
	case messages.Fault_FAULT_LYING, messages.Fault_FAULT_SKIPPING:
		t.say(at, "the server looked at %s itself%s. It feeds nobody for a while.", t.name(e.GetId()), because(e.GetReason()))
	default:
		t.say(at, "the server looked at %s itself%s.", t.name(e.GetId()), because(e.GetReason()))
	}
}

// reconnected is the heart of the matter: who failed, how the music came back, and what
// it cost.
func (t *teller) reconnected(r eventlog.Record, e *messages.ListenerReconnected) {
	search := micros(e.GetSearchUs())
	at := r.Time
	if us := e.GetAtUnixUs(); us > 0 { // it may have waited for the server's return
		at = time.UnixMicro(us)
	}
	lostAt := at.Add(-search)
	t.fed(lostAt, feeding{
		who: t.name(e.GetId()), lost: e.GetLost(), reason: e.GetReason(), upstream: e.GetUpstream(),
		search: search, buffered: micros(e.GetBufferedUs()), missing: e.GetMissing(),
	})
}

// feeding is a change of the upstream, as the server's log or the listener's own has it.
type feeding struct {
	who            string
	lost, upstream *messages.Node
	reason         string
	search         time.Duration
	buffered       time.Duration
	missing        uint64
}

func (t *teller) fed(lostAt time.Time, f feeding) {
	t.failures++
	t.longest = max(t.longest, f.search)
	if t.failures == 1 || f.buffered < t.least {
		t.least = f.buffered
	}
	t.missing += f.missing
	text := fmt.Sprintf("%s lost its music: %s, which fed it, %s. %s later it was fed by %s.",
		f.who, t.called(f.lost), t.fate(f.lost, f.reason, lostAt), span(f.search), t.called(f.upstream))
	if f.buffered > 0 {
		text += fmt.Sprintf(" It still had %s of music, so nothing was heard of it", span(f.buffered))
	} else {
		text += " Its buffer had run empty, so it fell silent"
	}
	if f.missing == 0 {
		t.say(lostAt, "%s; nothing was lost.", text)
	} else {
		t.say(lostAt, "%s; %s could not be had from anybody and were lost.", text, plural(f.missing, "chunk"))
	}
}

// fate says what became of a node that fed somebody until at.
func (t *teller) fate(n *messages.Node, reason string, at time.Time) string {
	if n.GetId() == messages.ServerID {
		for _, r := range t.Server {
			if _, is := r.Event.(*messages.BroadcastOpened); is && r.Time.After(at) {
				return fmt.Sprintf("failed (%s) and was started again at %s", reason, t.clock(r.Time))
			}
		}
		return fmt.Sprintf("stopped feeding it (%s)", reason)
	}
	fate := fmt.Sprintf("stopped feeding it (%s)", reason)
	for _, r := range t.Server {
		if r.Time.Sub(at).Abs() > nearby {
			continue
		}
		switch e := r.Event.(type) {
		case *messages.ListenerLeft:
			switch {
			case e.GetId() != n.GetId():
			case e.GetCause() == messages.ListenerLeft_CAUSE_SAID_SO:
				return "said goodbye"
			default:
				return fmt.Sprintf("failed (%s; the server lost it too%s)", reason, because(e.GetReason()))
			}
		case *messages.ListenerMoved: // it may still turn out to be dead
			if e.GetId() == n.GetId() {
				fate = fmt.Sprintf("failed it (%s) and was moved behind %s", reason, t.name(e.GetAfter()))
			}
		case *messages.ListenerReturned:
			if e.GetNode().GetId() == n.GetId() {
				fate = fmt.Sprintf("was cut off (%s) and came back", reason)
			}
		}
	}
	return fate
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
	chain := t.State.ChainManager.Chain
	if t.subjects == nil {
		if len(t.told) == 0 {
			t.sayNow("nothing happened since %s.", t.clock(t.Since))
		}
		t.sayNow("%s in the chain now.", plural(uint64(len(chain)), "listener"))
		return
	}
	if t.failures > 0 || t.silences > 0 {
		t.sayNow("%s", t.account())
	}
	if len(t.Server) == 0 && len(chain) == 0 {
		return // the server was not asked
	}
	for at, m := range chain {
		if !t.subjects[m.ID] {
			continue
		}
		above := messages.ServerID
		if at > 0 {
			above = chain[at-1].ID
		}
		text := fmt.Sprintf("%s is the %s of %d in the chain now, behind %s", m.Name, ordinal(at+1), len(chain), t.name(above))
		if m.Absent {
			text += "; the server has not heard of it since its restart"
		}
		if t.failures == 0 && t.silences == 0 {
			text += "; its music has not stopped since " + t.clock(t.Since) + ", as far as is known"
		}
		t.sayNow("%s.", text)
		return
	}
	t.sayNow("%s is not in the chain now.", t.subject())
}

func (t *teller) subject() string {
	for id := range t.subjects {
		return t.name(id) // all are called so, or there is one
	}
	return t.Name
}

// account adds up what the failures cost.
func (t *teller) account() string {
	text := "in all: "
	if t.own > 0 {
		text = "in all, also by its own log: "
	}
	switch t.failures {
	case 0:
		text += "nobody who fed it failed"
	default:
		text += fmt.Sprintf("it lost its music %s and was fed again after at most %s; its buffer ",
			times(t.failures), span(t.longest))
		if t.least > 0 {
			text += "never went below " + span(t.least)
		} else {
			text += "ran empty"
		}
	}
	if t.missing == 0 {
		text += "; nothing was lost"
	} else {
		text += fmt.Sprintf("; %s lost", plural(t.missing, "chunk"))
	}
	if t.silences > 0 {
		text += fmt.Sprintf("; it was silent %s, for %s together", times(t.silences), span(t.silent))
	}
	return text + "."
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
