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
	mark, err := l.MarkAt(through)
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

// BaseMark is the place where what can be read begins: behind what was archived, or
// has fallen out of a ring.
func (l *Log) BaseMark() Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.base
}

// CommitEnd returns the last event number up to seq behind which a commit ends: what
// belongs together is archived together.
func (l *Log) CommitEnd(seq uint64) (uint64, error) {
	for base := l.Base(); seq > base; seq-- {
		if seq == l.Last() {
			return seq, nil
		}
		rows, err := l.store.Read(seq, 1, Whole)
		if err != nil {
			return 0, fmt.Errorf("read event %d: %w", seq+1, err)
		}
		if len(rows) == 1 && rows[0].Of > 0 {
			return seq, nil
		}
	}
	return l.Base(), nil
}

// NextCommitEnd returns the first event number from seq on behind which a commit ends.
func (l *Log) NextCommitEnd(seq uint64) (uint64, error) {
	last := l.Last()
	for seq < last {
		rows, err := l.store.Read(seq, page, Whole)
		if err != nil {
			return 0, fmt.Errorf("read the events behind %d: %w", seq, err)
		}
		if len(rows) == 0 {
			return 0, fmt.Errorf("%w: event %d is missing", ErrDamaged, seq+1)
		}
		for i := range rows {
			if rows[i].Of > 0 {
				return rows[i].Seq - 1, nil
			}
		}
		seq = rows[len(rows)-1].Seq
	}
	return last, nil
}
