package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"conga/actors/eventlog"
)

// Make returns an empty store. reopen opens it again after a Close, with the same rows; it is nil if they
// do not survive Close.
type Make func(t testing.TB) (store eventlog.Store, reopen func() eventlog.Store)

// Contract tests that a store keeps the promises of eventlog.Store.
func Contract(t *testing.T, make Make) {
	for _, promise := range []struct {
		name string
		test func(*contract, eventlog.Store, func() eventlog.Store)
	}{
		{"empty", (*contract).empty},
		{"append and read", (*contract).appendAndRead},
		{"event only", (*contract).eventOnly},
		{"conflict keeps nothing", (*contract).conflict},
		{"one of many wins", (*contract).oneWins},
		{"drop", (*contract).drop},
		{"drop ahead", (*contract).dropAhead},
		{"kept data", (*contract).keptData},
		{"size", (*contract).size},
		{"closed", (*contract).closed},
		{"a large row", (*contract).largeRow},
		{"any bytes", (*contract).anyBytes},
	} {
		t.Run(promise.name, func(t *testing.T) {
			store, reopen := make(t)
			promise.test(&contract{t}, store, reopen)
		})
	}
}

type contract struct{ *testing.T }

// Rows returns n rows behind m, as one commit.
func Rows(m eventlog.Mark, n int) []eventlog.Row {
	all := make([]eventlog.Row, n)
	for i := range all {
		r := &all[i]
		*r = eventlog.Row{Seq: m.Seq + 1, Time: m.Time + 1, Actor: "scheduler", Type: "SongQueued", Version: 1, Data: []byte{}, Cause: []byte{}}
		if i == 0 {
			r.Of, r.CauseType, r.Cause = n, "RequestPlay", []byte("\x22\x01x")
		}
		if i%2 == 0 {
			r.Data = []byte("\x22\x01" + string(rune('a'+m.Seq%26)))
		}
		r.Hash, _ = eventlog.HashOf(m.Hash, r, nil)
		m = r.Mark()
	}
	return all
}

func (c *contract) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *contract) read(s eventlog.Store, after uint64, limit int) []eventlog.Row {
	c.Helper()
	got, err := s.Read(after, limit, eventlog.Whole)
	c.must(err)
	return got
}

// reads takes nil and empty data as equal: a store may return either.
func (c *contract) reads(s eventlog.Store, after uint64, limit int, want []eventlog.Row) {
	c.Helper()
	got := c.read(s, after, limit)
	if !slices.EqualFunc(got, want, func(a, b eventlog.Row) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		c.Errorf("behind %d it reads %v\nwant %v", after, got, want)
	}
}

func (c *contract) marks(s eventlog.Store, base, last uint64) {
	c.Helper()
	b, l, err := s.Marks()
	c.must(err)
	if b.Seq != base || l.Seq != last {
		c.Fatalf("marks are %d and %d, want %d and %d", b.Seq, l.Seq, base, last)
	}
}

// twice runs check, and again after Close and reopen. It returns the store that is then open.
func (c *contract) twice(s eventlog.Store, reopen func() eventlog.Store, check func(eventlog.Store)) eventlog.Store {
	c.Helper()
	check(s)
	if reopen == nil {
		return s
	}
	c.must(s.Close())
	s = reopen()
	check(s)
	return s
}

func (c *contract) empty(s eventlog.Store, _ func() eventlog.Store) {
	c.marks(s, 0, 0)
	c.reads(s, 0, 5, nil)
	c.must(s.Check(c.Context()))
}

func (c *contract) appendAndRead(s eventlog.Store, reopen func() eventlog.Store) {
	ten := Rows(eventlog.Mark{}, 10)
	c.must(s.Append(0, ten[:3]))
	c.must(s.Append(3, ten[3:]))
	c.twice(s, reopen, func(s eventlog.Store) {
		c.marks(s, 0, 10)
		c.reads(s, 0, 100, ten)
		c.reads(s, 4, 2, ten[4:6])
		c.reads(s, 10, 2, nil)
		c.reads(s, 1<<63, 2, nil)
		c.must(s.Check(c.Context()))
	})
}

func (c *contract) eventOnly(s eventlog.Store, _ func() eventlog.Store) {
	ten := Rows(eventlog.Mark{}, 10)
	c.must(s.Append(0, ten))
	got, err := s.Read(2, 3, eventlog.EventOnly)
	c.must(err)
	if len(got) != 3 {
		c.Fatalf("read %d rows", len(got))
	}
	for i, r := range got {
		w := ten[2+i]
		if r.Seq != w.Seq || r.Type != w.Type || r.Version != w.Version || !bytes.Equal(r.Data, w.Data) {
			c.Errorf("read %v, want the event of %v", r, w)
		}
	}
}

func (c *contract) conflict(s eventlog.Store, _ func() eventlog.Store) {
	ten := Rows(eventlog.Mark{}, 10)
	c.must(s.Append(0, ten[:3]))
	for _, expected := range []uint64{0, 2, 4, 1 << 40} {
		if err := s.Append(expected, ten[3:]); !errors.Is(err, eventlog.ErrConflict) {
			c.Errorf("expected %d: %v, want ErrConflict", expected, err)
		}
	}
	c.marks(s, 0, 3)
	c.must(s.Append(3, ten[3:]))
}

