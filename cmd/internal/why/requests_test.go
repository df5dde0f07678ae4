package why

import (
	"strings"
	"testing"
	"time"

	"conga/actors/eventlog"
	"conga/messages"
)

// The story tells what became of requests that were cancelled, skipped or refused.
func TestTell_Requests(t *testing.T) {
	at := func(s int) time.Time { return time.Date(2026, 11, 26, 10, 0, s, 0, time.UTC) }
	song := func(name string) *messages.Song {
		return &messages.Song{Name: name, SampleRate: 44100, Frames: 100, DurationUs: 60e6}
	}
	amy := func(id, song string) *messages.SongQueued {
		return &messages.SongQueued{RequestId: id, ListenerId: "a", ListenerName: "Amy", Song: song}
	}
	refused := func(wish string, reason messages.PlayRefused_Reason) *messages.PlayRefused {
		return &messages.PlayRefused{RequestId: wish, ListenerId: "a", ListenerName: "Amy", Wish: wish, Reason: reason}
	}
	s := Story{Name: "Amy", Since: at(0), ServerBegins: at(0), Now: at(40)}
	g := newGatherer("Amy", "", s.Since)
	for i, r := range []eventlog.Record{
		{Time: at(1), Event: &messages.BroadcastOpened{Epoch: 1, Rules: &messages.QueueRules{SkipVotes: 2}}},
		{Time: at(1), Event: &messages.ListenerJoined{Node: &messages.Node{Id: "a", Name: "Amy"}, After: messages.ServerID}},
		{Time: at(2), Event: amy("1", "air.mp3")},
		{Time: at(3), Event: amy("2", "bach.mp3")},
		{Time: at(4), Event: amy("3", "canon.mp3")},
		{Time: at(5), Event: &messages.SongCancelled{Song: "bach.mp3", RequestId: "2", ListenerName: "Amy", CancelId: "x"}},
		{Time: at(6), Event: &messages.SongCancelled{Song: "canon.mp3", RequestId: "3", ListenerName: "Amy", CancelId: "y", Role: messages.Role_ROLE_HOST}},
		{Time: at(7), Event: refused("a", messages.PlayRefused_REASON_AMBIGUOUS)},
		{Time: at(8), Event: refused("joy", messages.PlayRefused_REASON_TOO_MANY_OF_PERSON)},
		{Time: at(9), Event: &messages.SongChosen{Song: "air.mp3", RequestId: "1", ListenerName: "Amy"}},
		{Time: at(10), Event: &messages.SongStarted{Song: song("air.mp3"), Number: 1, PlayAtUnixUs: at(12).UnixMicro()}},
		{Time: at(20), Event: &messages.SkipDecided{Song: "air.mp3", Number: 1, Votes: 2}},
		{Time: at(21), Event: &messages.SongEnded{Song: "air.mp3", Next: 99, NextPlayAtUnixUs: at(23).UnixMicro(), Reason: "it was skipped", Heard: messages.Heard_HEARD_ENOUGH}},
	} {
		r.Seq = uint64(i + 1)
		g.add(r)
		s.State = s.State.Apply(r.Event)
	}
	s.Server, s.ServerBegins = g.gathered()
	lines, err := Tell(s)
	if err != nil {
		t.Fatal(err)
	}
	story := strings.Join(lines, "\n")
	for _, want := range []string{
		"Amy asked for air.mp3; it was played from 10:00:12.000 to 10:00:23.000, not whole: 2 votes skipped it.",
		"Amy asked for bach.mp3; at 10:00:05.000 they took that back.",
		"Amy asked for canon.mp3; at 10:00:06.000 the host cancelled that.",
		`Amy asked for "a" and was refused: several songs match that.`,
		`Amy asked for "joy" and was refused: they had as many songs waiting as one person may have.`,
	} {
		if !strings.Contains(story, want) {
			t.Errorf("%q is missing in\n%s", want, story)
		}
	}
}

// Who asks about a song is told who has brought it.
func TestTell_Brought(t *testing.T) {
	at := func(s int) time.Time { return time.Date(2026, 11, 26, 10, 0, s, 0, time.UTC) }
	s := Story{Name: "uploads/air.mp3", Since: at(0), ServerBegins: at(0), Now: at(9)}
	g := newGatherer(s.Name, s.Name, s.Since)
	for i, r := range []eventlog.Record{
		{Time: at(1), Event: &messages.SongAdded{Song: &messages.Song{Name: "uploads/air.mp3"}}},
		{Time: at(1), Event: &messages.SongBrought{Song: "uploads/air.mp3", ListenerName: "Amy (page)"}},
		{Time: at(2), Event: &messages.SongBrought{Song: "uploads/canon.mp3", ListenerName: "Bob (page)"}},
	} {
		r.Seq = uint64(i + 1)
		g.add(r)
		s.State = s.State.Apply(r.Event)
	}
	s.Server, s.ServerBegins = g.gathered()
	lines, err := Tell(s)
	if err != nil {
		t.Fatal(err)
	}
	want := "10:00:01.000  uploads/air.mp3 can be requested from now on.\n10:00:01.000  Amy (page) brought uploads/air.mp3."
	if story := strings.Join(lines, "\n"); story != want {
		t.Errorf("it says\n%s\nwant\n%s", story, want)
	}
}

// A song is found by its title, as PLAY finds it, if nobody and no file is called so.
func TestTell_Title(t *testing.T) {
	now := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	s := Story{Since: now, ServerBegins: now, Now: now.Add(time.Minute)}
	g := newGatherer("", "", s.Since)
	for i, song := range []*messages.Song{{Name: "a/01.mp3", Title: "Ode to Joy"}, {Name: "b/01.mp3", Title: "Ode to Rain"}} {
		r := eventlog.Record{Seq: uint64(i + 1), Time: now, Event: &messages.SongAdded{Song: song}}
		g.add(r)
		s.State = s.State.Apply(r.Event)
	}
	s.Server, s.ServerBegins = g.gathered()
	for name, want := range map[string]string{"ode to joy": "a/01.mp3", "rain": "b/01.mp3", "ode": "give the name of one: a/01.mp3, b/01.mp3", "air": "no such song is known"} {
		s.Name = name
		lines, err := Tell(s)
		if text := strings.Join(lines, "\n"); err == nil && !strings.Contains(text, want) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v; want %q", name, text, err, want)
		}
	}
}
