package eventlog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
	"conga/messages"
)

func stateJSON(t testing.TB, state any) json.RawMessage {
	t.Helper()
	data, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A snapshot and the rest of the log lead to the same state as a full replay, wherever
// the snapshot was taken, also when an archive has dropped earlier events.
func TestSnapshot_Property_EqualsReplay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		store := eventlog.NewMemory()
		log := storetest.Open(t, store)
		k, r := storetest.Keeper(t, log, storetest.Queue{}), storetest.Keeper(t, log, storetest.Room{})
		steps := rapid.IntRange(1, 40).Draw(rt, "steps")
		snapAt, dropAt := rapid.IntRange(0, steps).Draw(rt, "snapAt"), rapid.IntRange(0, steps).Draw(rt, "dropAt")
		for i := range steps {
			var err error
			switch arg := rapid.IntRange(0, 9).Draw(rt, "arg"); arg % 3 {
			case 0:
				_, err = k.Commit(&messages.RequestPlay{Wish: fmt.Sprintf("<%d>", arg)})
			case 1:
				_, err = k.Commit(&messages.ChooseSong{})
			case 2:
				_, err = r.Commit(&messages.JoinChain{Node: &messages.Node{Id: fmt.Sprint(i)}})
			}
			if err == nil && i == snapAt || i == dropAt {
				err = errors.Join(k.CatchUp(), r.CatchUp())
				states := map[string]eventlog.Frozen{"queue": eventlog.Freeze(k.State()), "room": eventlog.Freeze(r.State())}
				if i == snapAt && err == nil {
					err = log.SaveSnapshot(k.Seq(), states)
				}
				if i == dropAt && err == nil && k.Seq() > log.Base() {
					err = log.Drop(k.Seq(), states)
				}
			}
			if err != nil {
				rt.Fatal(err)
			}
		}
		if err := errors.Join(k.CatchUp(), r.CatchUp()); err != nil {
			rt.Fatal(err)
		}
		again, err := eventlog.Open(store, storetest.Clock())
		if err != nil {
			rt.Fatal(err)
		}
		k2, err := eventlog.NewKeeper(again, "queue", storetest.Queue{})
		if err != nil {
			rt.Fatal(err)
		}
		r2, err := eventlog.NewKeeper(again, "room", storetest.Room{})
		if err != nil {
			rt.Fatal(err)
		}
		if a, b := stateJSON(t, k.State()), stateJSON(t, k2.State()); !bytes.Equal(a, b) {
			rt.Fatalf("replayed %s, from the snapshot %s", a, b)
		}
		if a, b := stateJSON(t, r.State()), stateJSON(t, r2.State()); !bytes.Equal(a, b) {
			rt.Fatalf("replayed %s, from the snapshot %s", a, b)
		}
		if k2.Seq() != log.Last() || r2.Seq() != log.Last() {
			rt.Fatalf("at %d and %d, log at %d", k2.Seq(), r2.Seq(), log.Last())
		}
	})
}

// A valid snapshot gives the state; one that cannot be trusted is ignored.
func TestSnapshot_Ignored(t *testing.T) {
	planted := storetest.Queue{Songs: []string{"planted"}, Played: 77}
	for _, c := range []struct {
		name  string
		spoil func(s *snapshot)
		used  bool
	}{
		{"sound", func(*snapshot) {}, true},
		{"flipped bit", func(s *snapshot) { s.after = func(data []byte) []byte { data[50] ^= 1; return data } }, false},
		{"cut", func(s *snapshot) { s.after = func(data []byte) []byte { return data[:20] } }, false},
		{"no JSON inside", func(s *snapshot) { s.state = eventlog.Freeze("text") }, false},
		{"of another program", func(s *snapshot) { s.program = "other" }, false},
		{"of another log", func(s *snapshot) { s.at.Hash = make([]byte, 32) }, false},
		{"from the future", func(s *snapshot) { s.at.Seq = 99 }, false},
		{"with fields that the state lacks", func(s *snapshot) {
			s.state = eventlog.Freeze(json.RawMessage(`{"songs":[],"played":77,"more":1}`))
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := eventlog.NewMemory()
			log := storetest.Open(t, store)
			storetest.Fill(t, log, 10)
			if err := log.SaveSnapshot(10, stateOf("storetest.Queue", planted)); err != nil {
				t.Fatal(err)
			}
			at, err := log.MarkAt(10)
			if err != nil {
				t.Fatal(err)
			}
			other := snapshot{eventlog.ThisProgram(), at, eventlog.Freeze(planted), func(data []byte) []byte { return data }}
			c.spoil(&other)
			if err := store.Keep("snapshot", other.data(t)); err != nil {
				t.Fatal(err)
			}
			k := storetest.Keeper(t, log, storetest.Queue{})
			if used := reflect.DeepEqual(k.State(), planted); used != c.used || k.Seq() != 10 {
				t.Errorf("snapshot used: %v, state at %d", used, k.Seq())
			}
			room, err := eventlog.NewKeeper(log, "room", storetest.Room{})
			if err != nil || room.Seq() != 10 {
				t.Errorf("an actor without snapshot: %v, at %d", err, room.Seq())
			}
		})
	}
}

