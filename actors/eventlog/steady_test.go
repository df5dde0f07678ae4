package eventlog_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
	"conga/messages"
)

func TestSteady_Contract(t *testing.T) {
	storetest.Contract(t, func(t testing.TB) (eventlog.Store, func() eventlog.Store) {
		return openSteady(t, eventlog.NewMemory(), nil, nil), nil
	})
}

func TestMemory_Contract(t *testing.T) {
	storetest.Contract(t, func(testing.TB) (eventlog.Store, func() eventlog.Store) { return eventlog.NewMemory(), nil })
}

func openSteady(t testing.TB, disk eventlog.Store, reserve eventlog.Reserve, tell func(eventlog.DiskState, error)) *eventlog.Steady {
	t.Helper()
	if tell == nil {
		tell = func(eventlog.DiskState, error) {}
	}
	s, err := eventlog.OpenSteady(disk, eventlog.SteadyConfig{Reserve: reserve, Tell: tell})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// tight is a store on a disk of limited size, which it shares with the reserve and with other users.
type tight struct {
	eventlog.Store
	mu      sync.Mutex
	all     int64
	others  int64
	kept    int64
	reserve int64 // its size
	taken   bool  // the reserve is filled
}

// leave lets other users take all of the disk except this much.
func (s *tight) leave(free int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others = 0
	s.others = s.all - s.used() - free
}

// used returns how much the log and its reserve use, and how much others do. The caller holds mu.
func (s *tight) used() int64 {
	if s.taken {
		return s.kept + s.others + s.reserve
	}
	return s.kept + s.others
}

func (s *tight) Fill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.taken && s.used()+s.reserve > s.all {
		return eventlog.ErrFull
	}
	s.taken = true
	return nil
}

func (s *tight) GiveUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.taken
	s.taken = false
	return was
}

func (s *tight) holds() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

func (s *tight) Append(expected uint64, rows []eventlog.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := int64(0)
	for i := range rows {
		size += int64(256 + len(rows[i].Data))
	}
	if s.used()+size > s.all {
		return eventlog.ErrFull
	}
	s.kept += size
	return s.Store.Append(expected, rows)
}

// A disk fills up twice while the log is written. Appends go to the reserve, then into memory, and to the
// disk as soon as it has room; none fails. Meanwhile the store reports that it is full, and keeps no
// snapshots.
func TestSteady_Full(t *testing.T) {
	const size, all = 64 << 10, 1 << 30
	synctest.Test(t, func(t *testing.T) {
		below := eventlog.NewMemory()
		disk := &tight{Store: below, reserve: size, all: all}
		var told storetest.Told
		s := openSteady(t, disk, disk, told.Tell)
		log := storetest.Open(t, s)
		write := func() {
			t.Helper()
			if _, err := log.Append(eventlog.Any, "pacer", nil, &messages.SongStarted{Song: &messages.Song{Name: "bach.mp3"}}); err != nil {
				t.Fatal(err)
			}
		}
		write()
		if s.Full() {
			t.Fatal("with room it is full")
		}
		var want []eventlog.DiskState
		for range 2 {
			disk.leave(8 << 10)
			reserved := 0
			for ; s.State() != eventlog.DiskAway; reserved++ {
				write()
				if s.Full() && log.SaveSnapshot(log.Last(), nil) == nil {
					t.Fatal("a snapshot takes of the reserve")
				}
			}
			if reserved < 100 {
				t.Errorf("%d appends fit into the reserve", reserved)
			}
			for range 500 {
				write()
			}
			if s.Settled(t.Context()) {
				t.Error("it says that all is on the disk")
			}
			want = append(want, eventlog.DiskFull, eventlog.DiskAway)
			told.Want(t, want...)
			disk.leave(all / 2)
			time.Sleep(2 * eventlog.LookEvery)
			want = append(want, eventlog.DiskFine)
			told.Want(t, want...)
			if _, last, _ := below.Marks(); last.Seq != log.Last() || !s.Settled(t.Context()) {
				t.Errorf("the disk has %d of %d events", last.Seq, log.Last())
			}
			if !disk.holds() {
				t.Error("nothing is kept free again")
			}
		}
		write()
		if err := log.SaveSnapshot(log.Last(), nil); err != nil {
			t.Error(err)
		}
		if n, err := log.Verify(t.Context()); err != nil || n != log.Last() {
			t.Errorf("%d events are sound: %v", n, err)
		}
	})
}

