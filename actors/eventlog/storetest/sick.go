package storetest

import (
	"errors"
	"slices"
	"sync"

	"conga/actors/eventlog"
)

// ErrFull is the error of a disk that has no room.
var ErrFull = errors.New("no space left on device")

// Sick is a store whose disk can be made to fail or to hang.
type Sick struct {
	eventlog.Store
	mu   sync.Mutex
	err  error // Append returns it
	kept bool  // Append returns err although it keeps the rows
	lost error // Marks returns it
	gate chan struct{}
	used []int // rows of each Append
}

// Fail makes each Append return err; nil ends that. If kept is true, Append still keeps the rows.
func (s *Sick) Fail(err error, kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.kept = err, kept
}

// Hang makes each Append wait until gate is closed; nil ends that.
func (s *Sick) Hang(gate chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = gate
}

// Lose makes Marks return err; nil ends that.
func (s *Sick) Lose(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = err
}

// Used returns how many rows each Append had.
func (s *Sick) Used() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.used)
}

// Append is described at Fail and Hang.
func (s *Sick) Append(expected uint64, rows []eventlog.Row) error {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = append(s.used, len(rows))
	if s.err != nil && !s.kept {
		return s.err
	}
	if err := s.Store.Append(expected, rows); err != nil {
		return err
	}
	return s.err
}

// Marks is described at Lose.
func (s *Sick) Marks() (base, last eventlog.Mark, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost != nil {
		return eventlog.Mark{}, eventlog.Mark{}, s.lost
	}
	return s.Store.Marks()
}
