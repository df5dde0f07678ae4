package eventlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

func init() {
	stores["steady"] = func(t testing.TB) (Store, func() Store) {
		dir := t.TempDir()
		again := func() Store { return openSteady(t, openSQLite(t, dir), dir, 1<<16, nil) }
		return again(), again
	}
}

func openSteady(t testing.TB, disk Store, dir string, reserve int64, tell func(DiskState, error)) *Steady {
	t.Helper()
	if tell == nil {
		tell = func(DiskState, error) {}
	}
	s, err := OpenSteady(disk, SteadyConfig{Dir: dir, Reserve: reserve, Tell: tell})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// states are what a Steady has told.
type states struct {
	mu   sync.Mutex
	told []DiskState
}

func (s *states) tell(state DiskState, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, state)
}

func (s *states) want(t *testing.T, want ...DiskState) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.told, want) {
		t.Errorf("told %v, want %v", s.told, want)
	}
}

// tight is a store on a disk that it shares with the reserve and with others: what is kept,
// the reserve's file and theirs must fit into all.
type tight struct {
	Store
	dir    string
	mu     sync.Mutex
	all    int64
	others int64
	kept   int64
}

// leave lets others take all of the disk but so much.
func (s *tight) leave(free int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others = 0
	s.others = s.all - s.used() - free
}

// used is what does not belong to others, and what does. The caller holds mu.
func (s *tight) used() int64 {
	used := s.kept + s.others
	if info, err := os.Stat(filepath.Join(s.dir, reserveName)); err == nil {
		used += info.Size()
	}
	return used
}

func (s *tight) Append(expected uint64, rows []Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := int64(0)
	for i := range rows {
		size += int64(rows[i].size())
	}
	if s.used()+size > s.all {
		return ErrFull
	}
	s.kept += size
	return s.Store.Append(expected, rows)
}

