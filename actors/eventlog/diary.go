package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// firstAgain and lastAgain bound the wait before a disk that failed is tried again.
const (
	firstAgain = time.Second
	lastAgain  = time.Minute
)

// diary is a log's rows in memory. One goroutine copies them to a disk.
type diary struct {
	*memory
	disk    Store
	trouble func(error)
	wake    chan struct{} // has room for one
	closing chan struct{}
	done    chan struct{}
	close   func() error
}

// OpenDiary returns a store in memory, which begins with all that disk has. One goroutine copies to disk,
// which it owns from now on, what is appended and dropped: for a listener's log, which only tells
// what was and for whose sake the music never waits. A killed process loses what was on the way, some
// milliseconds. A disk that fails is tried again; trouble hears once of each failure, from another
// goroutine. What memory has dropped before the disk had it, the disk never gets.
func OpenDiary(disk Store, trouble func(error)) (Store, error) {
	d := &diary{
		memory: newMemory(), disk: disk, trouble: trouble,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	d.close = sync.OnceValue(func() error {
		close(d.closing)
		<-d.done
		return errors.Join(d.disk.Close(), d.memory.Close())
	})
	if err := d.load(); err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	go d.follow()
	return d, nil
}

func (d *diary) load() error {
	base, last, err := d.disk.Marks()
	if err != nil {
		return err
	}
	states, err := d.disk.Kept("base")
	if err != nil {
		return err
	}
	if states != nil {
		d.kept["base"] = states
	}
	d.base = base
	for row, err := range walk(context.Background(), d.disk, base, last) {
		if err != nil {
			return err
		}
		d.rows = append(d.rows, *row)
	}
	return nil
}

// Append and Drop change memory, and soon the disk. Keep is for memory only: snapshots are no story.
func (d *diary) Append(expected uint64, rows []Row) error {
	defer d.signal()
	return d.memory.Append(expected, rows)
}

func (d *diary) Drop(base Mark, data []byte) error {
	defer d.signal()
	return d.memory.Drop(base, data)
}

func (d *diary) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Check looks at the disk.
func (d *diary) Check(ctx context.Context) error { return d.disk.Check(ctx) }

// Close brings the disk up to date, if it works.
func (d *diary) Close() error { return d.close() }

// follow copies until the store is closed.
func (d *diary) follow() {
	defer close(d.done)
	wait := time.Duration(0) // before the next try, if the last one failed
	for closing := false; ; closing = d.pause(wait) {
		err := d.copy()
		switch {
		case err == nil:
			wait = 0
		case wait == 0:
			d.trouble(fmt.Errorf("the log's disk: %w", err))
			wait = firstAgain
		default:
			wait = min(2*wait, lastAgain)
		}
		if closing {
			return
		}
	}
}

// pause waits for something to copy, or only for so long if the disk has failed; true if the store
// is to be closed.
func (d *diary) pause(wait time.Duration) (closing bool) {
	wake, again := d.wake, (<-chan time.Time)(nil)
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		wake, again = nil, timer.C
	}
	select {
	case <-wake:
	case <-again:
	case <-d.closing:
		return true
	}
	return false
}

// copy brings the disk to where memory is. It asks the disk first: a try that failed may have kept
// something.
func (d *diary) copy() error {
	from, last, err := d.disk.Marks()
	for err == nil {
		base, states, rows := d.behind(last.Seq)
		switch {
		case base.Seq > last.Seq:
			err = d.disk.Drop(base, states)
			from, last = base, base
		case len(rows) > 0:
			err = d.disk.Append(last.Seq, rows)
			last = rows[len(rows)-1].Mark()
		case base.Seq > from.Seq:
			err = d.disk.Drop(base, states)
			from = base
		default:
			return nil
		}
	}
	return err
}