// If there never was room for a reserve, the log works without one, and says so.
func TestSteady_NoReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told storetest.Told
		s := openSteady(t, eventlog.NewMemory(), &tight{reserve: 1}, told.Tell)
		told.Want(t, eventlog.DiskFull)
		log := storetest.Open(t, s)
		storetest.Fill(t, log, 3)
		if !s.Settled(t.Context()) {
			t.Error("it is not on the disk")
		}
	})
}

// However the disk fails, hangs and comes back, no append waits longer than the music may, no event is lost
// or out of order, and events in memory are read as if they were on the disk.
func TestSteady_Weather(t *testing.T) {
	broken := errors.New("input/output error")
	for name, weather := range map[string]func(*storetest.Sick, chan struct{}){
		"fails":             func(d *storetest.Sick, _ chan struct{}) { d.Fail(broken, false) },
		"keeps and denies":  func(d *storetest.Sick, _ chan struct{}) { d.Fail(broken, true) },
		"hangs":             func(d *storetest.Sick, gate chan struct{}) { d.Hang(gate) },
		"hangs, then fails": func(d *storetest.Sick, gate chan struct{}) { d.Fail(broken, false); d.Hang(gate) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				below := eventlog.NewMemory()
				disk := &storetest.Sick{Store: below}
				var told storetest.Told
				s := openSteady(t, disk, nil, told.Tell)
				log := storetest.Open(t, s)
				storetest.Fill(t, log, 10)
				gate := make(chan struct{})
				weather(disk, gate)
				began := time.Now()
				storetest.Fill(t, log, 2000)
				if waited := time.Since(began); waited > eventlog.DiskPatience {
					t.Errorf("appends waited %v", waited)
				}
				if got := storetest.Collect(t, log, 0); len(got) != 2010 {
					t.Errorf("%d events can be read", len(got))
				}
				time.Sleep(2 * eventlog.SlowAfter)
				told.Want(t, eventlog.DiskAway)
				if began := time.Now(); s.Settled(t.Context()) || time.Since(began) > 0 {
					t.Error("it is said to be on the disk, or waited for")
				}
				disk.Hang(nil)
				close(gate)
				synctest.Wait()
				disk.Fail(nil, false)
				storetest.Fill(t, log, 100)
				time.Sleep(2 * eventlog.LookEvery)
				told.Want(t, eventlog.DiskAway, eventlog.DiskFine)
				if _, last, _ := below.Marks(); last.Seq != 2110 || !s.Settled(t.Context()) {
					t.Errorf("the disk has %d events", last.Seq)
				}
				if n, err := log.Verify(t.Context()); n != 2110 || err != nil {
					t.Errorf("%d events are sound: %v", n, err)
				}
			})
		})
	}
}

// If a disk never comes back, the memory for its events stays bounded, and Close returns and says what is
// lost.
func TestSteady_Never(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			disk := &storetest.Sick{Store: eventlog.NewMemory()}
			gate := make(chan struct{})
			if hangs {
				disk.Hang(gate)
			} else {
				disk.Fail(storetest.ErrFull, false)
			}
			s := openSteady(t, disk, nil, nil)
			defer func() {
				close(gate)
				<-s.Done()
			}()
			log := storetest.Open(t, s)
			storetest.Fill(t, log, 1)
			time.Sleep(2 * eventlog.SlowAfter)
			var err error
			for long := string(make([]byte, 1<<20)); err == nil; {
				if short := s.Short(); short != (s.InMemory() > eventlog.MaxOwed/2) {
					t.Errorf("short: %v with %d bytes", short, s.InMemory())
				}
				_, err = log.Append(eventlog.Any, "a", nil, storetest.Queued(long))
			}
			if !errors.Is(err, eventlog.ErrFull) || s.InMemory() < eventlog.MaxOwed/2 || s.InMemory() > eventlog.MaxOwed {
				t.Errorf("%v with %d bytes in memory", err, s.InMemory())
			}
			began := time.Now()
			if err := log.Close(); err == nil || time.Since(began) > eventlog.LastPatience {
				t.Errorf("closed after %v: %v", time.Since(began), err)
			}
		})
	}
}

