package eventlog

import (
	"fmt"
	"time"
)

// OpenRing is Open for a log that remembers only its newest keep events, and up to
// a quarter more, so that not every append has to drop something: a listener's own
// journal. Its events are reports; a state can't be had from it.
func OpenRing(store Store, now func() time.Time, keep int) (*Log, error) {
	l, err := Open(store, now)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.keep = uint64(max(keep, 1))
	l.mu.Unlock()
	return l, nil
}

// trim drops what has fallen out of the ring. What was appended is kept, so that a
// failure is no reason to deny it: the next append tries again.
func (l *Log) trim() error {
	l.mu.Lock()
	keep, base, last := l.keep, l.base.Seq, l.durable.Seq
	l.mu.Unlock()
	if keep == 0 || last-base <= keep+keep/4 {
		return nil
	}
	if err := l.Drop(last-keep, nil); err != nil {
		return fmt.Errorf("trim ring: %w", err)
	}
	return nil
}