func (c *contract) oneWins(s eventlog.Store, _ func() eventlog.Store) {
	two := Rows(eventlog.Mark{}, 2)
	var wg sync.WaitGroup
	won := [8]bool{}
	for i := range won {
		wg.Go(func() { won[i] = s.Append(0, two) == nil })
	}
	wg.Wait()
	n := 0
	for _, w := range won {
		if w {
			n++
		}
	}
	if n != 1 {
		c.Errorf("%d appends behind 0 succeeded", n)
	}
	c.marks(s, 0, 2)
}

func (c *contract) drop(s eventlog.Store, reopen func() eventlog.Store) {
	ten := Rows(eventlog.Mark{}, 10)
	c.must(s.Append(0, ten))
	c.must(s.Drop(ten[3].Mark(), []byte("states")))
	if s.Drop(ten[3].Mark(), nil) == nil || s.Drop(eventlog.Mark{}, nil) == nil {
		c.Error("dropped what was dropped")
	}
	s = c.twice(s, reopen, func(s eventlog.Store) {
		c.marks(s, 4, 10)
		c.reads(s, 0, 100, ten[4:])
		data, err := s.Kept("base")
		if c.must(err); string(data) != "states" {
			c.Errorf("kept %q", data)
		}
	})
	c.must(s.Drop(ten[9].Mark(), nil))
	c.marks(s, 10, 10)
	c.must(s.Append(10, Rows(ten[9].Mark(), 2)))
	c.marks(s, 10, 12)
}

// dropAhead drops events that the store never had.
func (c *contract) dropAhead(s eventlog.Store, reopen func() eventlog.Store) {
	rows := Rows(eventlog.Mark{}, 20)
	c.must(s.Append(0, rows[:10]))
	c.must(s.Drop(rows[14].Mark(), []byte("states")))
	s = c.twice(s, reopen, func(s eventlog.Store) {
		c.marks(s, 15, 15)
		c.reads(s, 0, 100, nil)
	})
	c.must(s.Append(15, rows[15:]))
	c.twice(s, reopen, func(s eventlog.Store) {
		c.marks(s, 15, 20)
		c.reads(s, 0, 100, rows[15:])
	})
}

func (c *contract) keptData(s eventlog.Store, _ func() eventlog.Store) {
	if data, err := s.Kept("snapshot"); data != nil || err != nil {
		c.Errorf("kept %q, %v", data, err)
	}
	for n := range 3 {
		want := bytes.Repeat([]byte{byte(n)}, 10000)
		c.must(s.Keep("snapshot", want))
		got, err := s.Kept("snapshot")
		if c.must(err); !bytes.Equal(got, want) {
			c.Errorf("kept %d bytes, not what was given", len(got))
		}
	}
}

func (c *contract) size(s eventlog.Store, _ func() eventlog.Store) {
	size := func() int64 {
		n, err := s.Size()
		c.must(err)
		return n
	}
	empty := size()
	many := Rows(eventlog.Mark{}, 1000)
	for i := range many {
		many[i].Data = bytes.Repeat([]byte("x"), 1000)
	}
	c.must(s.Append(0, many))
	full := size()
	if full < empty+1000*1000 || full > empty+3*1000*1000 {
		c.Errorf("%d bytes, %d with a megabyte in them", empty, full)
	}
	c.must(s.Drop(many[899].Mark(), nil))
	if left := size(); left > empty+(full-empty)/4 {
		c.Errorf("%d bytes, %d when nine tenths are dropped", full, left)
	}
}

func (c *contract) closed(s eventlog.Store, _ func() eventlog.Store) {
	c.must(s.Close())
	c.must(s.Close())
	_, readErr := s.Read(0, 1, eventlog.Whole)
	_, _, marksErr := s.Marks()
	_, keptErr := s.Kept("x")
	for i, err := range []error{s.Append(0, Rows(eventlog.Mark{}, 1)), readErr, marksErr, keptErr, s.Keep("x", nil)} {
		if !errors.Is(err, eventlog.ErrClosed) {
			c.Errorf("call %d: %v, want ErrClosed", i, err)
		}
	}
}

func (c *contract) largeRow(s eventlog.Store, _ func() eventlog.Store) {
	large := Rows(eventlog.Mark{}, 1)
	large[0].Data = bytes.Repeat([]byte("conga"), 1<<20)
	c.must(s.Append(0, large))
	if got := c.read(s, 0, 1); len(got) != 1 || !bytes.Equal(got[0].Data, large[0].Data) {
		c.Error("the large row came back changed")
	}
}

func (c *contract) anyBytes(s eventlog.Store, _ func() eventlog.Store) {
	odd := Rows(eventlog.Mark{}, 1)
	odd[0].Actor = "a\x00'\"\n☃"
	c.must(s.Append(0, odd))
	c.reads(s, 0, 1, odd)
}
