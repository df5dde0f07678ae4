package eventlog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

var errHangs = errors.New("it does not answer")

func (s *Steady) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// follow writes the waiting events to the disk, until the store is closed.
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
	if !s.isLost() {
		s.fail(s.write())
	}
}

// look tries again what has failed: files that are gone, events that wait, the reserve.
func (s *Steady) look() {
	s.work.Lock()
	defer s.work.Unlock()
	if s.isLost() {
		return
	}
	err := s.place()
	if err == nil {
		err = s.write()
	}
	if s.fail(err); err == nil {
		if err := s.cfg.Reserve.Fill(); err != nil {
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
	if err == nil || errors.Is(err, ErrClosed) {
		return
	}
	if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrFenced) {
		s.become(DiskAway, err)
		return
	}
	s.lose(err)
	if s.cfg.Lost == nil {
		s.become(DiskAway, err)
		return
	}
	s.mu.Lock() // Lost is told the truth; nothing is wrong with the disk
	defer s.mu.Unlock()
	s.state, s.why = DiskAway, err
	s.changed()
}

func (s *Steady) isLost() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost != nil
}

// lose gives up what waits: another has written in its place. Lost is told BEFORE any append returns. The caller holds work.
func (s *Steady) lose(err error) {
	if s.isLost() {
		return
	}
	if s.cfg.Lost != nil {
		s.cfg.Lost(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = err
	if !errors.Is(err, ErrFenced) {
		s.lost = fmt.Errorf("%w: %v", ErrFenced, err) // after a conflict a keeper would decide again
	}
	s.changed()
}

// become changes the state, and reports the change.
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

// changed wakes the goroutines that wait on moved. The caller holds mu.
func (s *Steady) changed() {
	close(s.moved)
	s.moved = make(chan struct{})
}

// write writes the waiting events to the disk, some commits at a time.
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
			begun := time.Now()
			err = s.put(rows)
			s.cfg.Wrote(time.Since(begun))
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
		s.kept = rows[len(rows)-1].Mark()
		s.changed()
		s.mu.Unlock()
	}
}

// next returns the first commits that wait for the disk.
func (s *Steady) next() []Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return commits(s.owed)
}

// put writes rows; if the disk is full, it gives up the reserve and tries again.
func (s *Steady) put(rows []Row) error {
	err := appendOnce(s.disk, rows)
	if errors.Is(err, ErrFull) && s.cfg.Reserve.GiveUp() {
		s.become(DiskFull, err)
		err = appendOnce(s.disk, rows)
	}
	return err
}

// appendOnce appends the rows that the disk does not have yet: an earlier try may have written some of them
// although it returned an error.
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

// place checks that the disk's files are where they belong, and writes them anew if they are not.
func (s *Steady) place() error {
	on, is := s.disk.(Placed)
	if !is {
		return nil
	}
	why := on.Misplaced()
	if why == nil {
		return nil
	}
	s.become(DiskAway, fmt.Errorf("%w; conga writes it there again", why))
	s.files.Lock()
	defer s.files.Unlock()
	next, err := on.Replace()
	s.disk = next
	if err != nil {
		return fmt.Errorf("%w; it cannot be written there again: %w", why, err)
	}
	return nil
}
