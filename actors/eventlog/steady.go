package eventlog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// DiskState is how the disk below a Steady does.
type DiskState int

const (
	DiskFine DiskState = iota // all that was told is on it
	DiskFull                  // it has no room: what is written takes of the reserve
	DiskAway                  // it takes nothing: events are in memory until it does
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
	Dir     string // the disk's folder
	Reserve int64  // bytes that are kept free on it for the log
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
// Files that are gone, or have others in their place, are written anew (placed).
type Steady struct {
	cfg     SteadyConfig
	reserve *reserve

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

// placed is a store in files that somebody can move or remove while they are open.
type placed interface {
	// Misplaced is an error that says which file is not where it belongs.
	Misplaced() error
	// Replace writes all that the store has to where it belongs, closes the store and returns the
	// one to go on with: after an error that is the old one, for another try.
	Replace() (Store, error)
}

// OpenSteady goes on with disk, which it owns from now on.
func OpenSteady(disk Store, cfg SteadyConfig) (*Steady, error) {
	s := &Steady{
		cfg: cfg, disk: disk, reserve: newReserve(cfg.Dir, cfg.Reserve), moved: make(chan struct{}),
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	var err error
	if s.base, s.last, err = disk.Marks(); err != nil {
		return nil, err
	}
	s.kept = s.last
	if err := s.reserve.fill(); err != nil {
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
	s.last = rows[len(rows)-1].mark()
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

func (s *Steady) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// follow brings to the disk what it is owed.
func (s *Steady) follow() {
	defer close(s.done)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-s.wake:
			if s.State() != DiskAway {
				s.settle()
			}
		case <-look.C:
			s.look()
		case <-s.closing:
			s.settle()
			return
		}
	}
}

func (s *Steady) settle() {
	s.work.Lock()
	defer s.work.Unlock()
	s.fail(s.write())
}

// look puts things right that can be.
func (s *Steady) look() {
	s.work.Lock()
	defer s.work.Unlock()
	err := s.place()
	if err == nil {
		err = s.write()
	}
	if s.fail(err); err == nil {
		if err := s.reserve.fill(); err != nil {
			s.become(DiskFull, err)
		} else {
			s.become(DiskFine, nil)
		}
	}
	if s.cfg.Look != nil {
		s.cfg.Look()
	}
}

func (s *Steady) fail(err error) {
	if err != nil && !errors.Is(err, ErrClosed) {
		s.become(DiskAway, err)
	}
}

// become changes the state, and tells of it.
func (s *Steady) become(state DiskState, why error) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.mu.Lock()
	was := s.state
	s.state, s.why = state, why
	s.changed()
	s.mu.Unlock()
	if state != was {
		s.cfg.Tell(state, why)
	}
}

// changed wakes who waits. The caller holds mu.
func (s *Steady) changed() {
	close(s.moved)
	s.moved = make(chan struct{})
}

// write brings what is owed to the disk, a few commits at a time.
func (s *Steady) write() error {
	slow := time.AfterFunc(slowAfter, func() {
		s.become(DiskAway, errHangs)
	})
	defer slow.Stop()
	for {
		rows := s.next()
		if len(rows) == 0 {
			return nil
		}
		err := s.place()
		if err == nil {
			err = s.put(rows)
		}
		if err != nil {
			return err
		}
		slow.Reset(slowAfter)
		s.mu.Lock()
		for i := range rows {
			s.bytes -= rows[i].size()
		}
		s.owed = slices.Clip(s.owed[len(rows):]) // a reader may have the array
		if len(s.owed) == 0 {
			s.owed, s.late = nil, false
		}
		s.kept = rows[len(rows)-1].mark()
		s.changed()
		s.mu.Unlock()
	}
}

// next is whole commits that the disk is owed.
func (s *Steady) next() []Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.owed {
		if i >= page && s.owed[i].Of > 0 {
			return s.owed[:i:i]
		}
	}
	return slices.Clip(s.owed)
}

// put writes rows, and gives up the reserve for them.
func (s *Steady) put(rows []Row) error {
	err := appendOnce(s.disk, rows)
	if errors.Is(err, ErrFull) && s.reserve.giveUp() {
		s.become(DiskFull, err)
		err = appendOnce(s.disk, rows)
	}
	return err
}

// appendOnce appends those of rows that the disk has not got: a try before may have kept some
// though it said otherwise.
func appendOnce(disk Store, rows []Row) error {
	err := disk.Append(rows[0].Seq-1, rows)
	if !errors.Is(err, ErrConflict) {
		return err
	}
	_, last, marked := disk.Marks()
	if marked != nil || last.Seq < rows[0].Seq || last.Seq > rows[len(rows)-1].Seq {
		return err
	}
	n := last.Seq - rows[0].Seq + 1
	if !bytes.Equal(rows[n-1].Hash, last.Hash) {
		return err
	}
	return disk.Append(last.Seq, rows[n:])
}

// place sees to it that the disk's files are where they belong.
func (s *Steady) place() error {
	on, is := s.disk.(placed)
	if !is {
		return nil
	}
	why := on.Misplaced()
	if why == nil {
		return nil
	}
	s.become(DiskAway, fmt.Errorf("%w; all that is known is written there again", why))
	s.files.Lock()
	defer s.files.Unlock()
	next, err := on.Replace()
	s.disk = next
	if err != nil {
		return fmt.Errorf("%w; it cannot be written there again: %w", why, err)
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

var errHangs = errors.New("the disk does not answer")
