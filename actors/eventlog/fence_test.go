package eventlog_test

import (
	"errors"
	"testing"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
)

// After another server has begun to lead, the earlier one writes nothing more.
func TestFence(t *testing.T) {
	store := eventlog.NewMemory()
	fell := 0
	mine := storetest.Open(t, eventlog.Fence(store, func() bool { return true }, func() { fell++ }))
	put := func(log *eventlog.Log) error {
		_, err := log.Append(eventlog.Any, "scheduler", nil, storetest.Queued("x"))
		return err
	}
	if err := put(mine); err != nil {
		t.Fatal(err)
	}
	other := storetest.Open(t, eventlog.Fence(store, func() bool { return true }, func() { t.Error("the later one falls") }))
	if err := put(other); err != nil {
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
