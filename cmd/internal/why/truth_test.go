package why

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/messages"
	"conga/messages/raced"
)

// day is when the random histories begin.
var day = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// history is a random history, and the logs of it.
type history struct {
	t            *rapid.T
	now          time.Time // by the server's clock
	ahead        time.Duration
	server, node []eventlog.Record
	state        actors.ServerState
}

func (h *history) pass(most int) time.Duration {
	d := time.Duration(rapid.IntRange(1, most).Draw(h.t, "ms")) * time.Millisecond
	h.now = h.now.Add(d)
	return d
}

func (h *history) decide(e proto.Message) {
	h.server = append(h.server, eventlog.Record{Seq: uint64(len(h.server) + 1), Time: h.now, Event: e})
	h.state = h.state.Apply(e)
}

// see writes an event into amy's own log, by her machine's clock.
func (h *history) see(e proto.Message) {
	h.node = append(h.node, eventlog.Record{Seq: uint64(len(h.node) + 1), Time: h.now.Add(h.ahead), Event: e})
}

// truth is what really happened to a listener.
type truth struct {
	joined        time.Time
	failures      int
	silences      int
	silent        time.Duration
	goesOn, unfed bool
	missing       uint64
	longest       time.Duration
	inChain       bool
}

var amy, bob = &messages.Node{Id: "aaaaaaaa-1", Name: "amy"}, &messages.Node{Id: "bbbbbbbb-2", Name: "bob"}

