package eventlog

import (
	"bytes"
	"fmt"
	"math"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
)

// Any as Append's expected number puts the events behind whatever is last: for
// reports, which no later event can make untrue. A decision never uses it.
const Any = math.MaxUint64

const (
	// maxGroup bounds what shares one transaction, in events: its commit takes about
	// 50 ms then, and the next group is waiting already.
	maxGroup = 4096
	// maxWaiting bounds what waits for the disk, in events; further appenders block
	// until there is room.
	maxWaiting = 4 * maxGroup
	// maxCommit bounds the events of one Append: no library of songs is larger.
	maxCommit = 1 << 20
)

// Log is one ordered log over a Store. It is safe for concurrent use.
type Log struct {
	store Store
	now   func() time.Time

	mu      sync.Mutex
	base    Mark          // what was dropped
	head    Mark          // the last event that was admitted
	durable Mark          // the last event that is on disk
	waiting []*commit     // admitted, not on disk; in order
	writing bool          // a goroutine writes
	failed  uint64        // counts the failures: what stood on a failed event is void
	unsure  bool          // a failed append may be kept or not: look BEFORE the next
	moved   chan struct{} // closed and replaced when durable or failed changes
	tail    tail
	keep    uint64 // a ring's size; 0: no ring
	keeping []RingState
	closed  bool
	scratch []byte // for hashing
	wg      sync.WaitGroup

	proving sync.Mutex
	proven  uint64 // the events behind it were checked, or come from this Log
}

// commit is one Append on its way.
type commit struct {
	records []Record
	done    chan struct{}
	err     error // set BEFORE done is closed
}

// Open reads where store ends and checks its newest events; the Log owns store
// from now on and closes it. now is the clock that events are stamped with. A
// damaged store is ErrDamaged.
func Open(store Store, now func() time.Time) (*Log, error) {
	l, err := OpenDamaged(store, now)
	if err != nil {
		return nil, err
	}
	if err := l.checkNewest(); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return l, nil
}

// OpenDamaged is Open for whoever wants what can be saved of a damaged log: Sound.
func OpenDamaged(store Store, now func() time.Time) (*Log, error) {
	l := &Log{store: store, now: now, moved: make(chan struct{})}
	if err := l.reload(); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l.proven = l.durable.Seq
	return l, nil
}

// reload takes the store's word for what is kept. The caller holds mu, or is Open.
func (l *Log) reload() error {
	base, last, err := l.store.Marks()
	if err != nil {
		return err
	}
	if last.Seq != l.durable.Seq || !bytes.Equal(last.Hash, l.durable.Hash) {
		l.tail = tail{}
	}
	l.base, l.durable, l.head, l.unsure = base, last, last, false
	return nil
}

// Append keeps events behind event number expected and returns the number of the
// last of them, once they are on disk. cause is the command that they answer,
// nil if there is none. actor, cause and events belong to the log from now on.
// It is ErrConflict if the log has moved on. No events: nothing is appended. After an
// error nothing of it was acknowledged to anybody, and the log goes on with the
// next Append.
func (l *Log) Append(expected uint64, actor string, cause proto.Message, events ...proto.Message) (uint64, error) {
	if len(events) == 0 {
		return l.Last(), nil
	}
	if len(events) > maxCommit {
		return 0, fmt.Errorf("append %d events: at most %d fit into one commit", len(events), maxCommit)
	}
	c, err := prepare(actor, cause, events)
	if err != nil {
		return 0, fmt.Errorf("append %d events: %w", len(events), err)
	}
	if err := l.admit(expected, c); err != nil {
		return 0, fmt.Errorf("append %d events behind %d: %w", len(events), expected, err)
	}
	<-c.done
	if c.err != nil {
		return 0, fmt.Errorf("append %d events: %w", len(events), c.err)
	}
	return c.records[len(c.records)-1].Seq, nil
}

// prepare encodes what is to be kept, all but number, time and hash.
func prepare(actor string, cause proto.Message, events []proto.Message) (*commit, error) {
	records := make([]Record, len(events))
	for i, event := range events {
		name, data, err := encode(event)
		if err != nil {
			return nil, err
		}
		row := Row{Actor: actor, Type: name, Version: version, Data: data}
		if i == 0 {
			row.Of = len(events)
			if cause != nil {
				if row.CauseType, row.Cause, err = encode(cause); err != nil {
					return nil, err
				}
			}
		}
		records[i] = Record{Event: event, row: row}
	}
	records[0].Cause = cause
	return &commit{records: records, done: make(chan struct{})}, nil
}

