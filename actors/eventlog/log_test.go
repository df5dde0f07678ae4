package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
	"conga/messages"
)

func TestLog_Append(t *testing.T) {
	log := storetest.Open(t, eventlog.NewMemory())
	cause := &messages.LeaveChain{Id: "amy"}
	last, err := log.Append(0, "chainmanager", cause, &messages.ListenerLeft{Id: "amy"}, &messages.ChainSpliced{From: "a", To: "b"})
	if last != 2 || err != nil {
		t.Fatalf("append: %d, %v", last, err)
	}
	if last, err := log.Append(0, "x", nil); last != 2 || err != nil {
		t.Errorf("append of nothing: %d, %v", last, err)
	}
	for _, expected := range []uint64{0, 1, 3} {
		if _, err := log.Append(expected, "x", nil, storetest.Queued("a")); !errors.Is(err, eventlog.ErrConflict) {
			t.Errorf("expected %d: %v, want ErrConflict", expected, err)
		}
	}
	if _, err := log.Append(eventlog.Any, "x", nil, storetest.Queued("a")); err != nil {
		t.Error(err)
	}
	got := storetest.Collect(t, log, 0)
	if len(got) != 3 || got[0].Of != 2 || got[1].Of != 0 || got[2].Of != 1 {
		t.Errorf("commits of %v", got)
	}
	if !proto.Equal(got[0].Cause, cause) || got[1].Cause != nil {
		t.Error("the cause is not on the first event alone")
	}
	if _, err := log.Append(3, "x", nil, nil); err == nil {
		t.Error("nil was appended")
	}
}

// The log's times never go back, whatever the clock does.
func TestLog_ClockStepsBack(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	log, err := eventlog.Open(eventlog.NewMemory(), func() time.Time { now = now.Add(-time.Hour); return now })
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	storetest.Fill(t, log, 300)
	records := storetest.Collect(t, log, 0)
	if !slices.IsSortedFunc(records, func(a, b eventlog.Record) int { return a.Time.Compare(b.Time) }) {
		t.Error("times go back")
	}
}

// Appends that come while one group is being written share the next group.
func TestLog_GroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, gate := &storetest.Sick{Store: eventlog.NewMemory()}, make(chan struct{})
		store.Hang(gate)
		log := storetest.Open(t, store)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := log.Append(eventlog.Any, "a", nil, storetest.Queued("x"), storetest.Queued("y")); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		if got := log.Last(); got != 0 {
			t.Errorf("event %d is shown before it is on disk", got)
		}
		close(gate)
		wg.Wait()
		if !slices.Equal(store.Used(), []int{2, 98}) {
			t.Errorf("transactions of %v rows", store.Used())
		}
		if _, err := log.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A keeper decides on events that are not yet on disk: a second keeper with the same
// command waits until the first one's events succeed or fail.
func TestKeeper_DecidesOnPending(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprintf("fails=%v", fails), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, gate := &storetest.Sick{Store: eventlog.NewMemory()}, make(chan struct{}, 10)
				store.Hang(gate)
				log := storetest.Open(t, store)
				a, b := storetest.Keeper(t, log, storetest.Queue{}), storetest.Keeper(t, log, storetest.Queue{})
				if fails {
					store.Fail(storetest.ErrFull, false)
				}
				var first, second error
				var events []proto.Message
				var wg sync.WaitGroup
				wg.Go(func() { _, first = a.Commit(&messages.RequestPlay{Wish: "x"}) })
				synctest.Wait()
				wg.Go(func() { events, second = b.Commit(&messages.RequestPlay{Wish: "x"}) })
				synctest.Wait()
				if len(b.State().Songs) != 0 {
					t.Error("the state shows an event before it is on disk")
				}
				gate <- struct{}{}
				synctest.Wait()
				store.Fail(nil, false)
				close(gate)
				wg.Wait()
				if fails {
					if !errors.Is(first, storetest.ErrFull) || second != nil || len(events) != 1 {
						t.Errorf("first %v; second %v with %d events, want its own", first, second, len(events))
					}
				} else if first != nil || second != nil || len(events) != 0 {
					t.Errorf("first %v; second %v with %d events, want none", first, second, len(events))
				}
				if log.Last() != 1 {
					t.Errorf("the song is %d times in the log", log.Last())
				}
			})
		})
	}
}

// A failed append also fails those behind it. When the disk works again, so does the log.
func TestLog_AppendFails(t *testing.T) {
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprintf("kept=%v", kept), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, gate := &storetest.Sick{Store: eventlog.NewMemory()}, make(chan struct{}, 10)
				store.Hang(gate)
				log := storetest.Open(t, store)
				store.Fail(storetest.ErrFull, kept)
				errs := make([]error, 3)
				var wg sync.WaitGroup
				for i := range errs {
					wg.Go(func() { _, errs[i] = log.Append(uint64(i), "a", nil, storetest.Queued(fmt.Sprint(i))) })
					synctest.Wait()
				}
				gate <- struct{}{}
				wg.Wait()
				for i, err := range errs {
					if !errors.Is(err, storetest.ErrFull) {
						t.Errorf("append %d: %v, want the disk's error", i, err)
					}
				}
				store.Fail(nil, false)
				close(gate)
				want := uint64(0)
				if kept {
					want = 1 // stored, never acknowledged
				}
				if got := log.Last(); got != want {
					t.Errorf("log at %d, want %d", got, want)
				}
				if last, err := log.Append(want, "a", nil, storetest.Queued("after")); last != want+1 || err != nil {
					t.Errorf("append after the failure: %d, %v", last, err)
				}
				if n, err := log.Verify(t.Context()); n != want+1 || err != nil {
					t.Errorf("verify: %d, %v", n, err)
				}
				if got := storetest.Collect(t, log, 0); len(got) != int(want)+1 {
					t.Errorf("%d records", len(got))
				}
			})
		})
	}
}

