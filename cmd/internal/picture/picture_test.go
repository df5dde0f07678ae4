package picture

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors"
	"conga/messages"
	"conga/transport/web"
)

func song(name, title, artist string) *messages.Song {
	return &messages.Song{Name: name, Title: title, Artist: artist, DurationUs: 60e6, SampleRate: 44100, Frames: 2297}
}

var evening = []proto.Message{
	&messages.BroadcastOpened{Epoch: 1},
	&messages.SongAdded{Song: song("air.mp3", "Air", "Bach")},
	&messages.SongAdded{Song: song("für elise.mp3", "", "Beethoven")},
	&messages.SongAdded{Song: song("canon.mp3", "Canon\x1b[31m", "")},
	&messages.SongQueued{RequestId: "1", ListenerName: "Zoë (page)", Song: "canon.mp3"},
	&messages.SongQueued{RequestId: "2", ListenerName: "amy", Song: "für elise.mp3"},
	&messages.SongChosen{Song: "air.mp3", Seed: 1},
	&messages.SongStarted{Song: song("air.mp3", "Air", "Bach"), Number: 1, PlayAtUnixUs: 100e6, FramesPerChunk: 4},
	&messages.ListenerJoined{Node: &messages.Node{Id: "11111111-1111-1111-1111-111111111111", Name: "amy", Relay: "192.0.2.7:4000", Http: "192.0.2.7:8000"}, After: "server", Address: "192.0.2.7/32"},
	&messages.ListenerJoined{Node: &messages.Node{Id: "22222222-2222-2222-2222-222222222222", Name: "bob", Relay: "192.0.2.8:4000"}, After: "11111111-1111-1111-1111-111111111111", Address: "192.0.2.8/32"},
	&messages.ListenerLeft{Id: "11111111-1111-1111-1111-111111111111", Cause: messages.ListenerLeft_CAUSE_LOST, Name: "amy", SeenBy: "server", Reason: "read 192.0.2.7:4000: timed out"},
	&messages.ChainSpliced{From: "server", To: "22222222-2222-2222-2222-222222222222", Around: []string{"11111111-1111-1111-1111-111111111111"}},
}

func after(n int) (s actors.ServerState) {
	for _, e := range evening[:n] {
		s = s.Apply(e)
	}
	return s
}

// The picture shows who feeds whom, what comes and when, but no address.
func TestOf(t *testing.T) {
	vitals := func(id string) (web.Vitals, bool) {
		return web.Vitals{AheadUs: 1_950_000, LateUs: -3000, LateErrorUs: 410, Most: 4}, id[0] == '2'
	}
	parts, err := Of(after(10), 10, 101e6, vitals)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"now":    `{"event":10,"nowUs":101000000,"song":{"name":"air.mp3","title":"Air","artist":"Bach","durationUs":60000000},"number":1,"playAtUs":100000000,"songs":3}`,
		"queue":  `{"songs":[{"name":"canon.mp3","title":"Canon[31m","durationUs":60000000,"by":"Zoë (page)","atUs":160000000},{"name":"für elise.mp3","title":"für elise","artist":"Beethoven","durationUs":60000000,"by":"amy","atUs":220000000}]}`,
		"chain":  `{"nodes":[{"id":"11111111-1111","name":"amy","from":"server"},{"id":"22222222-2222","name":"bob","from":"11111111-1111"}]}`,
		"vitals": `{"22222222-2222":[19,-30,0,4,5]}`,
	} {
		if got := string(parts[name]); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
	if parts, err = Of(after(12), 12, 102e6, nil); err != nil || strings.Contains(fmt.Sprintf("%s", parts), "192.0.2") || parts["vitals"] != nil {
		t.Errorf("later: %s, %v", parts, err)
	}
}

// Events are told in words without addresses.
func TestWords(t *testing.T) {
	var h History
	var told []string
	for i, e := range evening {
		h.Apply(e)
		if word, is := Words(uint64(i+1), time.Unix(0, 0), e, h.Name); is {
			told = append(told, word.Text)
		}
	}
	want := []string{
		"the server has started", "“Air” is there", "“für elise” is there", "“Canon[31m” is there",
		"Zoë (page) asked for “canon”", "amy asked for “für elise”", "picked at random: “air”", "“Air” begins",
		"amy came, behind the server", "bob came, behind amy", "amy was lost", "spliced: bob hears from the server now, around amy",
	}
	if got := strings.Join(told, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("told:\n%s", got)
	}
}

func TestSearch(t *testing.T) {
	s := after(6)
	for words, want := range map[string]int{"": 3, "bach": 1, "FUR": 1, "fu\u0308r ELISE": 1, "beethoven elise": 1, "canon.mp3": 1, "nothing": 0} {
		if found := Search(s, words, 0); found.Total != want || len(found.Songs) != want {
			t.Errorf("%q: %d songs, want %d", words, found.Total, want)
		}
	}
	if found := Search(s, "", 2); found.Total != 3 || len(found.Songs) != 1 || found.Songs[0].Name != "für elise.mp3" || !found.Songs[0].Waits {
		t.Errorf("from the third on: %+v", found)
	}
}

// The history has the songs that were heard, the newest first, and who asked for them.
func TestHistory(t *testing.T) {
	var h History
	for _, e := range append(evening,
		&messages.SongEnded{Song: "air.mp3", Next: 9},
		&messages.SongChosen{Song: "canon.mp3", RequestId: "1", ListenerName: "Zoë (page)"},
		&messages.SongStarted{Song: song("canon.mp3", "Canon", ""), Number: 9, PlayAtUnixUs: 160e6},
	) {
		h.Apply(e)
	}
	if told := h.Told(time.UnixMicro(161e6)); len(told) != 1 || told[0].Name != "air.mp3" || told[0].By != "" {
		t.Errorf("%+v", told)
	}
	if told := h.Told(time.UnixMicro(230e6)); len(told) != 2 || told[0].By != "Zoë (page)" {
		t.Errorf("%+v", told)
	}
}

// A branch is drawn below what it hangs on, and the chain says how deep it is.
func TestOf_Branches(t *testing.T) {
	var s actors.ServerState
	for _, joined := range []*messages.ListenerJoined{
		{Node: &messages.Node{Id: "amy", Relay: ":1"}, After: messages.ServerID, Feed: 2},
		{Node: &messages.Node{Id: "bob", Relay: ":1"}, After: "amy"},
		{Node: &messages.Node{Id: "cem", Relay: ":1"}, After: "bob"},
		{Node: &messages.Node{Id: "dora", Relay: ":1"}, After: "amy", Branch: true},
		{Node: &messages.Node{Id: "emil", Relay: ":1"}, After: messages.ServerID, Branch: true},
	} {
		s = s.Apply(joined)
	}
	chain := chainOf(s)
	drawn := ""
	for _, n := range chain.Nodes {
		drawn += n.ID + "<" + n.From + " "
	}
	if want := "amy<server dora<amy bob<amy cem<bob emil<server "; drawn != want || chain.Hops != 3 {
		t.Errorf("%d deep: %s, want %s", chain.Hops, drawn, want)
	}
}
