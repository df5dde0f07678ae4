package why

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// maxOwn is how many sentences the listener's own log may fill.
const maxOwn = 500

// silence is a silence for lack of music. The player reports it once it has lasted five seconds, and at its end.
type silence struct {
	started int64 // according to the report
	at      time.Time
	song    string
	cause   string
	length  time.Duration
	goesOn  bool
}

// own tells what only a listener's own log knows, marked as the listener's words.
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
	o := ownStory{t: t, who: who, asked: map[string]pending{}}
	for i, r := range t.Node {
		o.add(t.ownTime(i), r.Event)
	}
	o.end()
}

// ownStory is the state of the story after some events of a listener's own log.
type ownStory struct {
	t        *teller
	who      string
	lost     *messages.UpstreamLost // nil: it is fed
	lostAt   time.Time
	vain     vain // whom it has asked in vain since
	silences []*silence
	asked    map[string]pending // by the request's id
}

// add tells the next event.
func (o *ownStory) add(at time.Time, event proto.Message) {
	switch e := event.(type) {
	case *messages.NodeStarted:
		if o.lost != nil {
			o.t.say(o.lostAt, "%s lost its music: %s, which fed it, %s. Nobody fed it again before it ended.",
				o.who, o.t.node(o.lost.GetNode()), o.t.fate(o.lost.GetNode(), o.lost.GetReason(), o.lostAt, at))
		}
		o.unanswered("%s asked %q and had no answer when it ended.")
		o.t.say(at, "%s was started, to listen to %s.", o.who, e.GetServer())
		o.lost, o.vain = nil, nil
	case *messages.UpstreamLost:
		o.lost, o.lostAt, o.vain = e, at, nil
	case *messages.UpstreamUnusable:
		if o.lost != nil {
			o.vain = o.vain.add(o.t.node(e.GetNode()), e.GetReason())
		}
	case *messages.SearchExhausted:
		if e.GetSearches() == 1 {
			o.t.say(at, "%s found nobody to feed it, and went on asking.", o.who)
		}
	case *messages.UpstreamConnected:
		o.connected(at, e)
	case *messages.PlayerUnderran:
		o.underran(at, e)
	case *messages.PlayerFellSilent:
		o.t.say(at, "%s cannot be heard: %s.", o.who, strings.TrimSuffix(e.GetReason(), "."))
	case *messages.PlayerHeardAgain:
		o.t.say(at, "%s can be heard again.", o.who)
	case *messages.PlayerStepped:
		o.stepped(at, e)
	case *messages.PlayerOutOfTime:
		o.t.say(at, "%s.", strings.TrimSuffix(e.GetReason(), "."))
	case *messages.RequestSent:
		o.asked[e.GetRequestId()] = pending{at, e.GetLine()}
	case *messages.RequestAnswered:
		delete(o.asked, e.GetRequestId())
	}
}

// whyStepped are the causes in words.
var whyStepped = map[messages.PlayerStepped_Cause]string{
	messages.PlayerStepped_CAUSE_OFFSET: "somebody has set another offset",
	messages.PlayerStepped_CAUSE_START:  "its sound had just begun",
	messages.PlayerStepped_CAUSE_CLOCK:  "what it knew of the server's clock has changed",
	messages.PlayerStepped_CAUSE_DEVICE: "its loudspeaker did not play when it had said",
}

// stepped tells of a move of the sound.
func (o *ownStory) stepped(at time.Time, e *messages.PlayerStepped) {
	off, how, way := float64(e.GetUs())/1000, "late", "in a crossfade"
	if off < 0 {
		off, how = -off, "early"
	}
	if e.GetCut() {
		way = "with a cut"
	}
	more := ""
	if n := e.GetTimes(); n > 1 {
		more = fmt.Sprintf(" It was moved %d times since the last one that is told.", n)
	}
	why := cmp.Or(whyStepped[e.GetCause()], "it does not say why")
	if e.GetCause() == messages.PlayerStepped_CAUSE_DEVICE && o.stoodStill(at) {
		why = "until then it had not run"
	}
	o.t.say(at, "%s played %.1f ms too %s and was put right %s: %s.%s", o.who, off, how, way, why, more)
}

