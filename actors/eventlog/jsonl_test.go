package eventlog

import (
	"bytes"
	"errors"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// story is a log with several commits, causes and odd text.
func story(t testing.TB, store Store) *Log {
	t.Helper()
	log := open(t, store)
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
	for _, r := range collect(t, story(t, NewMemory()), 0) {
		got = append(got, r.Line())
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

func TestFormat_Bytes(t *testing.T) {
	if got := Format(&messages.Welcome{Key: []byte{0, 255}}); got != "Welcome key=00ff" {
		t.Errorf("got %s", got)
	}
}

func export(t testing.TB, log *Log) [][]byte {
	t.Helper()
	var lines [][]byte
	for _, r := range collect(t, log, 0) {
		line, err := EncodeJSON(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

func decodeAll(lines [][]byte) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, line := range lines {
			if !yield(DecodeJSON(line)) {
				return
			}
		}
	}
}

// Export, import, export is the same bytes, hashes and all.
func TestImport_Lossless(t *testing.T) {
	for name, make := range stores {
		t.Run(name, func(t *testing.T) {
			from := story(t, NewMemory())
			lines := export(t, from)
			if want := `{"seq":1,"time":"2026-11-22T10:11:12.001000Z","actor":"scheduler","type":"SongQueued","version":1,` +
				`"event":{"request_id":"r1","listener_name":"amy","song":"bach.mp3"},"cause_type":"RequestPlay","cause":{"request_id":"r1","wish":"2"},` +
				`"of":1,"data":"CgJyMRoDYW15IghiYWNoLm1wMw==","cause_data":"CgJyMSIBMg==","hash":"`; !strings.HasPrefix(string(lines[0]), want) {
				t.Errorf("line is\n%s\nwant\n%s", lines[0], want)
			}
			store, _ := make(t)
			if n, err := Import(store, decodeAll(lines)); n != 6 || err != nil {
				t.Fatalf("imported %d, %v", n, err)
			}
			to := open(t, store)
			if _, err := to.Verify(t.Context()); err != nil {
				t.Fatal(err)
			}
			if again := export(t, to); !reflect.DeepEqual(again, lines) {
				t.Errorf("exported again\n%s\nwant\n%s", bytes.Join(again, []byte("\n")), bytes.Join(lines, []byte("\n")))
			}
			if last, err := to.Append(6, "scheduler", nil, queued("x")); last != 7 || err != nil {
				t.Errorf("append after import: %d, %v", last, err)
			}
		})
	}
}

func TestImport_Refuses(t *testing.T) {
	lines := export(t, story(t, NewMemory()))
	edit := func(i int, from, to string) [][]byte {
		edited := slices.Clone(lines)
		edited[i] = bytes.Replace(edited[i], []byte(from), []byte(to), 1)
		return edited
	}
	for _, c := range []struct {
		name  string
		lines [][]byte
		kept  uint64
	}{
		{"changed data", edit(4, `"data":"Ch`, `"data":"Cg`), 4},
		{"changed actor", edit(1, "scheduler", "schedules"), 1},
		{"changed time", edit(0, ".001000Z", ".001001Z"), 0},
		{"changed hash", edit(5, `"hash":"`, `"hash":"00`), 5},
		{"hole", slices.Delete(slices.Clone(lines), 1, 2), 1},
		{"cut inside a commit", lines[:3], 2},
		{"begins late", lines[1:], 0},
		{"no JSON", edit(2, `{`, `[`), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := NewMemory()
			n, err := Import(store, decodeAll(c.lines))
			if err == nil {
				t.Error("it was imported")
			}
			_, last, _ := store.Marks()
			if n != c.kept || last.Seq != c.kept {
				t.Errorf("kept %d, store at %d, want %d", n, last.Seq, c.kept)
			}
		})
	}
	store := NewMemory()
	if _, err := Import(store, decodeAll(lines)); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(store, decodeAll(lines)); err == nil {
		t.Error("imported over a log")
	}
}

func TestDecode_Unknown(t *testing.T) {
	for _, line := range []string{
		`{"seq":1,"time":"2026-11-22T10:11:12.001000Z","actor":"a","type":"Nonsense","version":1,"data":"","hash":""}`,
		`{"seq":1,"time":"2026-11-22T10:11:12.001000Z","actor":"a","type":"SongQueued","version":2,"data":"","hash":""}`,
	} {
		if _, err := DecodeJSON([]byte(line)); !errors.Is(err, ErrUnknownType) {
			t.Errorf("%v, want ErrUnknownType", err)
		}
	}
}

// An event of an old version arrives as the newest one, and is exported as it was kept.
func TestDecode_Upcast(t *testing.T) {
	log := open(t, NewMemory())
	if _, err := log.Append(0, "scheduler", nil, queued("bach")); err != nil {
		t.Fatal(err)
	}
	line := export(t, log)[0]
	versions["SongQueued"] = 3
	upcast[kind{"SongQueued", 1}] = func(data []byte) (string, []byte, error) {
		return "SongQueued", data, nil
	}
	upcast[kind{"SongQueued", 2}] = func(data []byte) (string, []byte, error) {
		var old messages.SongQueued
		if err := proto.Unmarshal(data, &old); err != nil {
			return "", nil, err
		}
		old.Song += ".mp3"
		return encode(&old)
	}
	t.Cleanup(func() { clear(versions); clear(upcast) })
	r, err := DecodeJSON(line)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Event.(*messages.SongQueued).GetSong(); got != "bach.mp3" || r.Version != 1 {
		t.Errorf("song %q, version %d", got, r.Version)
	}
	if again, err := EncodeJSON(r); err != nil || !bytes.Contains(again, []byte(`"version":1,`)) || !bytes.Contains(again, []byte(`"data":"IgRiYWNo"`)) {
		t.Errorf("exported as %s, %v", again, err)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, line := range export(f, story(f, NewMemory())) {
		f.Add(line)
	}
	f.Add([]byte(`{"seq":18446744073709551615,"time":"9999-12-31T23:59:59.999999Z","type":"SongAdded","version":1,"data":"CgA="}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := DecodeJSON(line)
		if err != nil {
			return
		}
		_ = r.Line()
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