// If the disk cannot even be read after a failed append, nothing is appended until it
// has said what it kept.
func TestLog_AppendFails_Unsure(t *testing.T) {
	store := &storetest.Sick{Store: eventlog.NewMemory()}
	log := storetest.Open(t, store)
	lost := errors.New("input/output error")
	store.Fail(storetest.ErrFull, true)
	store.Lose(lost)
	if _, err := log.Append(0, "a", nil, storetest.Queued("x")); !errors.Is(err, storetest.ErrFull) {
		t.Errorf("append: %v", err)
	}
	if _, err := log.Append(0, "a", nil, storetest.Queued("x")); !errors.Is(err, lost) {
		t.Errorf("append while nothing can be read: %v", err)
	}
	store.Fail(nil, false)
	store.Lose(nil)
	if _, err := log.Append(0, "a", nil, storetest.Queued("y")); !errors.Is(err, eventlog.ErrConflict) {
		t.Errorf("append behind 0, where an event is kept: %v", err)
	}
	if last, err := log.Append(1, "a", nil, storetest.Queued("y")); last != 2 || err != nil {
		t.Errorf("append when the disk is well: %d, %v", last, err)
	}
}

func TestLog_Watch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := storetest.Open(t, eventlog.NewMemory())
		storetest.Fill(t, log, 5)
		ctx, stop := context.WithCancel(t.Context())
		var got []uint64
		var wg sync.WaitGroup
		wg.Go(func() {
			for r, err := range log.Watch(ctx, 2) {
				if err != nil {
					t.Error(err)
				}
				got = append(got, r.Seq)
			}
		})
		synctest.Wait()
		storetest.Fill(t, log, 3)
		synctest.Wait()
		stop()
		wg.Wait()
		if !slices.Equal(got, []uint64{3, 4, 5, 6, 7, 8}) {
			t.Errorf("watched %v", got)
		}
		var end error
		wg.Go(func() {
			for _, err := range log.Watch(t.Context(), 8) {
				end = err
			}
		})
		synctest.Wait()
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if !errors.Is(end, eventlog.ErrClosed) {
			t.Errorf("watch ended with %v", end)
		}
		if _, err := log.Append(8, "a", nil, storetest.Queued("x")); !errors.Is(err, eventlog.ErrClosed) {
			t.Errorf("append after close: %v", err)
		}
		if err := log.Close(); err != nil {
			t.Errorf("second close: %v", err)
		}
	})
}

// Reads return the same records from memory, from the store and across the border
// between them, and memory stays bounded.
func TestLog_Since_BeyondTheTail(t *testing.T) {
	store := eventlog.NewMemory()
	log := storetest.Open(t, store)
	storetest.Fill(t, log, 3*eventlog.TailEvents)
	if n, room, _ := log.Tail(); n > 2*eventlog.TailEvents+100 || room > 4*eventlog.TailEvents {
		t.Errorf("tail holds %d records, room for %d", n, room)
	}
	again, err := eventlog.Open(store, storetest.Clock())
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{0, 1, 2*eventlog.TailEvents - 1, 2 * eventlog.TailEvents, 2*eventlog.TailEvents + 1, 3*eventlog.TailEvents - 1, 3 * eventlog.TailEvents, 1 << 60} {
		warm, cold := storetest.Collect(t, log, seq), storetest.Collect(t, again, seq)
		want := 0
		if seq < 3*eventlog.TailEvents {
			want = 3*eventlog.TailEvents - int(seq)
		}
		if len(warm) != want || len(cold) != want {
			t.Fatalf("behind %d are %d and %d records, want %d", seq, len(warm), len(cold), want)
		}
		for i := range warm {
			if warm[i].Seq != seq+1+uint64(i) || !proto.Equal(warm[i].Event, cold[i].Event) || string(warm[i].Hash) != string(cold[i].Hash) {
				t.Fatalf("memory says %v, store says %v", warm[i], cold[i])
			}
		}
	}
	for r := range log.Since(0) {
		if r.Seq == 5 {
			break // a reader may stop
		}
	}
}

func TestLog_Tail_BoundedInBytes(t *testing.T) {
	log := storetest.Open(t, eventlog.NewMemory())
	for range 20 {
		if _, err := log.Append(eventlog.Any, "a", nil, storetest.Queued(string(make([]byte, 1<<20)))); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, bytes := log.Tail(); bytes > eventlog.TailBytes {
		t.Errorf("tail holds %d bytes", bytes)
	}
}
