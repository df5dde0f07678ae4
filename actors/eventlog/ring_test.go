package eventlog_test

import (
	"reflect"
	"testing"
	"testing/synctest"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
)

func TestRing(t *testing.T) {
	disk := lasting{eventlog.NewMemory()}
	ring := func() *eventlog.Log {
		log, err := eventlog.OpenRing(disk, storetest.Clock(), 100)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close() })
		return log
	}
	log := ring()
	for range 30 {
		storetest.Fill(t, log, 20)
		got := storetest.Collect(t, log, 0)
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
	if got := storetest.Collect(t, log, 0); len(got) < 100 || len(got) > 125 || got[0].Seq != log.Base()+1 {
		t.Errorf("%d events behind %d are left", len(got), log.Base())
	}
	if _, err := eventlog.NewKeeper(log, "room", storetest.Room{}); err != nil {
		t.Errorf("a keeper of a ring: %v", err)
	}
}

// However often a ring drops events, an actor's state is the same as without that.
func TestRing_KeepsState(t *testing.T) { synctest.Test(t, ringKeepsState) }

func ringKeepsState(t *testing.T) {
	disk := lasting{eventlog.NewMemory()}
	ring := func() *eventlog.Log {
		log, err := eventlog.OpenRing(openDiary(t, disk, nil), storetest.Clock(), 100, eventlog.Keeping("room", storetest.Room{}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close() })
		return log
	}
	log := ring()
	live := storetest.Keeper(t, log, storetest.Room{})
	all := storetest.Room{}
	for i := range 100 {
		if i%10 == 0 {
			events, err := live.Commit(joins(string(rune('a' + i/10))))
			if err != nil {
				t.Fatal(err)
			}
			all = eventlog.Replay(all, events...)
		}
		storetest.Fill(t, log, 30)
	}
	if err := live.CatchUp(); err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // the ring drops events after an append has returned
	for _, again := range []bool{false, true} {
		if again {
			log = reopened(t, log, ring)
		}
		state, seq, err := eventlog.Begin(log, "room", storetest.Room{})
		if err != nil || seq == 0 || seq != log.Base() || len(state.Nodes) == 0 {
			t.Errorf("it begins at %d of %d with %v: %v", seq, log.Last(), state, err)
		}
		if k, err := eventlog.NewKeeper(log, "room", storetest.Room{}); err != nil || !reflect.DeepEqual(k.State(), all) {
			t.Errorf("state %v, want %v (%v)", k.State(), all, err)
		}
		if actors, err := log.BaseActors(); err != nil || !reflect.DeepEqual(actors, []string{"room"}) {
			t.Errorf("the base has states of %v (%v)", actors, err)
		}
	}
}

func reopened(t *testing.T, log *eventlog.Log, again func() *eventlog.Log) *eventlog.Log {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return again()
}
