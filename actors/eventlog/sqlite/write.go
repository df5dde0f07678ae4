package sqlite

import (
	"database/sql"
	"fmt"

	"conga/actors/eventlog"
)

func (s *Store) Append(expected uint64, rows []eventlog.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventlog.ErrClosed
	}
	if s.write == nil {
		return s.readOnly()
	}
	if !s.known {
		if _, err := s.marks(); err != nil {
			return err
		}
	}
	if s.last.Seq != expected {
		return eventlog.ErrConflict
	}
	if len(rows) == 0 {
		return nil
	}
	if err := s.transact(func(tx *sql.Tx) error {
		insert := tx.Stmt(s.insert) //nolint:sqlclosecheck // the transaction closes it
		for i := range rows {
			r := &rows[i]
			if _, err := insert.Exec(int64(r.Seq), r.Time, r.Actor, r.Type, r.Version, notNil(r.Data),
				r.CauseType, notNil(r.Cause), r.Of, r.Hash); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		s.known = false
		return err
	}
	s.last = rows[len(rows)-1].Mark()
	s.note.acknowledge(s.last)
	return nil
}

// notNil makes an empty message an empty blob: nil would be NULL.
func notNil(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

func (s *Store) transact(do func(*sql.Tx) error) error {
	tx, err := s.write.Begin()
	if err != nil {
		return s.explain(err)
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback()
		return s.explain(err)
	}
	if err := tx.Commit(); err != nil {
		_ = tx.Rollback()
		return s.explain(err)
	}
	return nil
}

// dropAtOnce is how many events a Drop deletes in one transaction: appends wait for some milliseconds.
const dropAtOnce = 1000

// Drop moves the base and deletes the first events in one transaction, and the others in several. They are
// behind the base by then, so nobody reads them. If it is interrupted, the next Drop or Open deletes the rest.
func (s *Store) Drop(base eventlog.Mark, data []byte) error {
	old, _, err := s.Marks()
	if err != nil {
		return err
	}
	if base.Seq <= old.Seq {
		return fmt.Errorf("drop events up to %d: the log begins behind event %d", base.Seq, old.Seq)
	}
	through := min(base.Seq, old.Seq+dropAtOnce)
	if err := s.rebase(base, data, through); err != nil {
		return err
	}
	for through < base.Seq {
		through = min(base.Seq, through+dropAtOnce)
		if s.change(func(tx *sql.Tx) error { return deleteThrough(tx, through) }) != nil {
			break
		}
	}
	return nil
}

func deleteThrough(tx *sql.Tx, seq uint64) error {
	_, err := tx.Exec(`DELETE FROM events WHERE seq <= ?`, int64(seq))
	return err
}

// rebase moves the base and deletes the events up to number through.
func (s *Store) rebase(base eventlog.Mark, data []byte, through uint64) error {
	return s.change(func(tx *sql.Tx) error {
		if err := deleteThrough(tx, through); err != nil {
			return err
		}
		for _, q := range []struct {
			text string
			args []any
		}{
			{`DELETE FROM base`, nil},
			{`INSERT INTO base VALUES (?, ?, ?)`, []any{int64(base.Seq), base.Time, base.Hash}},
			{`INSERT OR REPLACE INTO kept VALUES ('base', ?)`, []any{notNil(data)}},
		} {
			if _, err := tx.Exec(q.text, q.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) Keep(name string, data []byte) error {
	return s.change(func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT OR REPLACE INTO kept VALUES (?, ?)`, name, notNil(data))
		return err
	})
}

// change runs a transaction that appends nothing.
func (s *Store) change(do func(*sql.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventlog.ErrClosed
	}
	if s.write == nil {
		return s.readOnly()
	}
	s.known = false // a Drop may go beyond the last event
	return s.transact(do)
}

func (s *Store) readOnly() error {
	return fmt.Errorf("%s was opened for reading only", s.path)
}
