package eventlog

import "fmt"

// Drop removes the events up to number through and keeps instead the actors' states at that event. The
// caller has exported and checked these events, or does not want them. The hash chain continues from the
// last removed event, so that archive and log together can still be verified as one. If states is nil,
// actors start empty.
func (l *Log) Drop(through uint64, states map[string]Frozen) error {
	mark, err := l.MarkAt(through)
	if err != nil {
		return fmt.Errorf("drop events up to %d: %w", through, err)
	}
	data, err := pack(program(), mark, states)
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

// Size returns about how many bytes the log takes.
func (l *Log) Size() (int64, error) {
	size, err := l.store.Size()
	if err != nil {
		return 0, fmt.Errorf("measure the log: %w", err)
	}
	return size, nil
}

// baseState returns the number of the event behind which the log begins, and actor's state there, nil if it
// was not kept.
func (l *Log) baseState(actor string) (uint64, []byte, error) {
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
	k, err := melt(data)
	if err != nil {
		return 0, nil, fmt.Errorf("base of the log at event %d: %w: import the archived events again", base.Seq, err)
	}
	return k.Seq, k.state(actor), nil // not base's: a Drop may have come between the two
}

// BaseMark returns the place behind which events can be read: those before were archived, or have fallen
// out of a ring.
func (l *Log) BaseMark() Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.base
}

// CommitEnd returns the largest event number up to seq that ends a commit, so that a commit is archived
// whole.
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

// NextCommitEnd returns the smallest event number from seq on that ends a commit.
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
