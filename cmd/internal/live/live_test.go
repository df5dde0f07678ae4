package live

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"conga/actors/player"
	"conga/actors/relay"
	"conga/actors/relay/search"
	"conga/cmd/internal/screen"
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// The sentence about where the music is heard follows from what the player does, not from what it was told.
func TestWhereHeard(t *testing.T) {
	for _, test := range []struct {
		output string
		live   player.Live
		want   string
	}{
		{"speaker", player.Live{Output: "speaker", HeardNumber: 3}, "on the loudspeaker"},
		{"speaker", player.Live{Output: "speaker"}, "the loudspeaker is being opened"},
		{"speaker", player.Live{Output: "null", HeardNumber: 3}, "the loudspeaker is being opened"},
		{"speaker", player.Live{Output: "null", HeardNumber: 3, Silenced: "no card"}, "no card"},
		{"wav:a.wav", player.Live{Output: "wav:a.wav", HeardNumber: 3}, "into wav:a.wav"},
		{"null", player.Live{Output: "null"}, "into nothing (--output null)"},
	} {
		if got := WhereHeard(test.live, test.output); got != test.want {
			t.Errorf("--output %s, %+v: %q, want %q", test.output, test.live, got, test.want)
		}
	}
}

// What the player plays counts more than the news.
func TestHeard_ByThePlayer(t *testing.T) {
	var p Programme
	p.Add(song("bach.mp3", "amy", 10))
	voted := song("pachelbel.mp3", "bob", 40)
	voted.SkipVotes, voted.SkipNeeded = 1, 3
	p.Add(voted)
	s := p.At(41e6)
	Heard(&s, player.Live{Levels: [2]float64{0.5, 0.25}}, &p, 41e6)
	if s.Song != "pachelbel.mp3" || s.Levels[1] != 0.25 || s.Votes != 1 || s.Needed != 3 {
		t.Errorf("the player has not begun: %+v", s)
	}
	Heard(&s, player.Live{Heard: &messages.SongChange{Song: "bach.mp3", DurationUs: 30e6, PlayAtUnixUs: 10e6}}, &p, 41e6)
	if s.Song != "bach.mp3" || s.Asked != "amy" || s.Needed != 0 || s.Elapsed != 31*time.Second || s.Duration != 30*time.Second {
		t.Errorf("it plays the end of the first: %+v", s)
	}
}

func TestListed(t *testing.T) {
	found := listed([]string{"1. bach.mp3", "12. a. b.mp3", "... and 3 more: SONGS 2 shows the next ones"})
	if fmt.Sprint(found.Songs) != "[{bach.mp3   0s} {a. b.mp3   0s}]" || !strings.HasPrefix(found.More, "... and 3 more") {
		t.Errorf("%+v", found)
	}
	found = listed([]string{"3. old.mp3", "7. Song (live).mp3 (Air (1723) – J. S. Bach)", "8. x.flac (Only a title)"})
	if fmt.Sprintf("%q", found.Songs[1:]) != `[{"Song (live).mp3" "Air (1723)" "J. S. Bach" "0s"} {"x.flac" "Only a title" "" "0s"}]` {
		t.Errorf("%q", found.Songs)
	}
	if found = listed([]string{"No songs at this time"}); len(found.Songs) != 0 || found.More != "No songs at this time" {
		t.Errorf("%+v", found)
	}
}