// A keeper whose log was taken by another does not decide again and again.
func TestSteady_LostByAKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below, lost := eventlog.NewMemory(), error(nil)
		s, err := eventlog.OpenSteady(below, eventlog.SteadyConfig{Tell: func(eventlog.DiskState, error) {}, Lost: func(why error) { lost = why }})
		if err != nil {
			t.Fatal(err)
		}
		log, err := eventlog.Open(s, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		keeper, err := eventlog.NewKeeper(log, "queue", storetest.Queue{})
		if err != nil {
			t.Fatal(err)
		}
		if err := below.Append(0, storetest.Rows(eventlog.Mark{}, 1)); err != nil { // the other
			t.Fatal(err)
		}
		if _, err := keeper.Commit(&messages.RequestPlay{RequestId: "1", Wish: "bach"}); !errors.Is(err, eventlog.ErrFenced) {
			t.Errorf("commit: %v", err)
		}
		if !errors.Is(lost, eventlog.ErrConflict) {
			t.Errorf("the server is told %v", lost)
		}
		_ = log.Close()
	})
}

// Another has written to the log. What waits in memory is given up: it is neither written behind the other's events nor
// acknowledged, and nothing is taken any more.
func TestSteady_Lost(t *testing.T) {
	for name, taken := range map[string]error{"conflict": eventlog.ErrConflict, "fenced": eventlog.ErrFenced} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				below := eventlog.NewMemory()
				disk := &storetest.Sick{Store: below}
				lost, told := 0, false
				s, err := eventlog.OpenSteady(disk, eventlog.SteadyConfig{
					Tell: func(_ eventlog.DiskState, why error) { told = told || errors.Is(why, taken) }, Lost: func(error) { lost++ },
				})
				if err != nil {
					t.Fatal(err)
				}
				rows := storetest.Rows(eventlog.Mark{}, 6)
				if err := s.Append(0, rows[:2]); err != nil {
					t.Fatal(err)
				}
				gate := make(chan struct{})
				disk.Hang(gate)
				if err := s.Append(2, rows[2:4]); err != nil {
					t.Fatalf("an append that waits for the disk: %v", err)
				}
				disk.Fail(taken, false)
				close(gate)
				synctest.Wait()
				if s.Settled(t.Context()) || !s.Full() {
					t.Error("promises can be made")
				}
				disk.Fail(nil, false) // the other's last event may even have the same number
				for range 2 {
					time.Sleep(time.Minute)
					if err := s.Append(4, rows[4:]); !errors.Is(err, eventlog.ErrFenced) || errors.Is(err, eventlog.ErrConflict) || !strings.Contains(err.Error(), taken.Error()) {
						t.Errorf("append: %v", err)
					}
					if err := s.Keep("snapshot", nil); !errors.Is(err, eventlog.ErrFenced) || errors.Is(err, eventlog.ErrFull) {
						t.Errorf("keep: %v", err)
					}
				}
				if _, last, err := below.Marks(); err != nil || last.Seq != 2 || lost != 1 {
					t.Errorf("the disk is at %v, %v; told %d times", last, err, lost)
				}
				if told {
					t.Error("it says that the disk is bad, too")
				}
				if err := s.Close(); err == nil {
					t.Error("nobody is told what was given up")
				}
			})
		})
	}
}
