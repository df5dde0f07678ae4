package eventlog

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrFenced: this server may not write to the log of its radio, because it does not lead, or another has taken the log.
var ErrFenced = errors.New("this server does not lead")

// Fence returns the store of a server that shares its log with others and writes only while leads returns true. A conflict
// shows that another server writes: from then on all writing is ErrFenced, and fallen is called, once.
func Fence(store Store, leads func() bool, fallen func()) Store {
	return &fence{Store: store, leads: leads, fallen: fallen}
}

type fence struct {
	Store
	leads  func() bool
	fallen func()
	fell   atomic.Bool
}

func (f *fence) may() error {
	if f.fell.Load() || !f.leads() {
		return ErrFenced
	}
	return nil
}

func (f *fence) Append(expected uint64, rows []Row) error {
	if err := f.may(); err != nil {
		return err
	}
	err := f.Store.Append(expected, rows)
	if errors.Is(err, ErrConflict) {
		if !f.fell.Swap(true) {
			f.fallen()
		}
		return fmt.Errorf("%w: another has written to the log", ErrFenced)
	}
	return err
}

func (f *fence) Drop(base Mark, data []byte) error {
	if err := f.may(); err != nil {
		return err
	}
	return f.Store.Drop(base, data)
}

func (f *fence) Keep(name string, data []byte) error {
	if err := f.may(); err != nil {
		return err
	}
	return f.Store.Keep(name, data)
}
