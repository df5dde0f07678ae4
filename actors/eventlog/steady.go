package eventlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// diskPatience is how long an append waits for the disk: the music that waits with it has
	// less than messages.Slack.
	diskPatience = 400 * time.Millisecond
	// slowAfter is when a disk that only does not answer is said to be away.
	slowAfter = 5 * time.Second
	// lookEvery is how often a disk that fails is tried again, and its files are looked for.
	lookEvery = 5 * time.Second
	// maxOwed bounds the events that wait for the disk, in bytes of memory: songs of months.
	maxOwed = 32 << 20
	// lastPatience is how long Close waits for the disk.
	lastPatience = 3 * time.Second
)

// SteadyConfig is what a Steady needs.
type SteadyConfig struct {
	Reserve Reserve // may be nil
	// Tell hears each change of the state, and why; one call at a time.
	Tell func(state DiskState, why error)
	// Look is called whenever the files have been looked for; may be nil.
	Look func()
}

// Steady is a store that goes on whatever its disk does: for a server, whose music must not
// wait for a disk that is full, slow or broken, nor for files that somebody has removed.
//
// While the disk does what it should, an Append returns when the events are on it. If it is full,
// the reserve is given up, and they are written there. If nothing can be written, or it
// takes longer than an append may wait, they are kept in memory, and written in their order as
// soon as that is possible; Settled says whether all is on the disk. Until then Full says so:
// nothing should be promised that the log has to remember. A process that dies meanwhile comes back
// with an older log, as if it was restored from a copy.
//
// Files that are gone, or have others in their place, are written anew (Placed).
type Steady struct {
	cfg SteadyConfig

	work  sync.Mutex   // one write or look at a time
	files sync.RWMutex // for writing: while they are written anew
	disk  Store

	mu      sync.Mutex
	base    Mark
	kept    Mark  // the last event that the disk has
	last    Mark  // the last event
	owed    []Row // between the two
	bytes   int   // of owed
	late    bool  // an append has not waited for owed
	state   DiskState
	why     error
	telling sync.Mutex    // BEFORE mu: states are told in their order
	moved   chan struct{} // closed and replaced when kept or state changes
	closed  bool
	wake    chan struct{} // has room for one
	closing chan struct{}
	done    chan struct{}
}

// OpenSteady goes on with disk, which it owns from now on.
func OpenSteady(disk Store, cfg SteadyConfig) (*Steady, error) {
	s := &Steady{
		cfg: cfg, disk: disk, moved: make(chan struct{}),
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	if cfg.Reserve == nil {
		s.cfg.Reserve = noReserve{}
	}
	var err error
	if s.base, s.last, err = disk.Marks(); err != nil {
		return nil, err
	}
	s.kept = s.last
	if err := s.cfg.Reserve.Fill(); err != nil {
		s.become(DiskFull, err)
	}
	go s.follow()
	return s, nil
}

// State says how the disk does.
func (s *Steady) State() DiskState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Full says whether the disk has no room but what the reserve has left, or takes nothing.
func (s *Steady) Full() bool { return s.State() != DiskFine }

// Short says whether so much waits for the disk that the rest of the memory is for songs and
// goodbyes.
func (s *Steady) Short() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes > maxOwed/2
}

// Settled waits until all that was appended before is on the disk; false if it cannot be
// written now, or ctx has ended.
func (s *Steady) Settled(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for last := s.last.Seq; s.kept.Seq < last; {
		if s.state == DiskAway || s.closed {
			return false
		}
		moved := s.moved
		s.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if ctx.Err() != nil {
			return false
		}
	}
	return true
}

// Append is explained at Steady.
func (s *Steady) Append(expected uint64, rows []Row) error {
	size := 0
	for i := range rows {
		size += rows[i].size()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.last.Seq != expected:
		return ErrConflict
	case len(rows) == 0:
		return nil
	case s.state == DiskAway && s.bytes+size > maxOwed:
		return fmt.Errorf("%w, and %d events wait for it: %w", ErrFull, len(s.owed), s.why)
	}
	s.owed = append(s.owed, rows...)
	s.bytes += size
	s.last = rows[len(rows)-1].Mark()
	s.signal()
	enough := time.NewTimer(diskPatience)
	defer enough.Stop()
	for last := s.last.Seq; s.kept.Seq < last && s.state != DiskAway && !s.late; {
		moved := s.moved
		s.mu.Unlock()
		waited := true
		select {
		case <-moved:
		case <-enough.C:
			waited = false
		}
		s.mu.Lock()
		s.late = s.late || !waited
	}
	return nil
}

// Read takes from memory what the disk has not got.
func (s *Steady) Read(after uint64, limit int, part Part) ([]Row, error) {
	s.mu.Lock()
	if n := len(s.owed); n > 0 && after+1 >= s.owed[0].Seq {
		defer s.mu.Unlock()
		skip := min(after+1-s.owed[0].Seq, uint64(n))
		return slices.Clone(s.owed[skip:min(skip+uint64(limit), uint64(n))]), nil
	}
	s.mu.Unlock()
	s.files.RLock()
	defer s.files.RUnlock()
	return s.disk.Read(after, limit, part)
}

// Marks counts what is in memory only.
func (s *Steady) Marks() (base, last Mark, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Mark{}, Mark{}, ErrClosed
	}
	return s.base, s.last, nil
}

// Drop and Keep can wait for a better time: what they would take of the reserve is for events.
func (s *Steady) Drop(base Mark, data []byte) error {
	err := s.change(func() error { return s.disk.Drop(base, data) })
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.base = base
		if base.Seq > s.last.Seq {
			s.kept, s.last = base, base
		}
	}
	return err
}

// Keep is explained at Drop.
func (s *Steady) Keep(name string, data []byte) error {
	return s.change(func() error { return s.disk.Keep(name, data) })
}

func (s *Steady) change(do func() error) error {
	within, cancel := context.WithTimeout(context.Background(), lastPatience)
	defer cancel()
	if s.Full() || !s.Settled(within) {
		return ErrFull
	}
	s.files.RLock()
	defer s.files.RUnlock()
	return do()
}

// Kept asks the disk.
func (s *Steady) Kept(name string) ([]byte, error) {
	s.files.RLock()
	defer s.files.RUnlock()
	return s.disk.Kept(name)
}

// Size counts what is in memory only, too.
func (s *Steady) Size() (int64, error) {
	s.mu.Lock()
	owed := int64(s.bytes)
	s.mu.Unlock()
	s.files.RLock()
	defer s.files.RUnlock()
	size, err := s.disk.Size()
	return size + owed, err
}

// Check looks at the disk.
func (s *Steady) Check(ctx context.Context) error {
	s.files.RLock()
	defer s.files.RUnlock()
	return s.disk.Check(ctx)
}

// Close writes what the disk is owed, if it takes it within a moment, and leaves the reserve for
// the next start. What is lost is an error.
func (s *Steady) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.changed()
	close(s.closing)
	s.mu.Unlock()
	enough := time.NewTimer(lastPatience)
	defer enough.Stop()
	answers := true
	select {
	case <-s.done:
	case <-enough.C:
		answers = false // nor would it close
	}
	s.mu.Lock()
	kept, last, why := s.kept.Seq, s.last.Seq, s.why
	s.mu.Unlock()
	var errs []error
	if kept < last {
		errs = append(errs, fmt.Errorf("events %d to %d could not be written and are lost: %w", kept+1, last, cmp.Or(why, errHangs)))
	}
	if answers {
		errs = append(errs, s.disk.Close())
	}
	return errors.Join(errs...)
}
