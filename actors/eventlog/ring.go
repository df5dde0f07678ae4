package eventlog

import "fmt"

// ring is a store that remembers only its newest events.
type ring struct {
	Store
	keep uint64
}

// NewRing returns store as a ring: the newest keep events stay, and up to a
// quarter more, so that not every append has to drop something. It is for a listener's
// own journal, whose events are reports: a state can't be had from it.
func NewRing(store Store, keep int) Store {
	return &ring{store, uint64(max(keep, 1))}
}

func (r *ring) Append(expected uint64, rows []Row) error {
	if err := r.Store.Append(expected, rows); err != nil {
		return err
	}
	// What is appended is kept. That an old event is not dropped yet is no reason to
	// deny it: the next append drops it.
	_ = r.trim()
	return nil
}

func (r *ring) trim() error {
	base, last, err := r.Marks()
	if err != nil || last.Seq-base.Seq <= r.keep+r.keep/4 {
		return err
	}
	rows, err := r.Read(last.Seq-r.keep-1, 1)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("%w: event %d is missing", ErrDamaged, last.Seq-r.keep)
	}
	return r.Drop(rows[0].mark(), nil)
}
