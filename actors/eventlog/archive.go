package eventlog

import (
	"encoding/json"
	"fmt"
)

// Drop forgets the events up to number through, which the caller has exported
// and checked or wants to forget, and keeps states instead: what the actors' states were there. The
// hash chain goes on from the last forgotten event, so that archive and log
// together are still one proven log. Nil states (a ring): actors start empty.
func (l *Log) Drop(through uint64, states map[string]json.RawMessage) error {
	mark, err := l.markAt(through)
	if err != nil {
		return fmt.Errorf("drop events up to %d: %w", through, err)
	}
	data, err := frozen{program(), mark.Seq, mark.Hash, states}.freeze()
	if err != nil {
		return fmt.Errorf("drop events up to %d: %w", through, err)
	}
	if err := l.store.Drop(mark, data); err != nil {
		return fmt.Errorf("drop events up to %d: %w", through, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if mark.Seq > l.base.Seq {
		l.base = mark
		l.tail.drop(mark.Seq)
	}
	return nil
}

// Size is about how many bytes the log takes.
func (l *Log) Size() (int64, error) {
	size, err := l.store.Size()
	if err != nil {
		return 0, fmt.Errorf("measure the log: %w", err)
	}
	return size, nil
}

func errDrop(through, base, last uint64) error {
	return fmt.Errorf("event %d is not in the log, which has %d to %d", through, base+1, last)
}

// baseState returns where the log begins and what actor's state was there, nil if
// that is not kept.
func (l *Log) baseState(actor string) (uint64, json.RawMessage, error) {
	l.mu.Lock()
	base := l.base
	l.mu.Unlock()
	if base.Seq == 0 {
		return 0, nil, nil
	}
	data, err := l.store.Kept("base")
	if err != nil || data == nil {
		return base.Seq, nil, err
	}
	f, err := melt(data)
	if err != nil {
		return 0, nil, fmt.Errorf("base of the log at event %d: %w: import the archived events again", base.Seq, err)
	}
	return f.Seq, f.States[actor], nil // not base's: a Drop may have come between the two
}
