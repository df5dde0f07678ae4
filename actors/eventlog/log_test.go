package eventlog

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

	"conga/messages"
)

func TestLog_Append(t *testing.T) {
	log := open(t, NewMemory())
	cause := &messages.LeaveChain{Id: "amy"}
	last, err := log.Append(0, "chainmanager", cause, &messages.ListenerLeft{Id: "amy"}, &messages.ChainSpliced{From: "a", To: "b"})
	if last != 2 || err != nil {
		t.Fatalf("append: %d, %v", last, err)
	}
	if last, err := log.Append(0, "x", nil); last != 2 || err != nil {
		t.Errorf("append of nothing: %d, %v", last, err)
	}
	for _, expected := range []uint64{0, 1, 3} {
		if _, err := log.Append(expected, "x", nil, queued("a")); !errors.Is(err, ErrConflict) {
			t.Errorf("expected %d: %v, want ErrConflict", expected, err)
		}
	}
	if _, err := log.Append(Any, "x", nil, queued("a")); err != nil {
		t.Error(err)
	}
	got := collect(t, log, 0)
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
	log, err := Open(NewMemory(), func() time.Time { now = now.Add(-time.Hour); return now })
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	fill(t, log, 300)
	records := collect(t, log, 0)
	if !slices.IsSortedFunc(records, func(a, b Record) int { return a.Time.Compare(b.Time) }) {
		t.Error("times go back")
	}
}

// While one group is on its way to the disk, those who come share the next one.
func TestLog_GroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &sick{Store: NewMemory(), gate: make(chan struct{})}
		log := open(t, store)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := log.Append(Any, "a", nil, queued("x"), queued("y")); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		if got := log.Last(); got != 0 {
			t.Errorf("event %d is shown BEFORE it is on disk", got)
		}
		close(store.gate)
		wg.Wait()
		if !slices.Equal(store.used, []int{2, 98}) {
			t.Errorf("transactions of %v rows", store.used)
		}
		if _, err := log.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A keeper decides on events that are on their way: a second one that wants the same
// waits for the first one's fate.
func TestKeeper_DecidesOnPending(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprintf("fails=%v", fails), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &sick{Store: NewMemory(), gate: make(chan struct{}, 10)}
				log := open(t, store)
				a, b := newKeeper(t, log, queue{}), newKeeper(t, log, queue{})
				if fails {
					store.set(errFull, false)
				}
				var first, second error
				var events []proto.Message
				var wg sync.WaitGroup
				wg.Go(func() { _, first = a.Commit(&messages.RequestPlay{Wish: "x"}) })
				synctest.Wait()
				wg.Go(func() { events, second = b.Commit(&messages.RequestPlay{Wish: "x"}) })
				synctest.Wait()
				if len(b.State().Songs) != 0 {
					t.Error("the state shows an event BEFORE it is on disk")
				}
				store.gate <- struct{}{}
				synctest.Wait()
				store.set(nil, false)
				close(store.gate)
				wg.Wait()
				if fails {
					if !errors.Is(first, errFull) || second != nil || len(events) != 1 {
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

// A failed append fails all that stood on it; when the disk is well again the log is too.
func TestLog_AppendFails(t *testing.T) {
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprintf("kept=%v", kept), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &sick{Store: NewMemory(), gate: make(chan struct{}, 10)}
				log := open(t, store)
				store.set(errFull, kept)
				errs := make([]error, 3)
				var wg sync.WaitGroup
				for i := range errs {
					wg.Go(func() { _, errs[i] = log.Append(uint64(i), "a", nil, queued(fmt.Sprint(i))) })
					synctest.Wait()
				}
				store.gate <- struct{}{}
				wg.Wait()
				for i, err := range errs {
					if !errors.Is(err, errFull) {
						t.Errorf("append %d: %v, want the disk's error", i, err)
					}
				}
				store.set(nil, false)
				close(store.gate)
				want := uint64(0)
				if kept {
					want = 1 // stored, never acknowledged
				}
				if got := log.Last(); got != want {
					t.Errorf("log at %d, want %d", got, want)
				}
				if last, err := log.Append(want, "a", nil, queued("after")); last != want+1 || err != nil {
					t.Errorf("append after the failure: %d, %v", last, err)
				}
				if n, err := log.Verify(t.Context()); n != want+1 || err != nil {
					t.Errorf("verify: %d, %v", n, err)
				}
				if got := collect(t, log, 0); len(got) != int(want)+1 {
					t.Errorf("%d records", len(got))
				}
			})
		})
	}
}

