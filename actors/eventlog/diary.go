package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A disk that failed is tried again after firstAgain, then each time after twice as long, at most after
// lastAgain.
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

// OpenDiary returns a store for a listener's log: it only tells what happened, so the music never waits
// for it. The store is in memory and begins with everything that disk has. It owns disk from now on, and
// one goroutine copies to it what is appended and dropped. A killed process loses what was not yet copied,
// usually the last milliseconds. If the disk fails, it is tried again; trouble is called once for each
// failure, from another goroutine. Rows that memory drops before they are copied never reach the disk.
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
	for rows, err := range walk(context.Background(), d.disk, base, last) {
		if err != nil {
			return err
		}
		d.rows = append(d.rows, rows...)
	}
	return nil
}

// Append and Drop change memory at once and the disk soon. Keep changes only memory: a log so short needs
// no snapshot on the disk.
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

// Check asks the disk.
func (d *diary) Check(ctx context.Context) error { return d.disk.Check(ctx) }

// Close brings the disk up to date, if it works, and closes it.
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

// pause waits for something to copy, or, if the disk has failed, for the time wait. It returns true if the
// store is to be closed.
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

// copy brings the disk to where memory is. It first asks the disk how far it is, because a failed try may
// have written something.
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
