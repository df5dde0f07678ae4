package why

import (
	"bufio"
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/eventlog/export"
	"conga/messages"
)

var rewrite = flag.Bool("rewrite", false, "write what is told into testdata instead of comparing")

// incident reads a recorded log and the state after it.
func incident(t *testing.T, name string) ([]eventlog.Record, actors.ServerState) {
	t.Helper()
	if name == "" {
		return nil, actors.ServerState{}
	}
	text, err := os.ReadFile(filepath.Join("../../../actors/testdata/incidents", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var records []eventlog.Record
	var state actors.ServerState
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		r, err := export.DecodeJSON(lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
		state = state.Apply(r.Event)
	}
	return records, state
}

// told is the story up to the last event, or up to event number upTo.
func told(t *testing.T, server, node, name string, upTo uint64) (string, error) {
	t.Helper()
	s := Story{Name: name}
	s.Server, s.State = incident(t, server)
	s.Node, _ = incident(t, node)
	if upTo > 0 {
		s.Server, s.State = s.Server[:upTo], actors.ServerState{}
		for _, r := range s.Server {
			s.State = s.State.Apply(r.Event)
		}
	}
	for _, records := range [][]eventlog.Record{s.Server, s.Node} {
		if n := len(records); n > 0 && records[n-1].Time.After(s.Now) {
			s.Now = records[n-1].Time
		}
	}
	s.Since = s.Now.Add(-10 * time.Minute)
	lines, err := Tell(s)
	return strings.Join(lines, "\n") + "\n", err
}

// Accept a change with go test ./cmd/internal/why -rewrite, and read the diff.
func TestTell(t *testing.T) {
	for _, test := range []struct {
		file, server, node, name string
		upTo                     uint64
	}{
		{"cem_when_bob_was_killed", "middle_killed", "middle_killed_seen_by_cem", "cem", 0},
		{"cem_without_its_own_log", "middle_killed", "", "cem", 0},
		{"cem_without_the_server", "", "middle_killed_seen_by_cem", "cem", 0},
		{"bob_who_was_killed", "middle_killed", "", "bob", 0},
		{"amy_when_the_server_was_killed", "server_killed_twice", "server_killed_seen_by_amy", "amy", 0},
		{"cem_who_did_not_return", "server_killed_twice", "", "cem", 0},
		{"bob_who_was_frozen", "middle_frozen", "", "bob", 0},
		{"cem_below_the_frozen", "middle_frozen", "middle_frozen_seen_by_cem", "cem", 0},
		{"bob_when_amy_was_killed", "first_killed_twice", "first_killed_seen_by_bob", "bob", 0},
		{"cem_who_asked_and_left", "last_killed_and_back", "cem_asks_and_leaves", "cem", 0},
		{"everybody", "last_killed_and_back", "", "", 0},
		{"a_song_that_went", "songs_come_and_go", "", "beethoven", 0},
		{"a_song_that_waits", "songs_come_and_go", "", "pachelbel.mp3", 10},
		{"a_song_that_cannot_be_played", "songs_come_and_go", "", "broken", 0},
	} {
		t.Run(test.file, func(t *testing.T) {
			got, err := told(t, test.server, test.node, test.name, test.upTo)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", test.file+".txt")
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("told\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestTell_Nobody(t *testing.T) {
	if text, err := told(t, "middle_killed", "", "zoe", 0); err == nil || !strings.Contains(err.Error(), `"zoe"`) {
		t.Errorf("told %q, %v", text, err)
	}
}

// A client of 2016 has a story, too.
func TestTell_Seed(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 11, 12, 0, time.UTC)
	lines, err := Tell(Story{
		Name: "sid", Since: at.Add(-time.Minute), Now: at.Add(time.Minute),
		Server: []eventlog.Record{
			{Time: at, Event: &messages.ListenerJoined{Node: &messages.Node{Id: "a", Name: "amy"}, After: messages.ServerID}},
			{Time: at, Event: &messages.ListenerJoined{Node: &messages.Node{Id: "s", Name: "sid"}, After: "a", Seed: true, FedBy: "a"}},
			{Time: at, Event: &messages.ListenerFellSilent{Id: "s", Name: "sid", FedBy: "a", Reason: "its upstream vanished"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		"sid, a client of 2016, joined the chain; amy feeds it.",
		"sid hears nothing any more: its upstream vanished. A client of 2016 cannot be told where to go on: start it again.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// A loudspeaker is not blamed for the time in which its program did not run.
func TestTell_StoodStill(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 11, 12, 0, time.UTC)
	lines, err := Tell(Story{
		Name: "amy", Since: at.Add(-time.Minute), Now: at.Add(time.Minute),
		Node: []eventlog.Record{
			{Time: at.Add(-30 * time.Second), Event: &messages.NodeStarted{Node: &messages.Node{Id: "a", Name: "amy"}, Server: "radio:7000"}},
			{Time: at, Event: &messages.PlayerUnderran{
				Song: "bach.mp3", MissingUs: 21_000_000, AtUnixUs: at.Add(-21 * time.Second).UnixMicro(),
				Cause: "this program did not run for 20.8 s: it was stopped, or its machine slept or was too busy",
			}},
			{Time: at, Event: &messages.PlayerStepped{Us: 20_749_900, Cause: messages.PlayerStepped_CAUSE_DEVICE, Cut: true, Times: 1}},
			{Time: at.Add(20 * time.Second), Event: &messages.PlayerStepped{Us: 30_000, Cause: messages.PlayerStepped_CAUSE_DEVICE, Cut: true, Times: 1}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{"20749.9 ms too late and was put right with a cut: until then it had not run.", "30.0 ms too late and was put right with a cut: its loudspeaker"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// The story tells what was lost or could not be heard.
func TestTell_Worst(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 11, 12, 0, time.UTC)
	amy := &messages.Node{Id: "a", Name: "amy"}
	bob := &messages.Node{Id: "b", Name: "bob"}
	lines, err := Tell(Story{
		Name: "amy", Since: at.Add(-time.Minute), Now: at.Add(time.Minute), Notes: []string{"A note."},
		Server: []eventlog.Record{{Time: at, Event: &messages.ListenerReconnected{
			Id: "a", Name: "amy", Upstream: &messages.Node{Id: messages.ServerID}, Lost: bob,
			Reason: "silent for 1s", SearchUs: 2_500_000, Missing: 7, BufferedUs: -300_000,
		}}},
		Node: []eventlog.Record{
			{Time: at, Event: &messages.NodeStarted{Node: amy, Server: "radio:7000"}},
			{Time: at, Event: &messages.PlayerUnderran{Song: "bach.mp3", MissingUs: 300_000, Cause: "no chunk arrived in time"}},
			{Time: at, Event: &messages.PlayerFellSilent{Reason: "no sound card."}},
			{Time: at, Event: &messages.PlayerHeardAgain{}},
			{Time: at, Event: &messages.PlayerStepped{Us: 12_340, Cause: messages.PlayerStepped_CAUSE_CLOCK, Times: 1}},
			{Time: at, Event: &messages.PlayerStepped{Us: -120_000, Cause: messages.PlayerStepped_CAUSE_DEVICE, Cut: true, Times: 3}},
			{Time: at, Event: &messages.PlayerOutOfTime{Reason: "this listener cannot play within 20 ms of the others: why"}},
			{Time: at, Event: &messages.RequestSent{RequestId: "1", Line: "PLAY 1"}},
			{Time: at, Event: &messages.RequestSent{RequestId: "2", Line: "PLAY 2"}},
			{Time: at, Event: &messages.RequestAnswered{RequestId: "1"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		"A note.", "bob, which fed it, stopped feeding it (silent for 1s). 2500 ms later it was fed by the server.",
		"Its buffer had run empty; it lost 7 items that nobody could give it.",
		"fell silent for 300 ms, having heard bach.mp3 until then: no chunk arrived in time.",
		"amy played 12.3 ms too late and was put right in a crossfade: what it knew of the server's clock has changed.",
		"amy played 120.0 ms too early and was put right with a cut: its loudspeaker did not play when it had said. It was moved 3 times since",
		"this listener cannot play within 20 ms of the others: why.",
		"cannot be heard: no sound card.", "can be heard again.", `asked "PLAY 2"; no answer is in its log`,
		"with nothing left to play; 7 items lost; it was silent once, for 300 ms in all, according to its own log.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, `"PLAY 1"`) {
		t.Errorf("an answered request waits:\n%s", text)
	}
}

// While the songs folder was away nothing was broadcast. Every story says so, and blames no listener's line for the
// silence.
func TestTell_FolderAway(t *testing.T) {
	at := func(s float64) time.Time {
		return time.Date(2026, 11, 22, 10, 11, 0, 0, time.UTC).Add(time.Duration(s * float64(time.Second)))
	}
	amy := &messages.Node{Id: "a", Name: "Amy"}
	song := func(s, play float64) eventlog.Record {
		return eventlog.Record{Time: at(s), Event: &messages.SongStarted{Song: &messages.Song{Name: "upper.mp3", SampleRate: 44100, Frames: 100}, PlayAtUnixUs: at(play).UnixMicro()}}
	}
	ended := eventlog.Record{Time: at(8), Event: &messages.SongEnded{Song: "upper.mp3", Next: 9, NextPlayAtUnixUs: at(10).UnixMicro()}}
	server := []eventlog.Record{
		{Time: at(0), Event: &messages.BroadcastOpened{Epoch: 1}},
		{Time: at(1), Event: &messages.ListenerJoined{Node: amy, After: messages.ServerID}},
		song(0, 2),
		{Time: at(7), Event: &messages.SongsAway{Reason: "there is no folder songs"}},
		ended,
		{Time: at(31), Event: &messages.SongsBack{}},
		song(31, 33),
	}
	tell := func(name string, now float64, server []eventlog.Record, own ...eventlog.Record) string {
		s := Story{Name: name, Since: at(-60), ServerBegins: at(-60), Now: at(now), Node: own, NodeID: "a"}
		g := newGatherer(name, "", s.Since)
		for i, r := range server {
			r.Seq = uint64(i + 1)
			g.add(r)
			s.State = s.State.Apply(r.Event)
		}
		s.Server, s.ServerBegins = g.gathered()
		lines, err := Tell(s)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "\n")
	}
	silence := func(started, seconds float64, goesOn bool) eventlog.Record {
		return eventlog.Record{Time: at(started + seconds), Event: &messages.PlayerUnderran{
			Song: "upper.mp3", Cause: "no chunk arrived in time", MissingUs: int64(seconds * 1e6), AtUnixUs: at(started).UnixMicro(), GoesOn: goesOn,
		}}
	}
	const gap = "10:11:10.000  From 10:11:10.000 to 10:11:33.000 nothing was broadcast: the songs folder was away (there is no folder songs)."
	for name, c := range map[string]struct {
		text string
		says []string
	}{
		"everybody": {tell("", 60, server), []string{gap, "10:11:07.000  The songs folder was away (there is no folder songs) until 10:11:31.000."}},
		"a listener, whatever its capital letters": {tell("aMY", 60, server, silence(10.1, 22.9, false)), []string{
			gap, "Amy fell silent for 23 s after the end of upper.mp3: nothing was broadcast.", "it was silent once, for 23 s in all, according to its own log, because nothing was broadcast.",
		}},
		"one who was silent for longer": {tell("Amy", 60, server, silence(10, 28, false)), []string{
			"Amy fell silent for 28 s after the end of upper.mp3: for 23 s nothing was broadcast; for the rest, no chunk arrived in time.", "; for 23 s of that nothing was broadcast.",
		}},
		"one who was silent at another time": {tell("Amy", 60, server, silence(35, 3, false)), []string{
			"Amy fell silent for 3000 ms, having heard upper.mp3 until then: no chunk arrived in time.",
		}},
		"it is away still": {tell("Amy", 20, server[:5], silence(10, 5, true)), []string{
			"10:11:10.000  Since 10:11:10.000 nothing is broadcast: the songs folder was away (there is no folder songs).", "Amy fell silent after the end of upper.mp3: nothing was broadcast.",
		}},
		"since before the story": {tell("", 20, server[3:5]), []string{"Since 10:11:10.000 nothing is broadcast", "The songs folder was away (there is no folder songs); it is not back yet."}},
	} {
		for _, want := range c.says {
			if !strings.Contains(c.text, want) {
				t.Errorf("%s: no %q in\n%s", name, want, c.text)
			}
		}
	}
	if text := tell("Amy", 60, append(append([]eventlog.Record{}, server[:3]...), eventlog.Record{Time: at(8), Event: ended.Event}, song(8, 10))); strings.Contains(text, "broadcast") {
		t.Errorf("one song followed the other:\n%s", text)
	}
}

// A server that was stopped says so in its log, one that was killed does not.
func TestTell_Stopped(t *testing.T) {
	at := func(s float64) time.Time {
		return time.Date(2026, 11, 22, 10, 11, 0, 0, time.UTC).Add(time.Duration(s * float64(time.Second)))
	}
	amy := &messages.Node{Id: "a", Name: "amy"}
	song := func(s float64) eventlog.Record {
		return eventlog.Record{Time: at(s), Event: &messages.SongStarted{Song: &messages.Song{Name: "upper.mp3", SampleRate: 44100, Frames: 100}, PlayAtUnixUs: at(s + 2).UnixMicro()}}
	}
	opened := func(s float64, epoch uint64) eventlog.Record {
		return eventlog.Record{Time: at(s), Event: &messages.BroadcastOpened{Epoch: epoch}}
	}
	before := []eventlog.Record{
		opened(0, 1),
		{Time: at(1), Event: &messages.ListenerJoined{Node: amy, After: messages.ServerID}},
		song(1),
		{Time: at(8), Event: &messages.SongEnded{Song: "upper.mp3", Next: 9, NextPlayAtUnixUs: at(10).UnixMicro()}},
	}
	closed := eventlog.Record{Time: at(9), Event: &messages.BroadcastClosed{Next: 9}}
	after := []eventlog.Record{opened(30, 2), song(30)}
	own := []eventlog.Record{
		{Seq: 1, Time: at(9.1), Event: &messages.UpstreamLost{Node: &messages.Node{Id: messages.ServerID, Name: "server"}, Reason: "it has gone", AtUnixUs: at(9.1).UnixMicro()}},
		{Seq: 2, Time: at(30), Event: &messages.UpstreamConnected{Node: &messages.Node{Id: messages.ServerID, Name: "server"}, SearchUs: 20_900_000, BufferedUs: -20_000_000, AtUnixUs: at(30).UnixMicro()}},
	}
	tell := func(name string, server []eventlog.Record) string {
		s := Story{Name: name, Since: at(-60), ServerBegins: at(-60), Now: at(60), Node: own, NodeID: "a"}
		for i, r := range server {
			r.Seq = uint64(i + 1)
			s.Server, s.State = append(s.Server, r), s.State.Apply(r.Event)
		}
		lines, err := Tell(s)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "\n")
	}
	stopped, killed := slices.Concat(before, []eventlog.Record{closed}, after), slices.Concat(before, after)
	for _, says := range []string{"10:11:09.000  The server was stopped.", "nothing was broadcast: the server was stopped."} {
		if text := tell("", stopped); !strings.Contains(text, says) {
			t.Errorf("no %q in\n%s", says, text)
		}
	}
	if text := tell("amy", stopped); !strings.Contains(text, "was stopped and was started again at 10:11:30.000") {
		t.Errorf("of amy:\n%s", text)
	}
	for _, name := range []string{"", "amy"} {
		if text := tell(name, killed); strings.Contains(text, "was stopped") {
			t.Errorf("it was killed:\n%s", text)
		}
	}
}