// live draws a history of amy, who may come and go, lose her upstream, fall silent for seconds or minutes,
// end in the middle of it; of bob, who feeds her; and of others who are called amy, too.
func live(t *rapid.T) (*history, truth) {
	h := &history{t: t, now: day}
	h.ahead = rapid.SampledFrom([]time.Duration{0, time.Hour, -26 * time.Minute}).Draw(t, "her clock is ahead")
	var is truth
	h.decide(&messages.BroadcastOpened{Epoch: 1})
	h.pass(60_000)
	h.decide(&messages.ListenerJoined{Node: bob, After: messages.ServerID})
	feeder := bob
	join := func() {
		h.pass(600_000)
		h.see(&messages.NodeStarted{Node: amy, Server: "radio:7000"})
		h.pass(100)
		h.decide(&messages.ListenerJoined{Node: amy, After: feeder.GetId()})
		h.see(&messages.UpstreamConnected{Node: feeder, AtUnixUs: h.now.UnixMicro()})
		if is.joined.IsZero() {
			is.joined = h.now
		}
		is.inChain = true
	}
	join()
	for range rapid.IntRange(0, 12).Draw(t, "events") {
		h.pass(120_000)
		switch rapid.IntRange(0, 6).Draw(t, "what") {
		case 0: // bob fails, and the server, or bob again, feeds her
			h.see(&messages.UpstreamLost{Node: feeder, Reason: "silent for 1s", AtUnixUs: h.now.UnixMicro()})
			if rapid.Bool().Draw(t, "the server is started again") {
				if rapid.Bool().Draw(t, "it was stopped") {
					h.decide(&messages.BroadcastClosed{Next: 1})
				}
				h.pass(3000)
				h.decide(&messages.BroadcastOpened{Epoch: uint64(len(h.server) + 1)})
			}
			search := h.pass(5000)
			missing := uint64(rapid.IntRange(0, 3).Draw(t, "missing"))
			buffered := int64(rapid.IntRange(-3000, 2000).Draw(t, "buffered")) * 1000
			next := &messages.Node{Id: messages.ServerID, Name: messages.ServerID}
			h.see(&messages.UpstreamConnected{Node: next, SearchUs: search.Microseconds(), Missing: missing, BufferedUs: buffered, AtUnixUs: h.now.UnixMicro()})
			if rapid.Bool().Draw(t, "she reports it") {
				at := h.now
				h.pass(2000)
				h.decide(&messages.ListenerReconnected{
					Id: amy.Id, Name: "amy", Upstream: next, Lost: feeder, Reason: "silent for 1s", SearchUs: search.Microseconds(),
					Missing: missing, BufferedUs: buffered, AtUnixUs: at.UnixMicro(),
				})
			}
			feeder = next
			is.failures++
			is.missing += missing
			is.longest = max(is.longest, search)
		case 1: // a silence
			began := h.now.UnixMicro()
			long := h.pass(90_000)
			if long > 5*time.Second {
				h.now = time.UnixMicro(began).Add(5 * time.Second)
				h.see(&messages.PlayerUnderran{Song: "bach.mp3", Cause: "no chunk arrived in time", MissingUs: 5_000_000, AtUnixUs: began, GoesOn: true})
				h.now = time.UnixMicro(began).Add(long)
			}
			is.silences++
			if long > 5*time.Second && rapid.IntRange(0, 3).Draw(t, "it was killed in it") == 0 {
				is.silent += 5 * time.Second
				is.goesOn = true
				continue
			}
			h.see(&messages.PlayerUnderran{Song: "bach.mp3", Cause: "no chunk arrived in time", MissingUs: long.Microseconds(), AtUnixUs: began})
			is.silent += long
		case 2: // she goes and comes back
			h.decide(&messages.ListenerLeft{Id: amy.Id, Name: "amy", Cause: messages.ListenerLeft_CAUSE_SAID_SO})
			join()
		case 3: // another amy comes, or loses its music
			other := &messages.Node{Id: "cccccccc-3", Name: "amy"}
			h.decide(&messages.ListenerJoined{Node: other, After: bob.Id})
			h.pass(9000)
			h.decide(&messages.ListenerReconnected{Id: other.Id, Name: "amy", Upstream: bob, Lost: &messages.Node{Id: "x", Name: "dan"}, SearchUs: 77_000_000, Missing: 99})
			h.decide(&messages.ListenerLeft{Id: other.Id, Name: "amy", Cause: messages.ListenerLeft_CAUSE_LOST})
		case 4:
			h.decide(&messages.SongQueued{RequestId: fmt.Sprint(len(h.server)), ListenerId: amy.Id, ListenerName: "amy", Song: "bach.mp3"})
			h.pass(9000)
			h.decide(&messages.PlayRefused{ListenerId: bob.Id, ListenerName: "bob", Wish: "1", Song: "bach.mp3", Reason: messages.PlayRefused_REASON_ALREADY_REQUESTED})
			h.pass(9000)
			if rapid.Bool().Draw(t, "it plays") {
				h.decide(&messages.SongChosen{Song: "bach.mp3", RequestId: fmt.Sprint(len(h.server) - 1)})
				h.decide(&messages.SongStarted{Song: &messages.Song{Name: "bach.mp3", SampleRate: 44100, Frames: 100}, PlayAtUnixUs: h.now.UnixMicro()})
				h.pass(9000)
				h.decide(&messages.SongEnded{Song: "bach.mp3", NextPlayAtUnixUs: h.now.Add(2 * time.Second).UnixMicro()})
			}
		case 5:
			h.decide(&messages.ListenerMoved{Id: bob.Id, Name: "bob", After: amy.Id, SeenBy: amy.Id, Reason: "silent for 1s"})
		case 6: // a random song
			h.decide(&messages.SongChosen{Song: "bach.mp3"})
			h.decide(&messages.SongStarted{Song: &messages.Song{Name: "bach.mp3", SampleRate: 44100, Frames: 100}, PlayAtUnixUs: h.now.UnixMicro()})
			h.decide(&messages.SongEnded{Song: "bach.mp3", NextPlayAtUnixUs: h.now.UnixMicro()})
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "nobody feeds her at the end") == 0 {
		h.see(&messages.UpstreamLost{Node: feeder, Reason: "silent for 1s", AtUnixUs: h.now.UnixMicro()})
		is.unfed = true
	}
	h.pass(60_000)
	return h, is
}

func (h *history) story(name string) Story {
	return Story{Name: name, Since: day.Add(-time.Minute), ServerBegins: day.Add(-time.Minute), Now: h.now, Server: h.server, State: h.state}
}

var (
	sinceSaid  = regexp.MustCompile(`since (\d\d:\d\d:\d\d\.\d{3})`)
	inParens   = regexp.MustCompile(` \([abc]{8}\)`)
	lineBegins = regexp.MustCompile(`^(\d\d:\d\d:\d\d\.\d{3})  `)
)

// No sentence about a listener contradicts what really happened. Silences add up, also those that were reported
// twice, or had no end. Nothing of another listener with the same name is counted. No time is before the listener
// existed.
func TestTell_True(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, is := live(t)
		s := h.story("amy")
		s.Node, s.NodeID, s.NodeBegins = h.node, amy.Id, s.Since
		lines, err := Tell(s)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(lines, "\n")
		me := "amy"
		if strings.Contains(text, "(cccccccc)") {
			me = "amy (aaaaaaaa)"
		}
		clock := func(text string) time.Time {
			at, err := time.Parse("2006-01-02 15:04:05.000", "2026-11-22 "+text)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		var mine []string
		for _, line := range lines {
			if strings.Contains(line, me) && (lineBegins.MatchString(line) || strings.HasPrefix(line, me)) || strings.HasPrefix(line, "In all, since") || strings.Contains(line, "In all of "+me) {
				mine = append(mine, line)
			}
		}
		lived := is.joined.Add(-200 * time.Millisecond).Truncate(time.Millisecond)
		for _, line := range mine {
			for _, said := range sinceSaid.FindAllStringSubmatch(line, -1) {
				if at := clock(said[1]); at.Before(lived) || at.After(h.now) {
					t.Fatalf("%v is no time of hers, who came at %v: %s\n%s", at, lived, line, text)
				}
			}
			if at := lineBegins.FindStringSubmatch(line); at != nil && (clock(at[1]).Before(lived) || clock(at[1]).After(h.now)) {
				t.Fatalf("it happened while she did not live, from %v: %s\n%s", lived, line, text)
			}
		}
		account, quiet := "", false
		for _, line := range mine {
			if strings.HasPrefix(line, "In all") {
				account = line
			}
			quiet = quiet || strings.Contains(line, "that its music stopped")
		}
		if (account != "") != (is.failures+is.silences > 0) || quiet && (account != "" || is.unfed) {
			t.Fatalf("she had %d failures and %d silences, unfed %v:\n%s", is.failures, is.silences, is.unfed, text)
		}
		var want []string
		if is.failures > 0 {
			want = append(want, fmt.Sprintf("it lost its music %s and was fed again after at most %s,", times(is.failures), span(is.longest)))
			if is.missing == 0 {
				want = append(want, "; nothing was lost")
			} else {
				want = append(want, fmt.Sprintf("; %s lost", plural(is.missing, "item")))
			}
		}
		if is.silences > 0 {
			atLeast := ""
			if is.goesOn {
				atLeast = "at least "
			}
			want = append(want, fmt.Sprintf("it was silent %s, for %s%s in all", times(is.silences), atLeast, span(is.silent)))
		}
		for _, part := range want {
			if !strings.Contains(account, part) {
				t.Fatalf("the account lacks %q: %s\n%s", part, account, text)
			}
		}
		if unfed := strings.Contains(text, "nobody has fed "+me) || strings.Contains(text, "Nobody has fed "+me); unfed != is.unfed {
			t.Fatalf("unfed %v, it says\n%s", is.unfed, text)
		}
	})
}