// stoodStill says whether a silence ended just before at because the program did not run.
func (o *ownStory) stoodStill(at time.Time) bool {
	const justBefore = 2 * time.Second
	if len(o.silences) == 0 {
		return false
	}
	last := o.silences[len(o.silences)-1]
	return strings.HasPrefix(last.cause, "this program did not run") && at.Sub(last.at.Add(last.length)).Abs() < justBefore
}

func (o *ownStory) connected(at time.Time, e *messages.UpstreamConnected) {
	if o.lost != nil && !o.t.serverKnows(e) {
		o.t.fed(o.t.NodeID, at, feeding{
			lost: o.lost.GetNode(), reason: o.lost.GetReason(), upstream: e.GetNode(),
			search: micros(e.GetSearchUs()), buffered: micros(e.GetBufferedUs()), missing: e.GetMissing(),
		})
	}
	if len(o.vain) > 0 {
		o.t.say(at, "before %s answered, %s had asked in vain: %s.", o.t.node(e.GetNode()), o.who, o.vain)
	}
	o.lost, o.vain = nil, nil
}

// underran takes the report of a silence, which may still go on.
func (o *ownStory) underran(at time.Time, e *messages.PlayerUnderran) {
	n := len(o.silences)
	if n == 0 || !o.silences[n-1].goesOn || o.silences[n-1].started != e.GetAtUnixUs() {
		o.silences = append(o.silences, &silence{started: e.GetAtUnixUs(), at: o.t.began(at, e)})
		n++
	}
	s := o.silences[n-1]
	s.song, s.cause, s.length, s.goesOn = e.GetSong(), strings.TrimSuffix(e.GetCause(), "."), micros(e.GetMissingUs()), e.GetGoesOn()
}

// unanswered tells of a line that got no answer.
func (o *ownStory) unanswered(text string) {
	for _, p := range slices.SortedFunc(maps.Values(o.asked), func(a, b pending) int { return a.at.Compare(b.at) }) {
		o.t.say(p.at, text, o.who, p.line)
	}
	clear(o.asked)
}

// end tells what has no end in the log.
func (o *ownStory) end() {
	if o.lost != nil {
		o.t.tally(o.t.NodeID).unfed = o.lostAt
		o.t.say(o.lostAt, "%s lost its music: %s, which fed it, %s.", o.who, o.t.node(o.lost.GetNode()), o.t.fate(o.lost.GetNode(), o.lost.GetReason(), o.lostAt, o.t.Now))
	}
	o.unanswered("%s asked %q; no answer is in its log.")
	for _, s := range o.silences {
		o.t.silent(o.who, s)
	}
}

// silent tells of a silence and how long it is known to have lasted.
func (t *teller) silent(who string, s *silence) {
	sum := t.tally(t.NodeID)
	sum.silences++
	sum.silent += s.length
	sum.goesOn = sum.goesOn || s.goesOn
	unsent, after := t.unsent(s)
	sum.unsent += unsent
	cause := s.cause
	if rest := s.length - unsent; unsent > 0 && rest < nearlyAll {
		cause = "nothing was broadcast"
	} else if unsent > 0 {
		cause = fmt.Sprintf("for %s nothing was broadcast; for the rest, %s", span(unsent), s.cause)
	}
	heard := ""
	switch {
	case unsent > 0 && after != "":
		heard = " after the end of " + after
	case s.song != "":
		heard = ", having heard " + s.song + " until then"
	}
	if s.goesOn {
		t.say(s.at, "%s fell silent%s: %s. After %s it was still silent; its log does not say how that ended.", who, heard, cause, span(s.length))
		return
	}
	t.say(s.at, "%s fell silent for %s%s: %s.", who, span(s.length), heard, cause)
}

// nearlyAll is how much of a silence may be unexplained, because its time is known only by two clocks and a buffer.
const nearlyAll = time.Second

// began is when a silence that was reported at that time had begun.
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

// ownTime is when event i of the listener's own log happened, by the server's clock as
// the listener knew it then. Its machine's clock may be wrong.
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

// vain lists the nodes that were asked in vain, and why.
type vain []refusal

type refusal struct {
	node, reason string
	times        int
}

// add adds a refusal, or counts it with equal ones. It keeps only the end of the reason, which people understand.
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

// serverKnows says whether the server's log has this change of the upstream, which is then told
// from there. Each report counts for one change only.
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
