package why

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"conga/messages"
)

// maxOwn is how many sentences the listener's own log may fill.
const maxOwn = 500

// silence is one for want of music. It is said when it has gone on for five seconds, and at its end.
type silence struct {
	started int64 // as it was said
	at      time.Time
	song    string
	cause   string
	length  time.Duration
	goesOn  bool
}

// own tells what only a listener's own log knows, as the listener's own words.
func (t *teller) own() {
	if len(t.Node) == 0 {
		return
	}
	who := t.name(t.NodeID)
	before := len(t.told)
	t.speaker = who
	defer func() {
		t.speaker = ""
		if len(t.told)-before > maxOwn {
			t.told = t.told[:before+maxOwn]
			t.sayNow("%s's own log says more than that: a shorter --since shows it.", who)
		}
	}()
	var lost *messages.UpstreamLost
	var lostAt time.Time
	var vain vain
	var silences []*silence
	asked := map[string]pending{}
	unanswered := func(text string) {
		for _, p := range slices.SortedFunc(maps.Values(asked), func(a, b pending) int { return a.at.Compare(b.at) }) {
			t.say(p.at, text, who, p.line)
		}
		clear(asked)
	}
	for i, r := range t.Node {
		at := t.ownTime(i)
		switch e := r.Event.(type) {
		case *messages.NodeStarted:
			if lost != nil {
				t.say(lostAt, "%s lost its music: %s, which fed it, %s. Nobody fed it again before it ended.",
					who, t.node(lost.GetNode()), t.fate(lost.GetNode(), lost.GetReason(), lostAt, at))
			}
			unanswered("%s asked %q and had no answer when it ended.")
			t.say(at, "%s was started, to listen to %s.", who, e.GetServer())
			lost, vain = nil, nil
		case *messages.UpstreamLost:
			lost, lostAt, vain = e, at, nil
		case *messages.UpstreamUnusable:
			if lost != nil {
				vain = vain.add(t.node(e.GetNode()), e.GetReason())
			}
		case *messages.SearchExhausted:
			if e.GetSearches() == 1 {
				t.say(at, "%s found nobody to feed it, and went on asking.", who)
			}
		case *messages.UpstreamConnected:
			if lost != nil && !t.serverKnows(e) {
				t.fed(t.NodeID, at, feeding{
					lost: lost.GetNode(), reason: lost.GetReason(), upstream: e.GetNode(),
					search: micros(e.GetSearchUs()), buffered: micros(e.GetBufferedUs()), missing: e.GetMissing(),
				})
			}
			if len(vain) > 0 {
				t.say(at, "before %s answered, %s had asked in vain: %s.", t.node(e.GetNode()), who, vain)
			}
			lost, vain = nil, nil
		case *messages.PlayerUnderran:
			n := len(silences)
			if n == 0 || !silences[n-1].goesOn || silences[n-1].started != e.GetAtUnixUs() {
				silences = append(silences, &silence{started: e.GetAtUnixUs(), at: t.began(at, e)})
				n++
			}
			s := silences[n-1]
			s.song, s.cause, s.length, s.goesOn = e.GetSong(), strings.TrimSuffix(e.GetCause(), "."), micros(e.GetMissingUs()), e.GetGoesOn()
		case *messages.PlayerFellSilent:
			t.say(at, "%s cannot be heard: %s.", who, strings.TrimSuffix(e.GetReason(), "."))
		case *messages.PlayerHeardAgain:
			t.say(at, "%s can be heard again.", who)
		case *messages.RequestSent:
			asked[e.GetRequestId()] = pending{at, e.GetLine()}
		case *messages.RequestAnswered:
			delete(asked, e.GetRequestId())
		}
	}
	if lost != nil {
		t.tally(t.NodeID).unfed = lostAt
		t.say(lostAt, "%s lost its music: %s, which fed it, %s.", who, t.node(lost.GetNode()), t.fate(lost.GetNode(), lost.GetReason(), lostAt, t.Now))
	}
	unanswered("%s asked %q; no answer is in its log.")
	for _, s := range silences {
		t.silent(who, s)
	}
}

// silent tells of a silence, as long as it is known to have been.
func (t *teller) silent(who string, s *silence) {
	sum := t.tally(t.NodeID)
	sum.silences++
	sum.silent += s.length
	sum.goesOn = sum.goesOn || s.goesOn
	if s.goesOn {
		t.say(s.at, "%s fell silent in the middle of %s: %s. After %s it was still silent; its log does not say how that ended.", who, s.song, s.cause, span(s.length))
		return
	}
	t.say(s.at, "%s fell silent for %s in the middle of %s: %s.", who, span(s.length), s.song, s.cause)
}

// began is when a silence that was said at that time had begun.
func (t *teller) began(said time.Time, e *messages.PlayerUnderran) time.Time {
	if at := time.UnixMicro(e.GetAtUnixUs()); e.GetAtUnixUs() > 0 && at.Before(said) && said.Sub(at) < longWait {
		return at
	}
	return said.Add(-micros(e.GetMissingUs()))
}

// pending is a line that has no answer yet.
type pending struct {
	at   time.Time
	line string
}

// otherClock is how much a listener's clock must differ from the server's for its times to be put right.
const otherClock = time.Second

// ownTime is when event i of the listener's own log happened, by the server's clock, as far as
// the listener knew it then: its machine's may be wrong.
func (t *teller) ownTime(i int) time.Time {
	at := t.Node[i].Time
	for _, near := range []func(int) int{func(n int) int { return i + n }, func(n int) int { return i - n }} {
		for n := range len(t.Node) {
			j := near(n)
			if j < 0 || j >= len(t.Node) || n > 100 {
				break
			}
			us := serverTime(t.Node[j].Event)
			if us == 0 {
				continue
			}
			if ahead := time.UnixMicro(us).Sub(t.Node[j].Time); ahead.Abs() > otherClock {
				at = at.Add(ahead)
			}
			return at
		}
	}
	return at
}

// serverTime is when an event of a listener's own log happened, by the server's clock; 0: it does not say.
func serverTime(event any) int64 {
	switch e := event.(type) {
	case *messages.UpstreamLost:
		return e.GetAtUnixUs()
	case *messages.UpstreamConnected:
		return e.GetAtUnixUs()
	case *messages.UpstreamUnusable:
		return e.GetAtUnixUs()
	case *messages.RequestSent:
		return e.GetAtUnixUs()
	}
	return 0
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
// from there. One report stands for one change.
func (t *teller) serverKnows(e *messages.UpstreamConnected) bool {
	for _, r := range t.Server {
		known, is := r.Event.(*messages.ListenerReconnected)
		if is && !t.matched[r.Seq] && known.GetId() == t.NodeID && known.GetUpstream().GetId() == e.GetNode().GetId() &&
			known.GetSearchUs() == e.GetSearchUs() && known.GetBufferedUs() == e.GetBufferedUs() {
			t.matched[r.Seq] = true
			return true
		}
	}
	return false
}