// The story of the gathered events is the story of all events.
func TestGatherer_Enough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, _ := live(t)
		for _, name := range []string{"", "amy", "bob", amy.Id, "bach", "bach.mp3", "dan"} {
			all := h.story(name)
			g := newGatherer(name, Song(all), all.Since)
			for _, r := range all.Server {
				if wanted(string(r.Event.ProtoReflect().Descriptor().Name())) {
					g.add(r)
				}
			}
			some := all
			some.Server, some.ServerBegins = g.gathered()
			want, err1 := Tell(all)
			got, err2 := Tell(some)
			for _, lines := range [][]string{got, want} { // the gathered events may not show that two have the name
				for i := range lines {
					lines[i] = inParens.ReplaceAllString(lines[i], "")
				}
			}
			if (err1 == nil) != (err2 == nil) || !slices.Equal(got, want) {
				t.Fatalf("of %q, %d of %d events tell (%v)\n%s\nall tell (%v)\n%s", name, len(some.Server), len(all.Server), err2, strings.Join(got, "\n"), err1, strings.Join(want, "\n"))
			}
		}
	})
}

// However long the log is, a gatherer keeps a bounded part of it, and says since when nothing is missing.
func TestGatherer_Bounded(t *testing.T) {
	for _, name := range []string{"", "amy"} {
		g := newGatherer(name, "", day)
		n := raced.Size(200_000, 40_000)
		at := func(i int) time.Time { return day.Add(time.Duration(i) * time.Second) }
		for i := range n {
			id := fmt.Sprint("n", i%maxAside)
			var e proto.Message = &messages.ListenerReconnected{Id: amy.Id, Name: "amy", Lost: &messages.Node{Id: id}}
			switch i % 3 {
			case 1:
				e = &messages.ListenerLeft{Id: id, Name: "bob"}
			case 2:
				e = &messages.SongQueued{RequestId: id + "r", ListenerName: "amy", Song: fmt.Sprint("song", i)}
			}
			g.add(eventlog.Record{Seq: uint64(i + 1), Time: at(i), Event: e})
			if most := len(g.kept) + len(g.places) + len(g.failed) + len(g.wishes) + len(g.songs) + len(g.queued) + len(g.named); most > 2*maxGathered+7*maxAside {
				t.Fatalf("%d things are kept", most)
			}
		}
		events, begins := g.gathered()
		if len(events) != maxGathered || events[len(events)-1].Seq != uint64(n-1) && events[len(events)-1].Seq != uint64(n) {
			t.Errorf("%d events, the last is %d", len(events), events[len(events)-1].Seq)
		}
		if first := events[0]; !begins.Before(first.Time) || first.Time.Sub(begins) > 3*time.Second {
			t.Errorf("it begins at %v, its first event is of %v", begins, first.Time)
		}
	}
}
