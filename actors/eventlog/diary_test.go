package eventlog_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
)

// lasting is a store in memory whose rows survive Close.
type lasting struct{ eventlog.Store }

func (lasting) Close() error { return nil }

func TestDiary_Contract(t *testing.T) {
	storetest.Contract(t, func(t testing.TB) (eventlog.Store, func() eventlog.Store) {
		return openDiary(t, eventlog.NewMemory(), nil), nil
	})
}

func openDiary(t testing.TB, disk eventlog.Store, trouble func(error)) eventlog.Store {
	t.Helper()
	if trouble == nil {
		trouble = func(err error) { t.Errorf("trouble: %v", err) }
	}
	store, err := eventlog.OpenDiary(disk, trouble)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// A disk that is full for a while holds up nobody, and gets everything in the end.
func TestDiary_FullForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below := eventlog.NewMemory()
		disk := &storetest.Sick{Store: below}
		var mu sync.Mutex
		var said []error
		log := storetest.Open(t, openDiary(t, disk, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, err)
		}))
		storetest.Fill(t, log, 3)
		synctest.Wait()
		disk.Fail(storetest.ErrFull, false)
		storetest.Fill(t, log, 200)
		synctest.Wait()
		if got := log.Last(); got != 203 {
			t.Fatalf("the log is at %d", got)
		}
		if _, last, _ := below.Marks(); last.Seq != 3 {
			t.Fatalf("the full disk has %d events", last.Seq)
		}
		mu.Lock()
		if len(said) != 1 || !errors.Is(said[0], storetest.ErrFull) {
			t.Errorf("said %v", said)
		}
		mu.Unlock()
		disk.Fail(storetest.ErrFull, true) // it keeps the rows although it reports an error
		synctest.Wait()
		time.Sleep(2 * eventlog.LastAgain)
		disk.Fail(nil, false)
		time.Sleep(2 * eventlog.LastAgain)
		if _, last, _ := below.Marks(); last.Seq != 203 {
			t.Errorf("the disk has %d events", last.Seq)
		}
	})
}

// If the ring drops events that a failing disk never got, the disk continues from where the ring begins.
func TestDiary_Late(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below := eventlog.NewMemory()
		disk := &storetest.Sick{Store: below}
		var mu sync.Mutex
		var said []string
		log, err := eventlog.OpenRing(openDiary(t, disk, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, err.Error())
		}), storetest.Clock(), 1000)
		if err != nil {
			t.Fatal(err)
		}
		storetest.Fill(t, log, 500)
		synctest.Wait()
		disk.Fail(storetest.ErrFull, false)
		storetest.Fill(t, log, 1000)
		time.Sleep(2 * eventlog.LastAgain)
		disk.Fail(nil, false)
		time.Sleep(2 * eventlog.LastAgain)
		if _, last, _ := below.Marks(); last.Seq != 1500 {
			t.Errorf("the disk was well in time and has %d events", last.Seq)
		}
		disk.Fail(storetest.ErrFull, false)
		storetest.Fill(t, log, 5000)
		time.Sleep(2 * eventlog.LastAgain)
		disk.Fail(nil, false)
		time.Sleep(2 * eventlog.LastAgain)
		storetest.Fill(t, log, 100)
		synctest.Wait()
		kept, last, err := below.Marks()
		if err != nil || kept.Seq != log.Base() || kept.Seq < 5000 || last.Seq != 6600 || log.Last() != 6600 {
			t.Errorf("the disk has %d to %d, the log %d to %d: %v", kept.Seq, last.Seq, log.Base(), log.Last(), err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(said) != 2 {
			t.Errorf("said %q", said)
		}
	})
}
