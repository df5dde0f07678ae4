package eventlog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
)

// stores makes one of each kind; every later kind of store joins here. reopen
// gives the same rows again after a Close, nil if they are gone with it.
var stores = map[string]func(t testing.TB) (store Store, reopen func() Store){
	"memory": func(testing.TB) (Store, func() Store) { return NewMemory(), nil },
	"sqlite": func(t testing.TB) (Store, func() Store) {
		dir := t.TempDir()
		again := func() Store { return openSQLite(t, dir) }
		return again(), again
	},
}

func openSQLite(t testing.TB, dir string) Store {
	t.Helper()
	store, err := OpenSQLite(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// rows returns n chained rows behind m.
func rows(m Mark, n int) []Row {
	all := make([]Row, n)
	for i := range all {
		r := &all[i]
		*r = Row{Seq: m.Seq + 1, Time: m.Time + 1, Actor: "scheduler", Type: "SongQueued", Version: 1, Data: []byte{}, Cause: []byte{}}
		if i == 0 {
			r.Of, r.CauseType, r.Cause = n, "RequestPlay", []byte("\x22\x01x")
		}
		if i%2 == 0 {
			r.Data = []byte("\x22\x01" + string(rune('a'+m.Seq%26)))
		}
		r.Hash, _ = chain(m.Hash, r, nil)
		m = r.mark()
	}
	return all
}

// same tells no message from an empty one: a store may do as it likes.
func same(a, b []Row) bool {
	return slices.EqualFunc(a, b, func(a, b Row) bool { return fmt.Sprint(a) == fmt.Sprint(b) })
}

func TestStore_Contract(t *testing.T) {
	for name, make := range stores {
		t.Run(name, func(t *testing.T) { contract(t, make) })
	}
}

func contract(t *testing.T, make func(testing.TB) (Store, func() Store)) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	read := func(s Store, after uint64, limit int) []Row {
		t.Helper()
		got, err := s.Read(after, limit, Whole)
		must(err)
		return got
	}
	marks := func(s Store, base, last uint64) {
		t.Helper()
		b, l, err := s.Marks()
		must(err)
		if b.Seq != base || l.Seq != last {
			t.Fatalf("marks are %d and %d, want %d and %d", b.Seq, l.Seq, base, last)
		}
	}
	ten := rows(Mark{}, 10)

	t.Run("empty", func(t *testing.T) {
		s, _ := make(t)
		marks(s, 0, 0)
		if got := read(s, 0, 5); len(got) != 0 {
			t.Errorf("read %v", got)
		}
		must(s.Check(t.Context()))
	})
	t.Run("append and read", func(t *testing.T) {
		s, reopen := make(t)
		must(s.Append(0, ten[:3]))
		must(s.Append(3, ten[3:]))
		for range 2 {
			marks(s, 0, 10)
			if got := read(s, 0, 100); !same(got, ten) {
				t.Errorf("read %v\nwant %v", got, ten)
			}
			if got := read(s, 4, 2); !same(got, ten[4:6]) {
				t.Errorf("read %v\nwant %v", got, ten[4:6])
			}
			if got := read(s, 10, 2); len(got) != 0 {
				t.Errorf("behind the end is %v", got)
			}
			if got := read(s, 1<<63, 2); len(got) != 0 {
				t.Errorf("far behind the end is %v", got)
			}
			must(s.Check(t.Context()))
			if reopen == nil {
				return
			}
			must(s.Close())
			s = reopen()
		}
	})
	t.Run("event only", func(t *testing.T) {
		s, _ := make(t)
		must(s.Append(0, ten))
		got, err := s.Read(2, 3, EventOnly)
		must(err)
		if len(got) != 3 {
			t.Fatalf("read %d rows", len(got))
		}
		for i, r := range got {
			w := ten[2+i]
			if r.Seq != w.Seq || r.Type != w.Type || r.Version != w.Version || !bytes.Equal(r.Data, w.Data) {
				t.Errorf("read %v, want the event of %v", r, w)
			}
		}
	})
	t.Run("conflict keeps nothing", func(t *testing.T) {
		s, _ := make(t)
		must(s.Append(0, ten[:3]))
		for _, expected := range []uint64{0, 2, 4, 1 << 40} {
			if err := s.Append(expected, ten[3:]); !errors.Is(err, ErrConflict) {
				t.Errorf("expected %d: %v, want ErrConflict", expected, err)
			}
		}
		marks(s, 0, 3)
		must(s.Append(3, ten[3:]))
	})
	t.Run("one of many wins", func(t *testing.T) {
		s, _ := make(t)
		var wg sync.WaitGroup
		won := [8]bool{}
		for i := range won {
			wg.Go(func() { won[i] = s.Append(0, ten[:2]) == nil })
		}
		wg.Wait()
		n := 0
		for _, w := range won {
			if w {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d appends behind 0 succeeded", n)
		}
		marks(s, 0, 2)
	})
	t.Run("drop", func(t *testing.T) {
		s, reopen := make(t)
		must(s.Append(0, ten))
		if s.Drop(Mark{Seq: 11}, nil) == nil {
			t.Error("dropped what is not there")
		}
		must(s.Drop(ten[3].mark(), []byte("states")))
		if s.Drop(ten[3].mark(), nil) == nil || s.Drop(Mark{}, nil) == nil {
			t.Error("dropped what was dropped")
		}
		for range 2 {
			marks(s, 4, 10)
			if got := read(s, 0, 100); !same(got, ten[4:]) {
				t.Errorf("read %v\nwant %v", got, ten[4:])
			}
			data, err := s.Kept("base")
			if must(err); string(data) != "states" {
				t.Errorf("kept %q", data)
			}
			if reopen == nil {
				break
			}
			must(s.Close())
			s = reopen()
		}
		must(s.Drop(ten[9].mark(), nil))
		marks(s, 10, 10)
		must(s.Append(10, rows(ten[9].mark(), 2)))
		marks(s, 10, 12)
	})
	t.Run("kept data", func(t *testing.T) {
		s, _ := make(t)
		if data, err := s.Kept("snapshot"); data != nil || err != nil {
			t.Errorf("kept %q, %v", data, err)
		}
		for n := range 3 {
			want := bytes.Repeat([]byte{byte(n)}, 10000)
			must(s.Keep("snapshot", want))
			got, err := s.Kept("snapshot")
			if must(err); !bytes.Equal(got, want) {
				t.Errorf("kept %d bytes, not what was given", len(got))
			}
		}
	})
	t.Run("size", func(t *testing.T) {
		s, _ := make(t)
		size := func() int64 {
			n, err := s.Size()
			must(err)
			return n
		}
		empty := size()
		many := rows(Mark{}, 1000)
		for i := range many {
			many[i].Data = bytes.Repeat([]byte("x"), 1000)
		}
		must(s.Append(0, many))
		full := size()
		if full < empty+1000*1000 || full > empty+3*1000*1000 {
			t.Errorf("%d bytes, %d with a megabyte in them", empty, full)
		}
		must(s.Drop(many[899].mark(), nil))
		if left := size(); left > empty+(full-empty)/4 {
			t.Errorf("%d bytes, %d when nine tenths are dropped", full, left)
		}
	})
	t.Run("closed", func(t *testing.T) {
		s, _ := make(t)
		must(s.Close())
		must(s.Close())
		_, readErr := s.Read(0, 1, Whole)
		_, _, marksErr := s.Marks()
		_, keptErr := s.Kept("x")
		for i, err := range []error{s.Append(0, ten), readErr, marksErr, keptErr, s.Keep("x", nil)} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("call %d: %v, want ErrClosed", i, err)
			}
		}
	})
	t.Run("a large row", func(t *testing.T) {
		s, _ := make(t)
		large := rows(Mark{}, 1)
		large[0].Data = bytes.Repeat([]byte("conga"), 1<<20)
		must(s.Append(0, large))
		if got := read(s, 0, 1); !same(got, large) {
			t.Error("the large row came back changed")
		}
	})
	t.Run("any bytes", func(t *testing.T) {
		s, _ := make(t)
		odd := rows(Mark{}, 1)
		odd[0].Actor = "a\x00'\"\n☃"
		must(s.Append(0, odd))
		if got := read(s, 0, 1); !same(got, odd) {
			t.Errorf("read %q", fmt.Sprint(got))
		}
	})
}
