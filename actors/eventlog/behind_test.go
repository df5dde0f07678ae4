package eventlog

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func init() {
	stores["behind"] = func(t testing.TB) (Store, func() Store) {
		dir := t.TempDir()
		again := func() Store { return openBehind(t, openSQLite(t, dir), nil) }
		return again(), again
	}
}

func openBehind(t testing.TB, disk Store, trouble func(error)) Store {
	t.Helper()
	if trouble == nil {
		trouble = func(err error) { t.Errorf("trouble: %v", err) }
	}
	store, err := OpenBehind(disk, trouble)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// A disk that is full for a while holds up nobody, and has everything in the end.
func TestBehind_FullForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below := NewMemory()
		disk := &sick{Store: below}
		var mu sync.Mutex
		var said []error
		log := open(t, openBehind(t, disk, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, err)
		}))
		fill(t, log, 3)
		synctest.Wait()
		disk.set(errFull, false)
		fill(t, log, 200)
		synctest.Wait()
		if got := log.Last(); got != 203 {
			t.Fatalf("the log is at %d", got)
		}
		if _, last, _ := below.Marks(); last.Seq != 3 {
			t.Fatalf("the full disk has %d events", last.Seq)
		}
		mu.Lock()
		if len(said) != 1 || !errors.Is(said[0], errFull) {
			t.Errorf("said %v", said)
		}
		mu.Unlock()
		disk.set(errFull, true) // it keeps the rows, and denies it
		synctest.Wait()
		time.Sleep(2 * lastAgain)
		disk.set(nil, false)
		time.Sleep(2 * lastAgain)
		if _, last, _ := below.Marks(); last.Seq != 203 {
			t.Errorf("the disk has %d events", last.Seq)
		}
	})
}

// A disk that never comes back is given up, and Close does not wait for it. What the disk
// has in hand counts among what waits for it, however much that is.
func TestBehind_Lost(t *testing.T) {
	for _, inHand := range []int{1, 10_000} {
		t.Run(fmt.Sprint(inHand), func(t *testing.T) { tooFarBehind(t, inHand) })
	}
}

func tooFarBehind(t *testing.T, inHand int) {
	synctest.Test(t, func(t *testing.T) {
		disk := &sick{Store: NewMemory(), err: errFull}
		var mu sync.Mutex
		said := 0
		log := open(t, openBehind(t, disk, func(error) {
			mu.Lock()
			defer mu.Unlock()
			said++
		}))
		fill(t, log, inHand)
		synctest.Wait()
		fill(t, log, maxBehind+1-inHand)
		synctest.Wait()
		time.Sleep(2 * lastAgain)
		mu.Lock()
		defer mu.Unlock()
		if said != 2 || log.Last() != maxBehind+1 {
			t.Errorf("said %d times, the log is at %d", said, log.Last())
		}
	})
}

// However often a ring forgets, an actor's state is what it would be had it forgotten nothing.
func TestRing_KeepsState(t *testing.T) {
	dir := t.TempDir()
	ring := func() *Log {
		log, err := OpenRing(openBehind(t, openSQLite(t, dir), nil), testClock(), 100, Keeping("room", room{}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close() })
		return log
	}
	log := ring()
	live := newKeeper(t, log, room{})
	all := room{}
	for i := range 100 {
		if i%10 == 0 {
			events, err := live.Commit(joins(string(rune('a' + i/10))))
			if err != nil {
				t.Fatal(err)
			}
			all = Replay(all, events...)
		}
		fill(t, log, 30)
	}
	if err := live.CatchUp(); err != nil {
		t.Fatal(err)
	}
	for _, again := range []bool{false, true} {
		if again {
			log = reopened(t, log, ring)
		}
		state, seq, err := Begin(log, "room", room{})
		if err != nil || seq == 0 || seq != log.Base() || len(state.Nodes) == 0 {
			t.Errorf("it begins at %d of %d with %v: %v", seq, log.Last(), state, err)
		}
		if k, err := NewKeeper(log, "room", room{}); err != nil || !reflect.DeepEqual(k.State(), all) {
			t.Errorf("state %v, want %v (%v)", k.State(), all, err)
		}
		if actors, err := log.BaseActors(); err != nil || !reflect.DeepEqual(actors, []string{"room"}) {
			t.Errorf("the base has states of %v (%v)", actors, err)
		}
	}
}

func reopened(t *testing.T, log *Log, again func() *Log) *Log {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return again()
}