// admit gives c its place behind the last admitted event and sees to it that
// somebody writes.
func (l *Log) admit(expected uint64, c *commit) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && l.head.Seq-l.durable.Seq >= maxWaiting {
		l.wait()
	}
	if l.closed {
		return ErrClosed
	}
	if l.unsure && len(l.waiting) == 0 && !l.writing {
		if err := l.reload(); err != nil {
			return err
		}
	}
	if expected != Any && expected != l.head.Seq {
		return fmt.Errorf("%w: it is at %d", ErrConflict, l.head.Seq)
	}
	// The clock may step back, the log does not: events can be found by their time.
	at := max(l.now().UnixMicro(), l.head.Time)
	for i := range c.records {
		r := &c.records[i]
		row := r.row
		row.Seq, row.Time = l.head.Seq+1, at
		row.Hash, l.scratch = HashOf(l.head.Hash, &row, l.scratch)
		*r = row.with(r.Event, r.Cause)
		l.head = row.Mark()
	}
	l.waiting = append(l.waiting, c)
	if !l.writing {
		l.writing = true
		l.wg.Go(l.write)
	}
	return nil
}

// wait sleeps until something changes. The caller holds mu, and again after it.
func (l *Log) wait() {
	moved := l.moved
	l.mu.Unlock()
	<-moved
	l.mu.Lock()
}

func (l *Log) signal() {
	close(l.moved)
	l.moved = make(chan struct{})
}

// write brings what waits to the disk, group after group, until nothing waits.
func (l *Log) write() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) > 0 {
		group, rows := l.group()
		expected := l.durable.Seq
		l.mu.Unlock()
		err := l.store.Append(expected, rows)
		l.mu.Lock()
		if err != nil {
			l.fail(err)
			continue
		}
		l.waiting = l.waiting[len(group):]
		l.durable = rows[len(rows)-1].Mark()
		for _, c := range group {
			l.tail.add(c.records)
			close(c.done)
		}
		l.signal()
		if l.keep > 0 {
			l.mu.Unlock()
			_ = l.trim()
			l.mu.Lock()
		}
	}
	l.waiting, l.writing = nil, false
	l.signal()
}

// group returns the first commits that wait, as many as one transaction takes.
func (l *Log) group() ([]*commit, []Row) {
	var rows []Row
	for i, c := range l.waiting {
		if i > 0 && len(rows)+len(c.records) > maxGroup {
			return l.waiting[:i], rows
		}
		for j := range c.records {
			rows = append(rows, c.records[j].row)
		}
	}
	return l.waiting, rows
}

// fail tells everybody who waits that nothing of theirs was acknowledged: all
// that was admitted stood on what failed. Then the store says what it has.
func (l *Log) fail(err error) {
	l.failed++
	for i, c := range l.waiting {
		c.err = err
		if i > 0 {
			c.err = fmt.Errorf("an append before it failed: %w", err)
		}
		close(c.done)
	}
	l.waiting = nil
	l.head = l.durable
	l.unsure = l.reload() != nil // then the next append asks again
	l.signal()
}

// Last returns the number of the last event that is on disk.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable.Seq
}

// Base returns the number of the last event that was archived or has fallen out
// of a ring: what can be read begins behind it.
func (l *Log) Base() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.base.Seq
}

// Refresh looks how far the store is: for a reader of a log that another process
// writes.
func (l *Log) Refresh() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writing {
		return nil // then this process is the writer
	}
	if l.closed {
		return ErrClosed
	}
	before := l.durable.Seq
	if err := l.reload(); err != nil {
		return fmt.Errorf("look how far the log is: %w", err)
	}
	if l.durable.Seq != before {
		l.signal()
	}
	return nil
}

// Close lets what was admitted reach the disk, ends every Watch and closes the store.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.signal()
	l.mu.Unlock()
	l.wg.Wait()
	if err := l.store.Close(); err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	return nil
}

func (l *Log) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
