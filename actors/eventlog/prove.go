package eventlog

import (
	"errors"
	"fmt"
	"iter"
	"path/filepath"
)

// BaseMark is the place where what can be read begins: behind what was archived, or
// has fallen out of a ring.
func (l *Log) BaseMark() Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.base
}

// MarkAt is the place behind event number seq, which must be in the log.
func (l *Log) MarkAt(seq uint64) (Mark, error) { return l.markAt(seq) }

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

// Prove checks that records are the events behind from, in whole commits, and returns
// where they end. The first that does not follow from the one before is a *Damage.
func Prove(from Mark, records iter.Seq2[Record, error]) (Mark, error) {
	at, left := from, 0
	for r, err := range records {
		if err == nil {
			err = follows(at, left, r.row)
		}
		if err != nil {
			return at, err
		}
		if left == 0 {
			left = r.row.Of
		}
		left--
		at = r.row.mark()
	}
	if left > 0 {
		return at, &Damage{at.Seq + 1, "it is missing: the commit before it is not whole"}
	}
	return at, nil
}

// Sound yields the events of the log in dir, however damaged it is, as long as each
// follows from the one before, and then what is wrong: a *Damage, or what the store says.
// What it yields was written by a server; what it does not may be lost.
func Sound(dir string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		s := &sqliteStore{dir: dir, path: filepath.Join(dir, fileName)}
		defer func() { _ = s.release() }()
		var err error
		if s.read, err = s.connect("ro"); err != nil {
			yield(Record{}, err)
			return
		}
		at, last, err := s.Marks()
		if err != nil {
			yield(Record{}, err)
			return
		}
		left := 0
		for at.Seq < last.Seq {
			rows, err := s.readSome(at.Seq)
			if err == nil && len(rows) == 0 {
				err = &Damage{at.Seq + 1, "it is missing"}
			}
			if err != nil {
				yield(Record{}, err)
				return
			}
			for i := range rows {
				r, err := Record{}, follows(at, left, rows[i])
				if err == nil {
					r, err = rows[i].record()
				}
				if !yield(r, err) || err != nil {
					return
				}
				if left == 0 {
					left = rows[i].Of
				}
				left--
				at = rows[i].mark()
			}
		}
	}
}

// readSome returns the rows behind seq that can be read, one by one if a page among
// them cannot.
func (s *sqliteStore) readSome(seq uint64) ([]Row, error) {
	rows, err := s.Read(seq, page, Whole)
	if err == nil || errors.Is(err, ErrClosed) {
		return rows, err
	}
	return s.Read(seq, 1, Whole)
}
