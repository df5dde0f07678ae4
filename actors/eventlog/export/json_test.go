package export

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
	"conga/messages"
)

// story is a log with several commits, causes and odd text.
func story(t testing.TB, store eventlog.Store) *eventlog.Log {
	t.Helper()
	log := storetest.Open(t, store)
	for _, commit := range []struct {
		actor  string
		cause  proto.Message
		events []proto.Message
	}{
		{"scheduler", &messages.RequestPlay{RequestId: "r1", Wish: "2"}, []proto.Message{&messages.SongQueued{RequestId: "r1", ListenerName: "amy", Song: "bach.mp3"}}},
		{"scheduler", nil, []proto.Message{&messages.PlayRefused{ListenerName: "bob b", Wish: "a=\"b\"\n", Reason: messages.PlayRefused_REASON_NO_SUCH_SONG}}},
		{"chainmanager", &messages.PeerLost{Id: "n2", SeenBy: "n3", AtUnixUs: 5}, []proto.Message{
			&messages.ListenerLeft{Id: "n2", Cause: messages.ListenerLeft_CAUSE_LOST},
			&messages.ChainSpliced{From: "server", To: "n3", Around: []string{"n2", "", "ü"}},
		}},
		{"catalog", &messages.ReportSongs{}, []proto.Message{&messages.SongAdded{Song: &messages.Song{Name: "é <b>.mp3", Frames: 12, DurationUs: -1}}}},
		{"pacer", nil, []proto.Message{&messages.BroadcastOpened{}}},
	} {
		if _, err := log.Append(log.Last(), commit.actor, commit.cause, commit.events...); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

func TestRecord_Line(t *testing.T) {
	var got []string
	for _, r := range storetest.Collect(t, story(t, eventlog.NewMemory()), 0) {
		got = append(got, Line(r))
	}
	want := []string{
		`1 2026-11-22T10:11:12.001Z scheduler SongQueued request_id=r1 listener_name=amy song=bach.mp3`,
		`2 2026-11-22T10:11:12.002Z scheduler PlayRefused listener_name="bob b" wish="a=\"b\"\n" reason=REASON_NO_SUCH_SONG`,
		`3 2026-11-22T10:11:12.003Z chainmanager ListenerLeft id=n2 cause=CAUSE_LOST`,
		`4 2026-11-22T10:11:12.003Z chainmanager ChainSpliced from=server to=n3 around=[n2,"",ü]`,
		`5 2026-11-22T10:11:12.004Z catalog SongAdded song={name="é <b>.mp3" duration_us=-1 frames=12}`,
		`6 2026-11-22T10:11:12.005Z pacer BroadcastOpened`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// LineIn shows a time in the given zone, with the zone's offset.
func TestRecord_LineIn(t *testing.T) {
	r := storetest.Collect(t, story(t, eventlog.NewMemory()), 0)[5]
	if got := LineIn(r, time.FixedZone("there", -90*60)); got != "6 2026-11-22T08:41:12.005-01:30 pacer BroadcastOpened" {
		t.Errorf("got %s", got)
	}
}

func TestFormat_Bytes(t *testing.T) {
	if got := Format(&messages.Welcome{Key: []byte{0, 255}}); got != "Welcome key=00ff" {
		t.Errorf("got %s", got)
	}
}

func export(t testing.TB, log *eventlog.Log) [][]byte {
	t.Helper()
	var lines [][]byte
	for _, r := range storetest.Collect(t, log, 0) {
		line, err := EncodeJSON(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

func decodeAll(lines [][]byte) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for _, line := range lines {
			if !yield(DecodeJSON(line)) {
				return
			}
		}
	}
}

func TestDecode_Unknown(t *testing.T) {
	for _, line := range []string{
		`{"seq":1,"time":"2026-11-22T10:11:12.001000Z","actor":"a","type":"Nonsense","version":1,"data":"","hash":""}`,
		`{"seq":1,"time":"2026-11-22T10:11:12.001000Z","actor":"a","type":"SongQueued","version":2,"data":"","hash":""}`,
	} {
		if _, err := DecodeJSON([]byte(line)); !errors.Is(err, eventlog.ErrUnknownType) {
			t.Errorf("%v, want ErrUnknownType", err)
		}
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, line := range export(f, story(f, eventlog.NewMemory())) {
		f.Add(line)
	}
	f.Add([]byte(`{"seq":18446744073709551615,"time":"9999-12-31T23:59:59.999999Z","type":"SongAdded","version":1,"data":"CgA="}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := DecodeJSON(line)
		if err != nil {
			return
		}
		_ = Line(r)
		once, err := EncodeJSON(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeJSON(once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if twice, err := EncodeJSON(again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s\n%s\n%v", once, twice, err)
		}
	})
}