// A listener's screen shows the nodes that it knows: the server once, and a gap where there may be others.
func TestAround(t *testing.T) {
	server := search.Node{ID: messages.ServerID, Name: messages.ServerID}
	bob, cem, dora := search.Node{ID: "b", Name: "bob"}, search.Node{ID: "c", Name: "cem"}, search.Node{ID: "d", Name: "dora"}
	for _, test := range []struct {
		name  string
		above search.State
		fed   []string
		want  string
	}{
		{"first", search.State{Ancestors: []search.Node{server}, Upstream: &search.Link{Node: server}}, nil, "amy (Self, the server feeds you)"},
		{"third", search.State{Ancestors: []search.Node{cem, bob, server}, Upstream: &search.Link{Node: bob}}, []string{"zoe"}, "bob (Feeder, feeds you), cem, amy (Self), zoe (Fed, hears from you)"},
		{"deep", search.State{Ancestors: []search.Node{dora, cem, bob}}, nil, "… (Gap), bob, cem, dora, amy (Self, nobody feeds you)"},
	} {
		roles := []string{"", "Self", "Feeder", "Fed", "Gap"}
		var got []string
		for _, m := range around(&messages.Node{Name: "amy"}, test.above, relay.Live{Downstream: test.fed}, player.Live{}) {
			what := roles[m.Role]
			if m.Note != "" {
				what += ", " + m.Note
			}
			if what != "" {
				what = " (" + what + ")"
			}
			got = append(got, m.Name+what)
		}
		if got := strings.Join(got, ", "); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestTell(t *testing.T) {
	name := func(id string) string { return map[string]string{"b": "bob"}[id] }
	node := func(name string) *messages.Node { return &messages.Node{Name: name} }
	for _, test := range []struct {
		event proto.Message
		want  string // ! is trouble
	}{
		{&messages.UpstreamLost{Node: node("bob"), Reason: "the upstream closed the connection"}, "!bob feeds you no longer (the upstream closed the connection)"},
		{&messages.UpstreamConnected{Node: node("amy")}, "amy feeds you"},
		{&messages.UpstreamConnected{Node: node("amy"), SearchUs: 7400, BufferedUs: 1.9e6}, "amy feeds you, 7ms later; nothing is lost, 1.9 s of music were left"},
		{&messages.UpstreamConnected{Node: node("amy"), SearchUs: 7e6, BufferedUs: -5}, "amy feeds you, 7s later; there was silence, and nothing is lost"},
		{&messages.UpstreamConnected{Node: node("amy"), SearchUs: 7e6, Missing: 3}, "!amy feeds you, 7s later; 3 pieces of music are lost"},
		{&messages.PlayerUnderran{Cause: "no chunk arrived in time", MissingUs: 40e3}, "!silence of 40ms: no chunk arrived in time"},
		{&messages.ListenerJoined{Node: node("amy"), After: "b"}, "amy joined behind bob"},
		{&messages.ListenerLeft{Name: "amy", Cause: messages.ListenerLeft_CAUSE_SAID_SO}, "amy left"},
		{&messages.ListenerLeft{Name: "amy", Cause: messages.ListenerLeft_CAUSE_LOST, Reason: "its request connection ended"}, "!amy is gone (its request connection ended)"},
		{&messages.ListenerReconnected{Name: "amy", Lost: node("bob"), Upstream: node("cem"), SearchUs: 12e3, BufferedUs: 1.5e6}, "amy lost bob; cem feeds it 12ms later; nothing is lost, 1.5 s of music were left"},
		{&messages.SongQueued{ListenerName: "amy", Song: "bach.mp3"}, "amy asked for bach.mp3"},
		{&messages.SongQueued{Song: "bach.mp3"}, "somebody asked for bach.mp3"},
		{&messages.PlayRefused{ListenerName: "amy", Wish: "x", Reason: messages.PlayRefused_REASON_NO_SUCH_SONG}, "amy asked for x: there is no such song"},
		{&messages.SongStarted{}, ""},
	} {
		told := tell(test.event, name)
		got := told.Text
		if told.Trouble {
			got = "!" + got
		}
		if got != test.want {
			t.Errorf("%T: %q, want %q", test.event, got, test.want)
		}
	}
}

func TestGain(t *testing.T) {
	if Gain(0) != 0 || Gain(100) != 1 || Gain(-5) != 0 || Gain(200) != 1 || Gain(50) != 0.25 {
		t.Errorf("50 %% is %v", Gain(50))
	}
}

// What the server says of all listeners and what a listener knows of its neighbours become one chain. If two have its
// name, the listener is the one whose neighbours fit.
func TestPlaced(t *testing.T) {
	known := []screen.Member{
		{Name: "…", Role: screen.Gap}, {Name: "cem"}, {Name: "bob", Role: screen.Feeder}, {Name: "amy", Role: screen.Self}, {Name: "zoe", Role: screen.Fed},
	}
	for _, test := range []struct {
		answer []string
		want   string
	}{
		{[]string{"1. eve (for 2 min)", "2. cem (for 1 min)", "3. bob", "4. amy (for 3 s)", "5. zoe", "6. yuri"}, "eve, cem, bob (1), amy (0), zoe (2), yuri"},
		{[]string{"1. amy", "2. eve", "3. cem", "4. bob", "5. amy", "6. zoe"}, "amy, eve, cem, bob (1), amy (0), zoe (2)"},
		{[]string{"1. cem", "2. amy", "3. x", "... and 3 more: WHO 2 shows the next ones"}, "cem, amy (0), x, … and 3 more (3)"},
		{[]string{"1. dora", "2. emil"}, "… (3), cem, bob (1), amy (0), zoe (2)"},
	} {
		roles := map[screen.Role]string{screen.Self: " (0)", screen.Feeder: " (1)", screen.Fed: " (2)", screen.Gap: " (3)"}
		var got []string
		all, more := listeners(test.answer)
		chain, whole := placed(all, more, known)
		if whole != (len(chain) != len(known) || chain[0].Role != screen.Gap) {
			t.Errorf("%q: whole is %v", test.answer, whole)
		}
		for _, m := range chain {
			got = append(got, m.Name+roles[m.Role])
		}
		if strings.Join(got, ", ") != test.want {
			t.Errorf("%q: %q, want %q", test.answer, got, test.want)
		}
	}
}
