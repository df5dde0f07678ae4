package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// maxBehind bounds the events that wait for the disk; one that is so far behind is
	// given up.
	maxBehind = 1 << 16
	// firstAgain and lastAgain bound the wait before a disk that failed is tried again.
	firstAgain = time.Second
	lastAgain  = time.Minute
)

// behind is a store in memory that a disk follows.
type behind struct {
	*memory
	disk    Store
	trouble func(error)

	mu      sync.Mutex
	steps   []step
	waiting int           // rows that the disk has not got
	wake    chan struct{} // has room for one
	closing chan struct{}
	lost    bool // the disk was given up
	done    chan struct{}
}

// step is a change that the disk has still to make.
type step struct {
	rows []Row
	drop *Mark
	name string
	data []byte
}

// OpenBehind returns a store that answers from memory at once, and that disk, which it
// owns from now on, follows as fast as it can: for a listener's journal, for whose sake
// the music must never wait. A killed process loses what was on the way, some
// milliseconds. A disk that fails is tried again; trouble hears of it once each time, from
// another goroutine. Everything that disk has must fit into memory.
func OpenBehind(disk Store, trouble func(error)) (Store, error) {
	b := &behind{
		memory: &memory{kept: map[string][]byte{}}, disk: disk, trouble: trouble,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	if err := b.load(); err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	go b.follow()
	return b, nil
}

func (b *behind) load() error {
	base, last, err := b.disk.Marks()
	if err != nil {
		return err
	}
	b.memory.base = base
	for at := base.Seq; at < last.Seq; {
		rows, err := b.disk.Read(at, page, Whole)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return &Damage{at + 1, "it is missing"}
		}
		b.memory.rows = append(b.memory.rows, rows...)
		at = rows[len(rows)-1].Seq
	}
	for _, name := range []string{"base", "snapshot"} {
		data, err := b.disk.Kept(name)
		if err != nil {
			return err
		}
		if data != nil {
			b.memory.kept[name] = data
		}
	}
	return nil
}

// then keeps the order of memory and disk the same: change and step are one.
func (b *behind) then(change func() error, s step) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := change(); err != nil {
		return err
	}
	if b.lost {
		return nil
	}
	b.steps = append(b.steps, s)
	if b.waiting += len(s.rows); b.waiting > maxBehind {
		b.lost, b.steps = true, nil
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return nil
}

// Append, Drop and Keep change memory, and later the disk.
func (b *behind) Append(expected uint64, rows []Row) error {
	return b.then(func() error { return b.memory.Append(expected, rows) }, step{rows: rows})
}

func (b *behind) Drop(base Mark, data []byte) error {
	return b.then(func() error { return b.memory.Drop(base, data) }, step{drop: &base, data: data})
}

func (b *behind) Keep(name string, data []byte) error {
	return b.then(func() error { return b.memory.Keep(name, data) }, step{name: name, data: data})
}

// Check looks at the disk.
func (b *behind) Check(ctx context.Context) error { return b.disk.Check(ctx) }

// Close brings the disk up to date, if it works.
func (b *behind) Close() error {
	b.mu.Lock()
	select {
	case <-b.closing:
		b.mu.Unlock()
		return nil
	default:
	}
	close(b.closing)
	b.mu.Unlock()
	<-b.done
	return errors.Join(b.disk.Close(), b.memory.Close())
}

// follow makes the steps until the store is closed and none is left, or the disk is lost.
func (b *behind) follow() {
	defer close(b.done)
	for {
		steps, lost := b.take()
		switch {
		case lost:
			b.trouble(fmt.Errorf("the log's disk is too far behind: events are kept in memory only until the next start"))
			return
		case len(steps) > 0:
			if !b.insistOn(steps) {
				return
			}
			continue
		}
		select {
		case <-b.wake:
		case <-b.closing:
			steps, _ := b.take()
			b.insistOn(steps)
			return
		}
	}
}

// take returns what is to do; appends that follow each other become one.
func (b *behind) take() (steps []step, lost bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.steps {
		if n := len(steps); n > 0 && len(s.rows) > 0 && len(steps[n-1].rows) > 0 {
			steps[n-1].rows = append(steps[n-1].rows, s.rows...)
			continue
		}
		s.rows = slices.Clip(s.rows) // the array is the caller's: what is joined to it goes elsewhere
		steps = append(steps, s)
	}
	b.steps = nil
	return steps, b.lost
}

func (b *behind) insistOn(steps []step) bool {
	for _, s := range steps {
		if !b.insist(s) {
			return false
		}
		b.mu.Lock()
		b.waiting -= len(s.rows) // AFTER they are on the disk: those in hand count, too
		lost := b.lost
		b.mu.Unlock()
		if lost {
			return true
		}
	}
	return true
}

// insist makes the step, again and again until the disk takes it; false if the store is
// closed before.
func (b *behind) insist(s step) bool {
	err := b.make(s)
	if err == nil {
		return true
	}
	b.trouble(fmt.Errorf("the log's disk: %w", err))
	for wait := firstAgain; ; wait = min(2*wait, lastAgain) {
		again := time.NewTimer(wait)
		select {
		case <-b.closing:
			again.Stop()
			return b.make(s) == nil
		case <-again.C:
		}
		b.mu.Lock()
		lost := b.lost
		b.mu.Unlock()
		if lost || b.make(s) == nil {
			return true
		}
	}
}

// make is one step; what is on the disk already is not done twice.
func (b *behind) make(s step) error {
	switch {
	case len(s.rows) > 0:
		return appendOnce(b.disk, s.rows)
	case s.drop != nil:
		if base, _, err := b.disk.Marks(); err == nil && base.Seq >= s.drop.Seq {
			return nil
		}
		return b.disk.Drop(*s.drop, s.data)
	}
	return b.disk.Keep(s.name, s.data)
}
