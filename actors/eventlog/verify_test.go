package eventlog_test

import (
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
)

// spoilt is a store whose rows were changed after they were written.
func spoilt(t *testing.T, from eventlog.Store, spoil func(rows []eventlog.Row) []eventlog.Row) eventlog.Store {
	t.Helper()
	var rows []eventlog.Row
	for more := true; more; {
		got, err := from.Read(uint64(len(rows)), 1000, eventlog.Whole)
		if err != nil {
			t.Fatal(err)
		}
		rows, more = append(rows, got...), len(got) > 0
	}
	to := eventlog.NewMemory()
	if err := to.Append(0, spoil(rows)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestLog_Verify_NamesTheFirstBad(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(rows []eventlog.Row) []eventlog.Row
		seq   uint64
	}{
		{"data", func(rows []eventlog.Row) []eventlog.Row { rows[6].Data = []byte("\x22\x01x"); return rows }, 7},
		{"hash", func(rows []eventlog.Row) []eventlog.Row { rows[2].Hash = make([]byte, 32); return rows }, 3},
		{"first", func(rows []eventlog.Row) []eventlog.Row { rows[0].Actor = "mallory"; return rows }, 1},
		{"cause", func(rows []eventlog.Row) []eventlog.Row { rows[0].Cause = nil; return rows }, 1},
		{"gap", func(rows []eventlog.Row) []eventlog.Row { return slices.Delete(rows, 4, 5) }, 5},
		{"undecodable, hashed anew", func(rows []eventlog.Row) []eventlog.Row {
			bad := eventlog.Row{Seq: 11, Type: "SongQueued", Version: 1, Data: []byte{0xff}, Of: 1}
			bad.Hash, _ = eventlog.HashOf(rows[9].Hash, &bad, nil)
			return append(rows, bad)
		}, 11},
		{"a commit within another, hashed anew", func(rows []eventlog.Row) []eventlog.Row {
			rows[9].Of = 1
			rows[9].Hash, _ = eventlog.HashOf(rows[8].Hash, &rows[9], nil)
			return rows
		}, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			sound := eventlog.NewMemory()
			storetest.Fill(t, storetest.Open(t, sound), 10)
			_, err := eventlog.Open(spoilt(t, sound, c.spoil), storetest.Clock())
			var damage *eventlog.Damage
			if !errors.As(err, &damage) || damage.Seq != c.seq || !errors.Is(err, eventlog.ErrDamaged) {
				t.Errorf("%v, want damage at %d", err, c.seq)
			}
		})
	}
}

// A log with damaged old events opens and can be read up to them. No state is built on them, and Verify
// names the first.
func TestLog_OldDamage(t *testing.T) {
	sound := eventlog.NewMemory()
	log := storetest.Open(t, sound)
	storetest.Fill(t, log, eventlog.Newest+500)
	states := log.SaveSnapshot
	for name, c := range map[string]struct {
		bad  uint64 // the event that is damaged
		snap uint64 // the event at which there is a snapshot
		ok   bool   // NewKeeper succeeds
	}{
		"where the replay begins":    {bad: 3},
		"before the newest":          {bad: 499},
		"behind a snapshot":          {bad: 400, snap: 300},
		"before what a snapshot has": {bad: 200, snap: 300, ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.snap > 0 {
				if err := states(c.snap, stateOf("storetest.Queue", storetest.Queue{})); err != nil {
					t.Fatal(err)
				}
			}
			store := spoilt(t, sound, func(rows []eventlog.Row) []eventlog.Row {
				rows[c.bad-1].Data = []byte("\x22\x01x")
				return rows
			})
			if c.snap > 0 {
				snapshot, err := sound.Kept("snapshot")
				if err != nil || store.Keep("snapshot", snapshot) != nil {
					t.Fatal(err)
				}
			}
			log := storetest.Open(t, store)
			var damage *eventlog.Damage
			_, err := eventlog.NewKeeper(log, "storetest.Queue", storetest.Queue{})
			if c.ok != (err == nil) || err != nil && (!errors.As(err, &damage) || damage.Seq != c.bad) {
				t.Errorf("a keeper: %v", err)
			}
			if err := log.Prove(); c.ok != (err == nil) || err != nil && (!errors.As(err, &damage) || damage.Seq != c.bad) {
				t.Errorf("what states are built on: %v", err)
			}
			if _, _, err := eventlog.Begin(log, "storetest.Room", storetest.Room{}); !errors.As(err, &damage) || damage.Seq != c.bad {
				t.Errorf("a state from the beginning: %v", err)
			}
			if n, err := log.Verify(t.Context()); n != c.bad-1 || !errors.As(err, &damage) || damage.Seq != c.bad {
				t.Errorf("%d events are sound, then %v", n, err)
			}
			if err := log.Fold(0, log.Last(), func(uint64, proto.Message) {}); err != nil {
				t.Errorf("it cannot be looked at: %v", err)
			}
		})
	}
}

// Verify also checks the base and the snapshot.
func TestLog_Verify_Kept(t *testing.T) {
	for name, damaged := range map[string]bool{"base": true, "snapshot": false} {
		store := eventlog.NewMemory()
		log := storetest.Open(t, store)
		storetest.Fill(t, log, 10)
		if err := errors.Join(log.Drop(5, nil), log.SaveSnapshot(8, nil)); err != nil {
			t.Fatal(err)
		}
		if n, err := log.Verify(t.Context()); n != 5 || err != nil {
			t.Fatalf("%d events are sound: %v", n, err)
		}
		data, err := store.Kept(name)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 4
		if err := store.Keep(name, data); err != nil {
			t.Fatal(err)
		}
		if n, err := log.Verify(t.Context()); n != 5 || err == nil || errors.Is(err, eventlog.ErrDamaged) != damaged {
			t.Errorf("%s: %d events are sound, then %v", name, n, err)
		}
	}
}

// Sound yields the events before the first damaged one, and then its number. It yields all of an undamaged
// log.
func TestLog_Sound(t *testing.T) {
	whole := eventlog.NewMemory()
	storetest.Fill(t, storetest.Open(t, whole), 6)
	for _, bad := range []int{0, 1, 4, 6} {
		log, err := eventlog.OpenDamaged(spoilt(t, whole, func(rows []eventlog.Row) []eventlog.Row {
			if bad > 0 {
				rows[bad-1].Actor = "mallory"
			}
			return rows
		}), storetest.Clock())
		if err != nil {
			t.Fatal(err)
		}
		n, end := 0, error(nil)
		for r, err := range log.Sound(t.Context()) {
			if end = err; err != nil {
				break
			}
			if n++; r.Seq != uint64(n) {
				t.Errorf("event %d came as the %dth", r.Seq, n)
			}
		}
		var damage *eventlog.Damage
		switch {
		case bad == 0 && (n != 6 || end != nil), bad > 0 && (n != bad-1 || !errors.As(end, &damage) || damage.Seq != uint64(bad)):
			t.Errorf("with event %d damaged %d events come, then %v", bad, n, end)
		}
	}
}
