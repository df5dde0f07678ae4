package eventlog

import (
	"bytes"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
)

// Any, as Append's expected number, puts the events behind whatever is last. It is for reports, which stay
// true whatever comes before them; a decision must never use it.
const Any = math.MaxUint64

const (
	// maxGroup bounds the events in one transaction: it then takes about 50 ms.
	maxGroup = 4096
	// maxWaiting bounds the events that wait for the disk; further appends block until there is room.
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
	unsure  bool          // a failed append may be on disk or not: reload before the next
	moved   chan struct{} // closed and replaced when durable or failed changes
	tail    tail
	keep    uint64 // a ring's size; 0: no ring
	keeping []RingState
	closed  bool
	scratch []byte // for hashing
	wg      sync.WaitGroup

	own atomic.Pointer[kept] // see OpenWarm; nil once a newer snapshot was saved

	proving sync.Mutex
	proven  uint64 // the events behind this number were checked, or come from this Log
}

// commit is one Append on its way.
type commit struct {
	records []Record
	done    chan struct{}
	err     error // set before done is closed
}

// Open returns the log in store, after a check of its newest events. The Log owns store from now on and
// closes it. now gives the events' times. The error is ErrDamaged if the store is damaged.
func Open(store Store, now func() time.Time) (*Log, error) { return OpenWarm(store, now, nil) }

// OpenWarm is Open for a process that knows the log already, because it followed it by another handle: snapshot is what
// Snapshot returned there, or nil. If that is of this log, only later events are read, so that a server that takes over from another
// does so as fast after a long evening.
func OpenWarm(store Store, now func() time.Time, snapshot []byte) (*Log, error) {
	l, err := OpenDamaged(store, now)
	if err != nil {
		return nil, err
	}
	if snapshot != nil {
		if k, ok := l.usable(snapshot); ok {
			l.own.Store(&k)
		}
	}
	if err := l.checkNewest(); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return l, nil
}

// OpenDamaged is Open without the check, to save what can be saved of a damaged log with Sound.
func OpenDamaged(store Store, now func() time.Time) (*Log, error) {
	l := &Log{store: store, now: now, moved: make(chan struct{})}
	if err := l.reload(); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l.proven = l.durable.Seq
	return l, nil
}

// reload asks the store what it has. The caller holds mu, or is OpenDamaged.
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

// Append writes events behind event number expected and returns the number of the last of them, once they
// are on disk; without events it does nothing. cause is the command that led to them, nil if there is none.
// cause and events belong to the log from now on. The error is ErrConflict if expected is not the last
// event. After an error nobody has been shown any of the events, and the log takes the next Append.
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

// prepare encodes events and cause; number, time and hash are still missing.
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

// admit gives c its place behind the last admitted event, and starts the writer if none runs.
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
	// The clock may step back but times in the log never do, so that SeqAt can search for them.
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

// wait returns when something has changed. The caller holds mu; wait gives it up meanwhile.
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

// write writes to the disk, group by group, until no commit waits.
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

// group returns the first waiting commits, as many as fit into one transaction.
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

// fail fails all waiting commits, because each builds on the one that failed. Then it asks the store what
// it has.
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
	l.unsure = l.reload() != nil // if that fails, too, the next append asks again
	l.signal()
}

// Last returns the number of the last event that is on disk.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable.Seq
}

// Base returns the number of the last event that was archived or has fallen out
// of a ring. Events behind it can be read.
func (l *Log) Base() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.base.Seq
}

// Refresh asks the store for its last event, for a reader of a log that another process writes.
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

// Close waits until admitted events are on disk, ends every Watch and closes the store.
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
