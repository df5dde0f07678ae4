package eventlog_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
)

// old is how many events of the logs below were not checked when they were opened.
const old = 3 * eventlog.Newest

// A state of events that were not checked yet is built while they are checked: each of them is read once.
func TestSound_ReadsOnce(t *testing.T) {
	rows := eventlog.NewMemory()
	first := storetest.Open(t, rows)
	storetest.Fill(t, first, eventlog.Newest+old-1)
	if _, err := storetest.Keeper(t, first, storetest.Room{}).Commit(joins("amy")); err != nil {
		t.Fatal(err)
	}
	want := storetest.Keeper(t, first, storetest.Room{}).State()
	for name, build := range map[string]func(*eventlog.Log) (storetest.Room, error){
		"a keeper": func(log *eventlog.Log) (storetest.Room, error) {
			k, err := eventlog.NewKeeper(log, "room", storetest.Room{})
			if err == nil && k.Seq() != log.Last() {
				t.Errorf("it is at event %d of %d", k.Seq(), log.Last())
			}
			return k.State(), err
		},
		"fold": func(log *eventlog.Log) (state storetest.Room, err error) {
			err = log.FoldSound(0, log.Last(), func(_ uint64, event proto.Message) { state = state.Apply(event) })
			return state, err
		},
	} {
		store := &storetest.Counted{Store: rows}
		log := storetest.Open(t, store)
		before := store.Rows.Load()
		state, err := build(log)
		if err != nil || !reflect.DeepEqual(state, want) {
			t.Errorf("%s: %v, %v, want %v", name, state, err, want)
		}
		if n := store.Rows.Load() - before; n > old+eventlog.Newest+4 { // the newest were read before, to check them; and the marks
			t.Errorf("%s reads %d rows of a log of %d", name, n, log.Last())
		}
	}
}

// An event of a newer conga ends the building of a state, but not the check: damage behind it counts more.
func TestSound_UnknownType(t *testing.T) {
	sound := eventlog.NewMemory()
	storetest.Fill(t, storetest.Open(t, sound), eventlog.Newest+old)
	for _, bad := range []int{0, 2000} {
		log := storetest.Open(t, spoilt(t, sound, func(rows []eventlog.Row) []eventlog.Row {
			rows[99].Type = "SongSungBackwards"
			for i := 99; i < len(rows); i++ {
				rows[i].Hash, _ = eventlog.HashOf(rows[i-1].Hash, &rows[i], nil)
			}
			if bad > 0 {
				rows[bad-1].Actor = "mallory"
			}
			return rows
		}))
		applied := 0
		_, keeper := eventlog.NewKeeper(log, "room", storetest.Room{})
		for name, err := range map[string]error{
			"a keeper": keeper,
			"fold":     log.FoldSound(0, log.Last(), func(uint64, proto.Message) { applied++ }),
		} {
			var damage *eventlog.Damage
			if errors.As(err, &damage) != (bad > 0) || bad > 0 && damage.Seq != uint64(bad) {
				t.Errorf("%s, event %d damaged: %v", name, bad, err)
			}
			if unknown := errors.Is(err, eventlog.ErrUnknownType); unknown != (bad == 0) || unknown && !strings.Contains(err.Error(), "event 100:") {
				t.Errorf("%s, event %d damaged: %v", name, bad, err)
			}
		}
		if applied != 99 {
			t.Errorf("%d events were applied before the unknown one", applied)
		}
	}
}

// Whoever stops in the middle of a log stops what was reading ahead.
func TestSound_StopsInTheMiddle(t *testing.T) {
	log := storetest.Open(t, eventlog.NewMemory())
	storetest.Fill(t, log, old)
	for r, err := range log.Sound(t.Context()) {
		if err != nil || r.Seq != 1 {
			t.Errorf("%v, %v", r, err)
		}
		break
	}
	read := 0
	for _, err := range log.Sound(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		read++
	}
	if read != old {
		t.Errorf("%d events", read)
	}
}
