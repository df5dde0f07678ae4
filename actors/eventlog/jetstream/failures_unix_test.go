//go:build unix

package jetstream

import (
	"bytes"
	"errors"
	"flag"
	"slices"
	"testing"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/natstest"
	"conga/actors/eventlog/storetest"
)

var kills = flag.Int("nats.kills", 1, "how often the stream's leader is killed")

// writer appends commits, one after the other, as an eventlog.Log does, until it is told to stop.
type writer struct {
	acknowledged []eventlog.Row
	wrote        chan struct{} // has room for one
	longest      time.Duration // that an append took
	failed, kept int           // appends without an answer, and how many of them were kept
	lost         chan struct{} // has room for one: an append had no answer; may be nil
	done         chan struct{}
}

// awaits waits for n of them, unless the writer has ended.
func (w *writer) awaits(n int, of <-chan struct{}) {
	for range n {
		select {
		case <-of:
		case <-w.done:
		}
	}
}

func (w *writer) write(t *testing.T, s *Store, stop <-chan struct{}) {
	defer close(w.done)
	at := eventlog.Mark{}
	for n := 1; ; n = n%3 + 1 {
		select {
		case <-stop:
			return
		default:
		}
		rows := storetest.Rows(at, n)
		begun := time.Now()
		err := s.Append(at.Seq, rows)
		w.longest = max(w.longest, time.Since(begun))
		if err != nil {
			w.failed++
			select {
			case w.lost <- struct{}{}:
			default:
			}
			if errors.Is(err, eventlog.ErrConflict) {
				t.Errorf("behind %d: %v", at.Seq, err)
				return
			}
			_, last, err := s.Marks()
			for err != nil {
				_, last, err = s.Marks()
			}
			switch {
			case last.Seq == at.Seq:
				continue // it was not kept
			case last.Seq != rows[n-1].Seq || !bytes.Equal(last.Hash, rows[n-1].Hash):
				t.Errorf("behind %d the log is at %d", at.Seq, last.Seq)
				return
			}
			w.kept++
		}
		w.acknowledged = append(w.acknowledged, rows...)
		select {
		case w.wrote <- struct{}{}:
		default:
		}
		at = rows[n-1].Mark()
	}
}

// has fails the test unless the log has these rows and no others.
func has(t *testing.T, cfg Config, want []eventlog.Row) {
	t.Helper()
	s, err := OpenReader(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Read(0, len(want)+10, eventlog.Whole)
	same := func(a, b eventlog.Row) bool { return a.Seq == b.Seq && bytes.Equal(a.Hash, b.Hash) }
	if err != nil || !slices.EqualFunc(got, want, same) {
		t.Errorf("%d events were acknowledged, the log has %d (%v)", len(want), len(got), err)
	}
	log, err := eventlog.Open(s, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := log.Verify(t.Context()); err != nil || n != uint64(len(want)) {
		t.Errorf("%d are sound: %v", n, err)
	}
}

// While events are appended, the server that leads the stream is killed. No acknowledged event is lost, and none is there twice.
func TestStore_LeaderKilled(t *testing.T) {
	t.Parallel()
	servers := natstest.Start(t, 3)
	cfg := Config{URL: servers.URL(), Radio: radio()}
	s := open(t, cfg)
	w := writer{wrote: make(chan struct{}, 1), done: make(chan struct{})}
	stop := make(chan struct{})
	go w.write(t, s, stop)
	for range *kills {
		leader := servers.Leader(s.names.stream)
		w.awaits(20, w.wrote)
		begun := time.Now()
		leader.Kill()
		next := servers.Leader(s.names.stream)
		t.Logf("%s leads instead of %s after %v", next.Name, leader.Name, time.Since(begun).Round(time.Millisecond))
		if next == leader {
			t.Error("a dead server leads")
		}
		leader.Start()
		servers.Whole(s.names.stream)
	}
	close(stop)
	<-w.done
	t.Logf("%d events, an append took at most %v, %d had no answer", len(w.acknowledged), w.longest.Round(time.Millisecond), w.failed)
	has(t, cfg, w.acknowledged)
}

// The leader stands still now and then for longer than an append may take, and goes on. What had no answer is in the log once or
// not at all, as Marks says, and never comes later.
func TestStore_Unsure(t *testing.T) {
	t.Parallel()
	servers := natstest.Start(t, 3)
	cfg := Config{URL: servers.URL(), Radio: radio()}
	s := open(t, cfg)
	s.try, s.tries = 50*time.Millisecond, 150*time.Millisecond
	w := writer{wrote: make(chan struct{}, 1), lost: make(chan struct{}, 1), done: make(chan struct{})}
	stop := make(chan struct{})
	go w.write(t, s, stop)
	for range 5 {
		leader := servers.Leader(s.names.stream)
		w.awaits(5, w.wrote)
		select {
		case <-w.lost: // before
		default:
		}
		leader.Freeze()
		w.awaits(1, w.lost)
		leader.Thaw()
	}
	w.awaits(1, w.wrote)
	close(stop)
	<-w.done
	t.Logf("%d events, %d appends had no answer, of which %d were kept", len(w.acknowledged), w.failed, w.kept)
	has(t, cfg, w.acknowledged)
}

// A server was frozen while events were appended, and is the only one that a reader knows. It gets all of them.
func TestStore_LaggingReplica(t *testing.T) {
	t.Parallel()
	servers := natstest.Start(t, 3)
	cfg := Config{URL: servers.URL(), Radio: radio()}
	s := open(t, cfg)
	rows := storetest.Rows(eventlog.Mark{}, 100)
	if err := s.Append(0, rows[:1]); err != nil {
		t.Fatal(err)
	}
	leader := servers.Leader(s.names.stream)
	behind := servers.Servers[0]
	if behind == leader {
		behind = servers.Servers[1]
	}
	behind.Freeze()
	for i := 1; i < len(rows); i++ {
		if err := s.Append(uint64(i), rows[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	behind.Thaw()
	leader.Kill()
	has(t, Config{URL: behind.URL, Radio: cfg.Radio}, rows)
}

// All servers are killed, and come back. Nothing is lost, and the same store writes on.
func TestStore_AllRestart(t *testing.T) {
	t.Parallel()
	servers := natstest.Start(t, 3)
	cfg := Config{URL: servers.URL(), Radio: radio()}
	s := open(t, cfg)
	rows := storetest.Rows(eventlog.Mark{}, 20)
	if err := s.Append(0, rows[:10]); err != nil {
		t.Fatal(err)
	}
	for _, one := range servers.Servers {
		one.Kill()
	}
	late := make(chan error)
	go func() { late <- s.Append(10, rows[10:]) }() // it waits for them
	for _, one := range servers.Servers {
		one.Start()
	}
	if err := <-late; err != nil {
		t.Error(err)
	}
	has(t, cfg, rows)
}
