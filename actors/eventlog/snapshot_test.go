package eventlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

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

// A state from a snapshot and the rest of the log is that of a full replay, wherever
// the snapshot was taken, and also where an archive has dropped what was before.
func TestSnapshot_Property_EqualsReplay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		store := NewMemory()
		log := open(t, store)
		k, r := newKeeper(t, log, queue{}), newKeeper(t, log, room{})
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
				err = k.CatchUp()
				if err == nil {
					err = r.CatchUp()
				}
				states := map[string]json.RawMessage{"queue": stateJSON(t, k.State()), "room": stateJSON(t, r.State())}
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
		if err := k.CatchUp(); err != nil {
			rt.Fatal(err)
		}
		if err := r.CatchUp(); err != nil {
			rt.Fatal(err)
		}
		again, err := Open(store, testClock())
		if err != nil {
			rt.Fatal(err)
		}
		k2, err := NewKeeper(again, "queue", queue{})
		if err != nil {
			rt.Fatal(err)
		}
		r2, err := NewKeeper(again, "room", room{})
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

// A snapshot that is used holds the state; one that may not be trusted is as if it
// were not there.
func TestSnapshot_Ignored(t *testing.T) {
	planted := queue{Songs: []string{"planted"}, Played: 77}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, s *memory)
		used  bool
	}{
		{"sound", func(*testing.T, *memory) {}, true},
		{"flipped bit", func(_ *testing.T, s *memory) { s.kept["snapshot"][50] ^= 1 }, false},
		{"cut", func(_ *testing.T, s *memory) { s.kept["snapshot"] = s.kept["snapshot"][:20] }, false},
		{"no JSON inside", refreeze(func(f *frozen) { f.States["queue"] = json.RawMessage(`"text"`) }), false},
		{"of another program", refreeze(func(f *frozen) { f.Program = "other" }), false},
		{"of another log", refreeze(func(f *frozen) { f.Hash = make([]byte, 32) }), false},
		{"from the future", refreeze(func(f *frozen) { f.Seq = 99 }), false},
		{"with fields that the state lacks", refreeze(func(f *frozen) { f.States["queue"] = json.RawMessage(`{"songs":[],"played":77,"more":1}`) }), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := NewMemory().(*memory)
			log := open(t, store)
			fill(t, log, 10)
			if err := log.SaveSnapshot(10, map[string]json.RawMessage{"queue": stateJSON(t, planted)}); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, store)
			k, err := NewKeeper(log, "queue", queue{})
			if err != nil {
				t.Fatal(err)
			}
			if used := reflect.DeepEqual(k.State(), planted); used != c.used || k.Seq() != 10 {
				t.Errorf("snapshot used: %v, state at %d", used, k.Seq())
			}
			other, err := NewKeeper(log, "room", room{})
			if err != nil || other.Seq() != 10 {
				t.Errorf("an actor without snapshot: %v, at %d", err, other.Seq())
			}
		})
	}
}

func refreeze(change func(*frozen)) func(*testing.T, *memory) {
	return func(t *testing.T, s *memory) {
		f, err := melt(s.kept["snapshot"])
		if err != nil {
			t.Fatal(err)
		}
		change(&f)
		if s.kept["snapshot"], err = f.freeze(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLog_SaveSnapshot_Refuses(t *testing.T) {
	log := open(t, NewMemory())
	fill(t, log, 3)
	if log.SaveSnapshot(4, nil) == nil {
		t.Error("kept a snapshot of the future")
	}
	if log.Drop(4, nil) == nil {
		t.Error("dropped the future")
	}
}

// A keeper that has slept while the events behind its own were dropped goes on with the state
// that was kept of them, as if it had seen them all.
func TestKeeper_Overtaken(t *testing.T) {
	log := open(t, NewMemory())
	keeper := func() *Keeper[room] {
		k, err := NewKeeper(log, "room", room{})
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
			if err := log.Drop(awake.Seq(), map[string]json.RawMessage{"room": stateJSON(t, awake.State())}); err != nil {
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

func TestRing(t *testing.T) {
	dir := t.TempDir()
	ring := func() *Log {
		log, err := OpenRing(openSQLite(t, dir), testClock(), 100)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close() })
		return log
	}
	log := ring()
	for range 30 {
		fill(t, log, 20)
		got := collect(t, log, 0)
		if want := min(int(log.Last()), 100); len(got) < want || len(got) > 145 {
			t.Fatalf("%d events of %d are left", len(got), log.Last())
		}
		if got[len(got)-1].Seq != log.Last() {
			t.Fatalf("the last is %d of %d", got[len(got)-1].Seq, log.Last())
		}
	}
	if _, err := log.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log = ring()
	if got := collect(t, log, 0); len(got) < 100 || len(got) > 125 || got[0].Seq != log.Base()+1 {
		t.Errorf("%d events behind %d are left", len(got), log.Base())
	}
	if _, err := NewKeeper(log, "room", room{}); err != nil {
		t.Errorf("a keeper of a ring: %v", err)
	}
}
