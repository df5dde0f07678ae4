package why

import (
	"fmt"
	"strings"
	"time"

	"conga/actors/eventlog"
	"conga/messages"
)

// maxOwn is how many sentences the listener's own log may fill.
const maxOwn = 500

// node tells what only the listener's own log knows, as the listener's own words.
func (t *teller) node() {
	who := t.subject()
	before, failures := len(t.told), t.failures
	t.speaker = who
	defer func() {
		t.speaker = ""
		t.own = t.failures - failures + t.silences
		if len(t.told)-before > maxOwn {
			t.told = t.told[:before+maxOwn]
			t.sayNow("%s's own log says more than that: a shorter --since shows it.", who)
		}
	}()
	var lost *messages.UpstreamLost
	var lostAt time.Time
	var vain vain
	asked := map[string]eventlog.Record{}
	for _, r := range t.Node {
		switch e := r.Event.(type) {
		case *messages.NodeStarted:
			t.say(r.Time, "%s was started, to hear %s.", who, e.GetServer())
			lost, vain = nil, nil
		case *messages.UpstreamLost:
			lost, lostAt, vain = e, r.Time, nil
		case *messages.UpstreamUnusable:
			if lost != nil {
				vain = vain.add(t.called(e.GetNode()), e.GetReason())
			}
		case *messages.SearchExhausted:
			if e.GetSearches() == 1 {
				t.say(r.Time, "%s found nobody to feed it, and went on asking.", who)
			}
		case *messages.UpstreamConnected:
			if lost != nil && !t.serverKnows(r.Time, e) {
				t.fed(lostAt, feeding{
					who: who, lost: lost.GetNode(), reason: lost.GetReason(), upstream: e.GetNode(),
					search: micros(e.GetSearchUs()), buffered: micros(e.GetBufferedUs()), missing: e.GetMissing(),
				})
			}
			if len(vain) > 0 {
				t.say(r.Time, "before %s answered, %s had asked in vain: %s.", t.called(e.GetNode()), who, vain)
			}
			lost, vain = nil, nil
		case *messages.PlayerUnderran:
			t.silences++
			t.silent += micros(e.GetMissingUs())
			t.say(r.Time.Add(-micros(e.GetMissingUs())), "%s fell silent for %s in the midst of %s: %s.",
				who, span(micros(e.GetMissingUs())), e.GetSong(), strings.TrimSuffix(e.GetCause(), "."))
		case *messages.PlayerFellSilent:
			t.say(r.Time, "%s cannot be heard: %s.", who, strings.TrimSuffix(e.GetReason(), "."))
		case *messages.PlayerHeardAgain:
			t.say(r.Time, "%s can be heard again.", who)
		case *messages.RequestSent:
			asked[e.GetRequestId()] = r
		case *messages.RequestAnswered:
			delete(asked, e.GetRequestId())
		}
	}
	for _, r := range t.Node {
		if e, is := r.Event.(*messages.RequestSent); is {
			if _, waits := asked[e.GetRequestId()]; waits {
				t.say(r.Time, "%s asked %q and has no answer yet; it is asked again when the server is back.", who, e.GetLine())
			}
		}
	}
}

// vain is whom a node asked in vain, and why it was in vain.
type vain []refusal

type refusal struct {
	node, reason string
	times        int
}

// add counts what was the same before. Of a reason only the end says something to people.
func (v vain) add(node, reason string) vain {
	reason = reason[strings.LastIndex(reason, ": ")+1:]
	reason = strings.TrimSpace(reason)
	for i := range v {
		if v[i].node == node && v[i].reason == reason {
			v[i].times++
			return v
		}
	}
	return append(v, refusal{node, reason, 1})
}

func (v vain) String() string {
	var all []string
	for _, r := range v {
		text := fmt.Sprintf("%s (%s)", r.node, r.reason)
		if r.times > 1 {
			text = fmt.Sprintf("%s (%s, %s)", r.node, r.reason, times(r.times))
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// serverKnows says whether the server's log has this change of the upstream: then it is told
// from there.
func (t *teller) serverKnows(at time.Time, e *messages.UpstreamConnected) bool {
	for _, r := range t.Server {
		known, is := r.Event.(*messages.ListenerReconnected)
		if is && t.about(known.GetId()) && known.GetUpstream().GetId() == e.GetNode().GetId() &&
			known.GetSearchUs() == e.GetSearchUs() {
			return true
		}
	}
	return false
}
