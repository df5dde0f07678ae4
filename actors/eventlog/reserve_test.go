package eventlog

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

// tight is a store on a disk that it shares with the reserve and with others: what is kept,
// the reserve's file and theirs must fit into all.
type tight struct {
	Store
	dir    string
	all    int64
	others int64
	kept   int64
}

func (s *tight) used() int64 {
	reserve := int64(0)
	if info, err := os.Stat(filepath.Join(s.dir, reserveName)); err == nil {
		reserve = info.Size()
	}
	return s.kept + s.others + reserve
}

func (s *tight) Append(expected uint64, rows []Row) error {
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

// A disk fills up while the log is written: no append fails until the reserve is used up.
// Meanwhile the store says that it is full and keeps no snapshots; when there is room, all is
// as before.
func TestReserve(t *testing.T) {
	const size, others = 64 << 10, 1 << 20
	dir := t.TempDir()
	disk := &tight{Store: NewMemory(), dir: dir, all: others + size + 8<<10}
	synctest.Test(t, func(t *testing.T) {
		told := make(chan bool, 10)
		r := OpenReserve(disk, dir, size, func(full bool) { told <- full })
		log, err := Open(r, testClock())
		if err != nil {
			t.Fatal(err)
		}
		write := func() error {
			_, err := log.Append(Any, "pacer", nil, &messages.SongStarted{Song: &messages.Song{Name: "bach.mp3"}})
			return err
		}
		if err := write(); err != nil || r.Full() {
			t.Fatalf("with room: %v, full: %v", err, r.Full())
		}
		disk.others = others
		n := 0
		for ; write() == nil; n++ {
			if r.Full() && log.SaveSnapshot(log.Last(), nil) == nil {
				t.Fatal("a snapshot takes of the reserve")
			}
		}
		if err := write(); !errors.Is(err, ErrFull) || !r.Full() || len(told) != 1 {
			t.Errorf("without: %v, full: %v, told %d times", err, r.Full(), len(told))
		}
		if n < 100 {
			t.Errorf("%d appends fit into the reserve", n)
		}
		disk.others = 0
		time.Sleep(roomAgain + time.Second)
		synctest.Wait()
		if r.Full() || len(told) != 2 {
			t.Errorf("with room again: full %v, told %d times", r.Full(), len(told))
		}
		if err := errors.Join(write(), log.SaveSnapshot(log.Last(), nil)); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(filepath.Join(dir, reserveName)); err != nil || info.Size() != size {
			t.Errorf("the reserve: %v", err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Where there never was room for a reserve, the log works without one, and says so.
func TestReserve_None(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := false
		r := OpenReserve(NewMemory(), filepath.Join(t.TempDir(), "none"), 1, func(is bool) { full = is })
		if !full || !r.Full() {
			t.Error("it has a reserve")
		}
		if err := r.Append(0, nil); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}
