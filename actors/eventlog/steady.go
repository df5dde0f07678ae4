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
	// diskPatience is how long an append waits for the disk. Music may wait for the append, so it is
	// far below messages.Slack.
	diskPatience = 400 * time.Millisecond
	// slowAfter is how long a disk may not answer before it counts as away.
	slowAfter = 5 * time.Second
	// lookEvery is how often a failed disk is tried again, and its files are checked.
	lookEvery = 5 * time.Second
	// maxOwed bounds the events that wait for the disk, in bytes of memory: enough for months of songs.
	maxOwed = 32 << 20
	// lastPatience is how long Close waits for the disk.
	lastPatience = 3 * time.Second
)

// SteadyConfig configures a Steady.
type SteadyConfig struct {
	Reserve Reserve // may be nil
	// Tell is called at each change of the state, with the reason; one call at a time.
	Tell func(state DiskState, why error)
	// Look is called after each check of the files; may be nil.
	Look func()
	// Wrote is told how long each write took, a sync of the disk included; may be nil.
	Wrote func(took time.Duration)
	// Lost is called once if another has written to a log that several may write to (ErrConflict, ErrFenced); may be nil.
	Lost func(why error)
}

// Steady is a server's store. It takes events whatever its disk does, because the music must not wait for a
// disk that is full, slow or broken, or for files that somebody has removed.
//
// While the disk works, Append returns once the events are on it. If the disk is full, Steady gives up the
// reserve and writes them there. If they cannot be written within diskPatience, they stay in memory and are
// written in order as soon as possible; Settled waits until all are on the disk. While Full is true, the
// server should make no promise that the log has to remember. If the process dies before the events are
// written, it comes back with an older log, as if that had been restored from a copy.
//
// If its files are gone or others are in their place, they are written anew (Placed).
//
// If another has written to the log, which only a log that is shared allows, what waits in memory can never be written. Then
// Append returns ErrFenced, and the server has to end: the other one plays on from what is in the log.
type Steady struct {
	cfg SteadyConfig

	work  sync.Mutex   // one write or look at a time
	files sync.RWMutex // for writing: while they are written anew
	disk  Store

	mu      sync.Mutex
	base    Mark
	kept    Mark  // the last event that the disk has
	last    Mark  // the last event
	owed    []Row // the events between the two
	bytes   int   // the size of owed
	late    bool  // an append gave up waiting; until owed is written, others do not wait either
	state   DiskState
	why     error
	telling sync.Mutex    // locked before mu, so that changes of state are reported in order
	moved   chan struct{} // closed and replaced when kept or state changes
	lost    error         // another has written; owed will never be
	closed  bool
	wake    chan struct{} // has room for one
	closing chan struct{}
	done    chan struct{}
}

// OpenSteady returns a Steady over disk, which it owns from now on.
func OpenSteady(disk Store, cfg SteadyConfig) (*Steady, error) {
	s := &Steady{
		cfg: cfg, disk: disk, moved: make(chan struct{}),
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	if cfg.Reserve == nil {
		s.cfg.Reserve = noReserve{}
	}
	if cfg.Wrote == nil {
		s.cfg.Wrote = func(time.Duration) {}
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

// State returns the disk's state.
func (s *Steady) State() DiskState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Full reports whether the disk has room only in the given-up reserve, or takes nothing.
func (s *Steady) Full() bool { return s.State() != DiskFine }

// Short reports whether half of the memory for waiting events is used. The rest is for songs and for
// listeners that leave.
func (s *Steady) Short() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes > maxOwed/2
}

// Settled waits until all events appended so far are on the disk; false if they cannot be written now,
// or ctx has ended.
func (s *Steady) Settled(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for last := s.last.Seq; s.kept.Seq < last; {
		if s.state == DiskAway || s.lost != nil || s.closed {
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

// Append is described at Steady.
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
	case s.lost != nil:
		return s.lost
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
	last := s.last.Seq
	for s.kept.Seq < last && s.state != DiskAway && s.lost == nil && !s.late {
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
	if s.kept.Seq < last {
		return s.lost
	}
	return nil
}

// Read takes the events from memory that the disk does not have.
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

// Marks includes the events that are only in memory.
func (s *Steady) Marks() (base, last Mark, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Mark{}, Mark{}, ErrClosed
	}
	return s.base, s.last, nil
}

// Drop and Keep return ErrFull unless the disk is fine: the reserve is for events, and they can be done
// later. After another has written they return ErrFenced.
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

// Keep is described at Drop.
func (s *Steady) Keep(name string, data []byte) error {
	return s.change(func() error { return s.disk.Keep(name, data) })
}

func (s *Steady) change(do func() error) error {
	s.mu.Lock()
	lost := s.lost
	s.mu.Unlock()
	if lost != nil {
		return lost
	}
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

// Size includes the events that are only in memory.
func (s *Steady) Size() (int64, error) {
	s.mu.Lock()
	owed := int64(s.bytes)
	s.mu.Unlock()
	s.files.RLock()
	defer s.files.RUnlock()
	size, err := s.disk.Size()
	return size + owed, err
}

// Check asks the disk.
func (s *Steady) Check(ctx context.Context) error {
	s.files.RLock()
	defer s.files.RUnlock()
	return s.disk.Check(ctx)
}

// Close writes the waiting events, if the disk takes them within lastPatience, and leaves the reserve for
// the next start. The error says which events were lost.
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
		answers = false // closing the disk would hang, too
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
