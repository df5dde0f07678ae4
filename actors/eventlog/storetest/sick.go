package storetest

import (
	"errors"
	"slices"
	"sync"

	"conga/actors/eventlog"
)

// ErrFull stands in for a disk that has no room.
var ErrFull = errors.New("no space left on device")

// Sick is a store whose disk can be full, and can be held up.
type Sick struct {
	eventlog.Store
	mu   sync.Mutex
	err  error // what Append answers
	kept bool  // Append answers err and keeps the rows all the same
	lost error // what Marks answers
	gate chan struct{}
	used []int // rows of each Append
}

// Fail lets each Append answer err, nil for well again; kept: it keeps the rows all the same.
func (s *Sick) Fail(err error, kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.kept = err, kept
}

// Hang lets each Append wait at the gate; nil for no more.
func (s *Sick) Hang(gate chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = gate
}

// Lose lets Marks answer err, nil for well again.
func (s *Sick) Lose(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = err
}

// Used is how many rows each Append had.
func (s *Sick) Used() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.used)
}

// Append is explained at Fail and Hang.
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

// Marks is explained at Lose.
func (s *Sick) Marks() (base, last eventlog.Mark, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost != nil {
		return eventlog.Mark{}, eventlog.Mark{}, s.lost
	}
	return s.Store.Marks()
}
