package story

import (
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// names is a small decider: a list of names.
type names struct{ Names []string }

func (n names) Decide(cmd proto.Message) []proto.Message {
	var events []proto.Message
	if cmd, ok := cmd.(*messages.ReportSongs); ok {
		for _, song := range cmd.GetSongs() {
			events = append(events, &messages.SongAdded{Song: song})
		}
	}
	return events
}

func (n names) Apply(event proto.Message) names {
	if event, ok := event.(*messages.SongAdded); ok {
		return names{append(n.Names[:len(n.Names):len(n.Names)], event.GetSong().GetName())}
	}
	return n
}

func words(_ *testing.T, words []string) proto.Message {
	if words[0] != "report" {
		return nil
	}
	report := &messages.ReportSongs{}
	for _, name := range words[1:] {
		report.Songs = append(report.Songs, &messages.Song{Name: name})
	}
	return report
}

func TestRun(t *testing.T) { Run(t, "testdata", names{}, words) }

func TestTell_NewStory(t *testing.T) {
	got, err := tell(t, "# new\nreport a\n\nreport b\nstate\n", of(names{}, words))
	want := "# new\nreport a\n----\nSongAdded song={name=a}\n\nreport b\nstate\n----\nSongAdded song={name=b}\n{\"Names\":[\"a\",\"b\"]}\n"
	if err != nil || got != want {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
}

func TestTell_WhatHappenedOtherwise(t *testing.T) {
	text := "report a\n----\nSongAdded song={name=b}\n"
	got, err := tell(t, text, of(names{}, words))
	if err != nil {
		t.Fatal(err)
	}
	if line, g, w := firstDifference(got, text); line != 3 || g != "SongAdded song={name=a}" || w != "SongAdded song={name=b}" {
		t.Errorf("line %d, got %q, want %q", line, g, w)
	}
}

func TestTell_UnknownWords(t *testing.T) {
	_, err := tell(t, "# a\nnonsense b\n", of(names{}, words))
	if err == nil || !strings.HasPrefix(err.Error(), "2: ") {
		t.Errorf("got %v, want an error in line 2", err)
	}
}

// Each of these breaks one rule of deciders.
type (
	changing  struct{ N *int }
	moody     struct{ N int }
	forgetful struct{ hidden int }
	careless  struct{ N []int }
)

func (c changing) Decide(proto.Message) []proto.Message { *c.N++; return nil }
func (c changing) Apply(proto.Message) changing         { return c }

func (moody) Decide(proto.Message) []proto.Message {
	return []proto.Message{&messages.SongChosen{Seed: rand.Uint64()}}
}
func (m moody) Apply(proto.Message) moody { return m }

func (f forgetful) Decide(proto.Message) []proto.Message {
	if f.hidden == 0 {
		return nil
	}
	return []proto.Message{&messages.SongEnded{}}
}
func (f forgetful) Apply(proto.Message) forgetful { return forgetful{f.hidden + 1} }

func (c careless) Decide(proto.Message) []proto.Message { return nil }
func (c careless) Apply(proto.Message) careless         { c.N[0]++; return c }

func TestTell_Rules(t *testing.T) {
	const text = "given SongEnded\nEndSong\n"
	results := map[string]error{}
	_, results["changed the state"] = tell(t, text, of(changing{new(int)}, nil))
	_, results["decides otherwise"] = tell(t, text, of(moody{}, nil))
	_, results["read back from JSON, decides otherwise"] = tell(t, text, of(forgetful{}, nil))
	_, results["changed the old state"] = tell(t, text, of(careless{[]int{1}}, nil))
	for want, err := range results {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

var lines = []struct {
	name, line string
	message    proto.Message
}{
	{"empty", "ListSongs", nil},
	{"no fields", "SongEnded", &messages.SongEnded{}},
	{"nested", `SongAdded song={name=bach.mp3 title="Prelude in C" frames=1508}`, &messages.SongAdded{Song: &messages.Song{Name: "bach.mp3", Title: "Prelude in C", Frames: 1508}}},
	{"empty nested", "SongAdded song={}", &messages.SongAdded{Song: &messages.Song{}}},
	{"list", `ChainSpliced from=amy to=cem around=[bob "b b" ""]`, &messages.ChainSpliced{From: "amy", To: "cem", Around: []string{"bob", "b b", ""}}},
	{"list of messages", "ReportSongs songs=[{name=a} {}]", &messages.ReportSongs{Songs: []*messages.Song{{Name: "a"}, {}}}},
	{"enum", "ListenerLeft id=amy cause=CAUSE_LOST", &messages.ListenerLeft{Id: "amy", Cause: messages.ListenerLeft_CAUSE_LOST}},
	{"enum of tomorrow", "ListenerLeft cause=77", &messages.ListenerLeft{Cause: 77}},
	{"quotes", `RequestPlay wish="a\"}] =\n"`, &messages.RequestPlay{Wish: "a\"}] =\n"}},
	{"negative", "EndSong frames=-3", &messages.EndSong{Frames: -3}},
	{"bytes and bool", "Welcome epoch=2 key=00ff", &messages.Welcome{Epoch: 2, Key: []byte{0, 255}}},
	{"true", "JoinChain node={id=amy} leaf=true", &messages.JoinChain{Node: &messages.Node{Id: "amy"}, Leaf: true}},
}

func TestLine(t *testing.T) {
	for _, c := range lines {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(c.line)
			if c.message == nil {
				if err == nil {
					t.Errorf("got %v, want an error", got)
				}
				return
			}
			if err != nil || !proto.Equal(got, c.message) {
				t.Errorf("parsed %v, %v; want %v", got, err, c.message)
			}
			if got := Line(c.message); got != c.line {
				t.Errorf("printed %s\nwant    %s", got, c.line)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range lines {
		f.Add(c.line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		m, err := Parse(line)
		if err != nil {
			return
		}
		again, err := Parse(Line(m))
		if err != nil || !proto.Equal(again, m) {
			t.Errorf("%q\n is %q\n which reads as %v, %v", line, Line(m), again, err)
		}
	})
}