// snapshot is one of a single state.
type snapshot struct {
	program string
	at      eventlog.Mark
	state   eventlog.Frozen
	after   func(data []byte) []byte // what becomes of it on the disk
}

func (s snapshot) data(t *testing.T) []byte {
	t.Helper()
	data, err := eventlog.Pack(s.program, s.at, map[string]eventlog.Frozen{"storetest.Queue": s.state})
	if err != nil {
		t.Fatal(err)
	}
	return s.after(data)
}

func stateOf[S any](actor string, state S) map[string]eventlog.Frozen {
	return map[string]eventlog.Frozen{actor: eventlog.Freeze(state)}
}

func TestLog_SaveSnapshot_Refuses(t *testing.T) {
	log := storetest.Open(t, eventlog.NewMemory())
	storetest.Fill(t, log, 3)
	if log.SaveSnapshot(4, nil) == nil {
		t.Error("kept a snapshot of the future")
	}
	if log.Drop(4, nil) == nil {
		t.Error("dropped the future")
	}
}

// If events are dropped before an idle keeper has applied them, it continues with the state that was kept
// of them, as if it had seen them all.
func TestKeeper_Overtaken(t *testing.T) {
	log := storetest.Open(t, eventlog.NewMemory())
	keeper := func() *eventlog.Keeper[storetest.Room] {
		k, err := eventlog.NewKeeper(log, "room", storetest.Room{})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	asleep, awake := keeper(), keeper()
	for i := range 10 {
		if _, err := awake.Commit(joins(fmt.Sprint("n", i))); err != nil {
			t.Fatal(err)
		}
		if i == 6 {
			if err := log.Drop(awake.Seq(), map[string]eventlog.Frozen{"room": eventlog.Freeze(awake.State())}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := asleep.CatchUp(); err != nil {
		t.Fatal(err)
	}
	if got, want := stateJSON(t, asleep.State()), stateJSON(t, awake.State()); !bytes.Equal(got, want) || asleep.Seq() != awake.Seq() {
		t.Errorf("it is at %d with\n%s\nthe other at %d with\n%s", asleep.Seq(), got, awake.Seq(), want)
	}
}

// It can also go on if not one event is left.
func TestKeeper_OvertakenByAll(t *testing.T) {
	log := storetest.Open(t, eventlog.NewMemory())
	var asleep, awake *eventlog.Keeper[storetest.Room]
	for _, k := range []**eventlog.Keeper[storetest.Room]{&asleep, &awake} {
		var err error
		if *k, err = eventlog.NewKeeper(log, "room", storetest.Room{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := awake.Commit(joins("a")); err != nil {
		t.Fatal(err)
	}
	if err := log.Drop(awake.Seq(), map[string]eventlog.Frozen{"room": eventlog.Freeze(awake.State())}); err != nil {
		t.Fatal(err)
	}
	if _, err := asleep.Commit(joins("b")); err != nil {
		t.Fatal(err)
	}
	if err := awake.CatchUp(); err != nil {
		t.Fatal(err)
	}
	if got, want := stateJSON(t, asleep.State()), stateJSON(t, awake.State()); !bytes.Equal(got, want) {
		t.Errorf("it has\n%s\nthe other\n%s", got, want)
	}
}

// A process that has followed the log before reads only what it does not know.
func TestOpenWarm(t *testing.T) {
	store := eventlog.NewMemory()
	log := storetest.Open(t, store)
	storetest.Fill(t, log, 100)
	snapshot, err := log.Snapshot(100, map[string]eventlog.Frozen{})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Fill(t, log, 2)
	other := storetest.Open(t, eventlog.NewMemory())
	storetest.Fill(t, other, 101)
	foreign, err := other.Snapshot(101, map[string]eventlog.Frozen{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		snapshot []byte
		from     uint64
		most     int64 // the events behind it, and the event itself, for its hash, each time that somebody asks
	}{
		"nothing known":   {nil, 0, 102},
		"known":           {snapshot, 100, 5},
		"of another log":  {foreign, 0, 104},
		"not as it was":   {snapshot[1:], 0, 102},
		"less than a sum": {[]byte{1}, 0, 102},
	} {
		counted := &storetest.Counted{Store: store}
		warm, err := eventlog.OpenWarm(counted, storetest.Clock(), c.snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if err := warm.Prove(); err != nil {
			t.Error(err)
		}
		if seq, rows := warm.SnapshotSeq(), counted.Rows.Load(); seq != c.from || rows > c.most {
			t.Errorf("%s: it begins at event %d, and has read %d rows; want %d, and at most %d", name, seq, rows, c.from, c.most)
		}
	}
	warm, err := eventlog.OpenWarm(store, storetest.Clock(), snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if err := warm.SaveSnapshot(102, map[string]eventlog.Frozen{}); err != nil || warm.SnapshotSeq() != 102 {
		t.Errorf("%v: a newer snapshot is saved, and it begins at %d", err, warm.SnapshotSeq())
	}
}
