package eventlog_test

import (
	"errors"
	"testing"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
	"conga/messages"
)

// After another server has begun to lead, the earlier one writes nothing more.
func TestFence(t *testing.T) {
	store := eventlog.NewMemory()
	fell := 0
	mine := storetest.Open(t, eventlog.Fence(store, func() bool { return true }, func() { fell++ }))
	other := storetest.Open(t, eventlog.Fence(store, func() bool { return true }, func() { t.Error("the later one falls") }))
	put := func(log *eventlog.Log) error {
		_, err := log.Append(eventlog.Any, "scheduler", nil, storetest.Queued("x"))
		return err
	}
	if err := put(mine); err != nil {
		t.Fatal(err)
	}
	keeper, err := eventlog.NewKeeper(other, "scheduler", storetest.Queue{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keeper.Commit(&messages.RequestPlay{Wish: "y"}); err != nil { // behind an event that it had not seen
		t.Fatal(err)
	}
	if err := put(mine); !errors.Is(err, eventlog.ErrFenced) || fell != 1 {
		t.Errorf("%v, and it fell %d times", err, fell)
	}
	if err := mine.SaveSnapshot(1, nil); !errors.Is(err, eventlog.ErrFenced) {
		t.Errorf("a snapshot: %v", err)
	}
	if last := other.Last(); last != 2 || fell != 1 {
		t.Errorf("the log has %d events, and it fell %d times", last, fell)
	}
}
