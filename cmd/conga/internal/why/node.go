package why

import (
	"fmt"
	"strings"
	"time"

	"conga/actors/eventlog"
	"conga/messages"
)

// node tells what only the listener's own log knows.
func (t *teller) node() {
	who := t.subject()
	var lost *messages.UpstreamLost
	var lostAt time.Time
	var vain []string
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
				vain = append(vain, fmt.Sprintf("%s (%s)", t.called(e.GetNode()), e.GetReason()))
			}
		case *messages.SearchExhausted:
			if e.GetSearches() == 1 {
				t.say(r.Time, "%s asked everybody above it in vain, and tried again.%s", who, inVain(vain))
				vain = nil
			}
		case *messages.UpstreamConnected:
			if lost != nil && !t.serverKnows(r.Time, e) {
				t.fed(lostAt, feeding{
					who: who, lost: lost.GetNode(), reason: lost.GetReason(), upstream: e.GetNode(),
					search: micros(e.GetSearchUs()), buffered: micros(e.GetBufferedUs()), missing: e.GetMissing(),
				})
			}
			if len(vain) > 0 {
				t.say(r.Time, "before %s answered, %s.", t.called(e.GetNode()), strings.TrimSpace(inVain(vain)))
			}
			lost, vain = nil, nil
		case *messages.PlayerUnderran:
			t.silences++
			t.silent += micros(e.GetMissingUs())
			t.say(r.Time.Add(-micros(e.GetMissingUs())), "%s fell silent for %s in the midst of %s: %s.",
				who, span(micros(e.GetMissingUs())), e.GetSong(), strings.TrimSuffix(e.GetCause(), "."))
		case *messages.PlayerFellSilent:
			t.say(r.Time, "%s cannot be heard: %s.", who, strings.TrimSuffix(e.GetReason(), "."))
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

// inVain lists who could not help.
func inVain(vain []string) string {
	if len(vain) == 0 {
		return ""
	}
	return " asked in vain: " + strings.Join(vain, ", ")
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