// A disk fills up while the log is written, twice. Appends go to the reserve, then into memory,
// and to the disk as soon as it has room; none fails. Meanwhile the store says that it is full and
// keeps no snapshots.
func TestSteady_Full(t *testing.T) {
	const size, all = 64 << 10, 1 << 30
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		below := NewMemory()
		disk := &tight{Store: below, dir: dir, all: all}
		var told states
		s := openSteady(t, disk, dir, size, told.tell)
		log := open(t, s)
		write := func() {
			t.Helper()
			if _, err := log.Append(Any, "pacer", nil, &messages.SongStarted{Song: &messages.Song{Name: "bach.mp3"}}); err != nil {
				t.Fatal(err)
			}
		}
		write()
		if s.Full() {
			t.Fatal("with room it is full")
		}
		var want []DiskState
		for range 2 {
			disk.leave(8 << 10)
			reserved := 0
			for ; s.State() != DiskAway; reserved++ {
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
			want = append(want, DiskFull, DiskAway)
			told.want(t, want...)
			disk.leave(all / 2)
			time.Sleep(2 * lookEvery)
			want = append(want, DiskFine)
			told.want(t, want...)
			if _, last, _ := below.Marks(); last.Seq != log.Last() || !s.Settled(t.Context()) {
				t.Errorf("the disk has %d of %d events", last.Seq, log.Last())
			}
			if info, err := os.Stat(filepath.Join(dir, reserveName)); err != nil || info.Size() != size {
				t.Errorf("the reserve: %v", err)
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

// Where there never was room for a reserve, the log works without one, and says so.
func TestSteady_NoReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told states
		s := openSteady(t, NewMemory(), filepath.Join(t.TempDir(), "none"), 1, told.tell)
		told.want(t, DiskFull)
		log := open(t, s)
		fill(t, log, 3)
		if !s.Settled(t.Context()) {
			t.Error("it is not on the disk")
		}
	})
}

// However the disk fails, hangs and comes back, no append waits longer than the music may, none
// is lost or out of its order, and what is in memory is read as if it were on the disk.
func TestSteady_Weather(t *testing.T) {
	broken := errors.New("input/output error")
	for name, weather := range map[string]func(*sick, chan struct{}){
		"fails":             func(d *sick, _ chan struct{}) { d.set(broken, false) },
		"keeps and denies":  func(d *sick, _ chan struct{}) { d.set(broken, true) },
		"hangs":             func(d *sick, gate chan struct{}) { d.hang(gate) },
		"hangs, then fails": func(d *sick, gate chan struct{}) { d.set(broken, false); d.hang(gate) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				below := NewMemory()
				disk := &sick{Store: below}
				var told states
				s := openSteady(t, disk, t.TempDir(), 1, told.tell)
				log := open(t, s)
				fill(t, log, 10)
				gate := make(chan struct{})
				weather(disk, gate)
				began := time.Now()
				fill(t, log, 2000)
				if waited := time.Since(began); waited > diskPatience {
					t.Errorf("appends waited %v", waited)
				}
				if got := collect(t, log, 0); len(got) != 2010 {
					t.Errorf("%d events can be read", len(got))
				}
				time.Sleep(2 * slowAfter)
				told.want(t, DiskAway)
				if began := time.Now(); s.Settled(t.Context()) || time.Since(began) > 0 {
					t.Error("it is said to be on the disk, or waited for")
				}
				disk.hang(nil)
				close(gate)
				synctest.Wait()
				disk.set(nil, false)
				fill(t, log, 100)
				time.Sleep(2 * lookEvery)
				told.want(t, DiskAway, DiskFine)
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

// A disk that never comes back bounds what is kept in memory, and holds up no end: what is lost is
// said.
func TestSteady_Never(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			disk := &sick{Store: NewMemory()}
			gate := make(chan struct{})
			if hangs {
				disk.hang(gate)
			} else {
				disk.set(errFull, false)
			}
			s := openSteady(t, disk, t.TempDir(), 1, nil)
			defer func() {
				close(gate)
				<-s.done
			}()
			log := open(t, s)
			fill(t, log, 1)
			time.Sleep(2 * slowAfter)
			var err error
			for long := string(make([]byte, 1<<20)); err == nil; {
				if short := s.Short(); short != (s.bytes > maxOwed/2) {
					t.Errorf("short: %v with %d bytes", short, s.bytes)
				}
				_, err = log.Append(Any, "a", nil, queued(long))
			}
			if !errors.Is(err, ErrFull) || s.bytes < maxOwed/2 || s.bytes > maxOwed {
				t.Errorf("%v with %d bytes in memory", err, s.bytes)
			}
			began := time.Now()
			if err := log.Close(); err == nil || time.Since(began) > lastPatience {
				t.Errorf("closed after %v: %v", time.Since(began), err)
			}
		})
	}
}

// Whatever becomes of the files while they are open: what is known is written again where it belongs,
// and the next process finds all of it. What lay in its place is kept beside it.
func TestSteady_FilesGone(t *testing.T) {
	name := func(dir, suffix string) string { return filepath.Join(dir, fileName+suffix) }
	for what, harm := range map[string]func(t *testing.T, dir string) (aside string){
		"all files": func(t *testing.T, dir string) string {
			return must(t, os.RemoveAll(dir))
		},
		"the log": func(t *testing.T, dir string) string {
			return must(t, os.Remove(name(dir, "")))
		},
		"its write-ahead log": func(t *testing.T, dir string) string {
			return must(t, os.Remove(name(dir, "-wal")))
		},
		"its sums":  func(t *testing.T, dir string) string { return must(t, os.Remove(name(dir, "-sums"))) },
		"its index": func(t *testing.T, dir string) string { return must(t, os.Remove(name(dir, "-shm"))) },
		"the lock": func(t *testing.T, dir string) string {
			return must(t, os.Remove(filepath.Join(dir, lockName)))
		},
		"renamed": func(t *testing.T, dir string) string {
			return must(t, os.Rename(name(dir, ""), name(dir, ".old")))
		},
		"the folder renamed": func(t *testing.T, dir string) string { return must(t, os.Rename(dir, dir+"2")) },
		"a copy restored": func(t *testing.T, dir string) string {
			other := t.TempDir()
			log := open(t, openSQLite(t, other))
			fill(t, log, 7)
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			must(t, os.Rename(name(other, ""), name(dir, "")))
			return name(dir, ".aside-1")
		},
		"an empty file": func(t *testing.T, dir string) string {
			must(t, os.Remove(name(dir, "")))
			must(t, os.WriteFile(name(dir, ""), nil, 0o644))
			return name(dir, ".aside-1")
		},
	} {
		for _, idle := range []bool{false, true} {
			t.Run(fmt.Sprint(what, ", idle ", idle), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "data")
				disk := openSQLite(t, dir)
				var told states
				s := openSteady(t, disk, dir, 1<<16, told.tell)
				log := open(t, s)
				fill(t, log, 1500)
				aside := harm(t, dir)
				if idle {
					s.look()
				}
				fill(t, log, 300)
				s.look()
				if log.Last() != 1800 || !s.Settled(t.Context()) {
					t.Errorf("event %d is the last; all are on the disk: %v", log.Last(), s.Settled(t.Context()))
				}
				told.want(t, DiskAway, DiskFine)
				if err := openAndVerify(copyLog(t, dir), false); err != nil {
					t.Errorf("as a crash would leave it: %v", err)
				}
				if _, err := OpenSQLite(dir); !errors.Is(err, ErrLocked) {
					t.Errorf("a second writer: %v", err)
				}
				if err := log.Close(); err != nil {
					t.Error(err)
				}
				again := open(t, openSQLite(t, dir))
				if n, err := again.Verify(t.Context()); n != 1800 || err != nil {
					t.Errorf("%d events are sound: %v", n, err)
				}
				if aside != "" {
					if _, err := os.Stat(aside); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

func must(t *testing.T, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return ""
}

// A log whose folder was renamed under a running server is opened by the next as it was then.
func TestSteady_FolderRenamed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := openSteady(t, openSQLite(t, dir), dir, 1<<16, nil)
	log := open(t, s)
	fill(t, log, 100)
	must(t, os.Rename(dir, dir+"2"))
	fill(t, log, 100)
	s.look()
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		dir  string
		want uint64
	}{{dir, 200}, {dir + "2", 100}} {
		log := open(t, openSQLite(t, c.dir))
		if n, err := log.Verify(t.Context()); n != c.want || err != nil {
			t.Errorf("%s has %d events: %v", c.dir, n, err)
		}
	}
}

// A crash between the new file and its name costs nothing.
func TestSQLite_TakesWhole(t *testing.T) {
	dir := t.TempDir()
	log := open(t, openSQLite(t, dir))
	fill(t, log, 50)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, fileName)
	must(t, os.Rename(path, path+wholeSuffix))
	must(t, os.WriteFile(path+"-wal", []byte("of the file before"), 0o644))
	if n, err := open(t, openSQLite(t, dir)).Verify(t.Context()); n != 50 || err != nil {
		t.Errorf("%d events: %v", n, err)
	}
}