// A disk that cannot even be read after a failed append: nothing is appended before it
// has said what it kept.
func TestLog_AppendFails_Unsure(t *testing.T) {
	store := &sick{Store: NewMemory()}
	log := open(t, store)
	store.err, store.kept, store.lost = errFull, true, errors.New("input/output error")
	if _, err := log.Append(0, "a", nil, queued("x")); !errors.Is(err, errFull) {
		t.Errorf("append: %v", err)
	}
	if _, err := log.Append(0, "a", nil, queued("x")); !errors.Is(err, store.lost) {
		t.Errorf("append while nothing can be read: %v", err)
	}
	store.err, store.lost = nil, nil
	if _, err := log.Append(0, "a", nil, queued("y")); !errors.Is(err, ErrConflict) {
		t.Errorf("append behind 0, where an event is kept: %v", err)
	}
	if last, err := log.Append(1, "a", nil, queued("y")); last != 2 || err != nil {
		t.Errorf("append when the disk is well: %d, %v", last, err)
	}
}

func TestLog_Watch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := open(t, NewMemory())
		fill(t, log, 5)
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
		fill(t, log, 3)
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
		if !errors.Is(end, ErrClosed) {
			t.Errorf("watch ended with %v", end)
		}
		if _, err := log.Append(8, "a", nil, queued("x")); !errors.Is(err, ErrClosed) {
			t.Errorf("append after close: %v", err)
		}
		if err := log.Close(); err != nil {
			t.Errorf("second close: %v", err)
		}
	})
}

// What is read is the same from memory and from the store, across their border too, and
// memory stays bounded.
func TestLog_Since_BeyondTheTail(t *testing.T) {
	store := NewMemory()
	log := open(t, store)
	fill(t, log, 3*tailEvents)
	if n := len(log.tail.records); n > 2*tailEvents+100 || cap(log.tail.records) > 4*tailEvents {
		t.Errorf("tail holds %d records, room for %d", n, cap(log.tail.records))
	}
	again, err := Open(store, testClock())
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{0, 1, 2*tailEvents - 1, 2 * tailEvents, 2*tailEvents + 1, 3*tailEvents - 1, 3 * tailEvents, 1 << 60} {
		warm, cold := collect(t, log, seq), collect(t, again, seq)
		want := 0
		if seq < 3*tailEvents {
			want = 3*tailEvents - int(seq)
		}
		if len(warm) != want || len(cold) != want {
			t.Fatalf("behind %d are %d and %d records, want %d", seq, len(warm), len(cold), want)
		}
		for i := range warm {
			if warm[i].Seq != seq+1+uint64(i) || warm[i].Line() != cold[i].Line() || string(warm[i].Hash) != string(cold[i].Hash) {
				t.Fatalf("memory says %s, store says %s", warm[i].Line(), cold[i].Line())
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
	log := open(t, NewMemory())
	for range 20 {
		if _, err := log.Append(Any, "a", nil, queued(string(make([]byte, 1<<20)))); err != nil {
			t.Fatal(err)
		}
	}
	if log.tail.bytes > tailBytes {
		t.Errorf("tail holds %d bytes", log.tail.bytes)
	}
}

func TestLog_Verify_NamesTheFirstBad(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(m *memory)
		seq   uint64
	}{
		{"data", func(m *memory) { m.rows[6].Data = []byte("\x22\x01x") }, 7},
		{"hash", func(m *memory) { m.rows[2].Hash = make([]byte, 32) }, 3},
		{"first", func(m *memory) { m.rows[0].Actor = "mallory" }, 1},
		{"cause", func(m *memory) { m.rows[0].Cause = nil }, 1},
		{"gap", func(m *memory) { m.rows = slices.Delete(m.rows, 4, 5) }, 5},
		{"undecodable, hashed anew", func(m *memory) {
			m.rows = slices.Clone(m.rows[:9])
			last := m.rows[8].mark()
			bad := Row{Seq: 10, Type: "SongQueued", Version: 1, Data: []byte{0xff}, Of: 1}
			bad.Hash, _ = chain(last.Hash, &bad, nil)
			m.rows = append(m.rows, bad)
		}, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := NewMemory().(*memory)
			log := open(t, store)
			fill(t, log, 10)
			c.spoil(store)
			log.mu.Lock()
			err := log.reload()
			log.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			_, err = log.Verify(t.Context())
			var damage *Damage
			if !errors.As(err, &damage) || damage.Seq != c.seq || !errors.Is(err, ErrDamaged) {
				t.Errorf("%v, want damage at %d", err, c.seq)
			}
			if _, err := Open(store, testClock()); !errors.Is(err, ErrDamaged) {
				t.Errorf("opened: %v", err)
			}
		})
	}
}
