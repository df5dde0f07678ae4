// Package storetest is for tests of logs and stores. It has the contract that every store must keep, a store
// that can be made to fail, and two deciders over real messages.
package storetest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors/eventlog"
	"conga/messages"
)

// Clock returns a clock that starts on a fixed day and advances a millisecond with each call.
func Clock() func() time.Time {
	var ticks atomic.Int64
	return func() time.Time {
		return time.Date(2026, 11, 22, 10, 11, 12, 0, time.UTC).Add(time.Duration(ticks.Add(1)) * time.Millisecond)
	}
}

// Open opens a log on store and closes it with the test.
func Open(t testing.TB, store eventlog.Store) *eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(store, Clock())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

// Queued returns an event.
func Queued(song string) *messages.SongQueued { return &messages.SongQueued{Song: song} }

// Fill appends n events, a hundred to a commit.
func Fill(t testing.TB, log *eventlog.Log, n int) {
	t.Helper()
	for done := 0; done < n; {
		var events []proto.Message
		for range min(100, n-done) {
			done++
			events = append(events, Queued(fmt.Sprintf("song %d.mp3", done)))
		}
		if _, err := log.Append(log.Last(), "scheduler", &messages.RequestPlay{Wish: "x"}, events...); err != nil {
			t.Fatal(err)
		}
	}
}

// Collect returns the records behind seq.
func Collect(t testing.TB, log *eventlog.Log, seq uint64) []eventlog.Record {
	t.Helper()
	var all []eventlog.Record
	for r, err := range log.Since(seq) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// Keeper returns a keeper that begins with empty; its actor's name is empty's type.
func Keeper[S eventlog.Decider[S]](t testing.TB, log *eventlog.Log, empty S) *eventlog.Keeper[S] {
	t.Helper()
	k, err := eventlog.NewKeeper(log, fmt.Sprintf("%T", empty), empty)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Counted is a store that counts the rows that are read.
type Counted struct {
	eventlog.Store
	Rows atomic.Int64
}

// Read is eventlog.Store's.
func (c *Counted) Read(after uint64, limit int, part eventlog.Part) ([]eventlog.Row, error) {
	rows, err := c.Store.Read(after, limit, part)
	c.Rows.Add(int64(len(rows)))
	return rows, err
}
