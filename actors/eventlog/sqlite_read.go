package eventlog

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Read asks the driver itself: database/sql would take as long again.
func (s *sqliteStore) Read(after uint64, limit int, part Part) ([]Row, error) {
	conn, err := s.read.Conn(context.Background())
	if err != nil {
		return nil, s.explain(err)
	}
	defer conn.Close()
	all := make([]Row, 0, min(limit, page))
	err = conn.Raw(func(raw any) error {
		queryer, ok := raw.(driver.QueryerContext)
		if !ok {
			return fmt.Errorf("the SQLite driver is %T, which cannot query", raw)
		}
		columns, scan := `seq, type, version, data, time, actor, cause_type, cause, of, hash`, scanWhole
		if part == EventOnly {
			columns, scan = `seq, type, version, data`, scanEvent
		}
		rows, err := queryer.QueryContext(context.Background(), `SELECT `+columns+` FROM events WHERE seq > ? ORDER BY seq LIMIT ?`,
			[]driver.NamedValue{{Ordinal: 1, Value: int64(min(after, math.MaxInt64))}, {Ordinal: 2, Value: int64(limit)}})
		if err != nil {
			return err
		}
		defer rows.Close()
		values := make([]driver.Value, len(rows.Columns()))
		for {
			if err := rows.Next(values); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("row behind event %d: %w", after+uint64(len(all)), err)
			}
			var r Row
			if !scan(&r, values) {
				return damaged(s.path, fmt.Sprintf("the row behind event %d has values of other types", after+uint64(len(all))))
			}
			all = append(all, r)
		}
	})
	if err != nil {
		return nil, s.explain(err)
	}
	return all, nil
}

// scanEvent and scanWhole take the values of a row; false if one is not what its
// column promises.
func scanEvent(r *Row, values []driver.Value) bool {
	seq, ok1 := values[0].(int64)
	version, ok2 := values[2].(int64)
	var ok3, ok4 bool
	r.Type, ok3 = values[1].(string)
	r.Data, ok4 = values[3].([]byte) // an empty one comes as nil of this type
	r.Seq, r.Version = uint64(seq), int(version)
	return ok1 && ok2 && ok3 && ok4
}

func scanWhole(r *Row, values []driver.Value) bool {
	of, ok := values[8].(int64)
	var oks [5]bool
	r.Time, oks[0] = values[4].(int64)
	r.Actor, oks[1] = values[5].(string)
	r.CauseType, oks[2] = values[6].(string)
	r.Cause, oks[3] = values[7].([]byte)
	r.Hash, oks[4] = values[9].([]byte)
	r.Of = int(of)
	return ok && !slices.Contains(oks[:], false) && scanEvent(r, values)
}

// Check compares every page with its sum and lets SQLite check its own order.
func (s *sqliteStore) Check(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	base, err := s.marks()
	if err != nil {
		return err
	}
	if err := s.acknowledged(base, s.last); err != nil {
		return err
	}
	if err := s.sums.check(ctx, 0); err != nil {
		return err
	}
	return s.integrity(ctx)
}

func (s *sqliteStore) integrity(ctx context.Context) error {
	rows, err := s.read.QueryContext(ctx, `PRAGMA integrity_check(10)`)
	if err != nil {
		return s.explain(err)
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return s.explain(err)
		}
		if line != "ok" {
			found = append(found, line)
		}
	}
	if err := rows.Err(); err != nil {
		return s.explain(err)
	}
	if len(found) > 0 {
		return damaged(s.path, strings.Join(found, "; "))
	}
	return nil
}

// acknowledged makes sure that the last event that was ever acknowledged is there:
// a torn write-ahead log loses its end without a word otherwise.
func (s *sqliteStore) acknowledged(base, last Mark) error {
	head, ok := s.sums.head()
	if !ok || head.Seq < base.Seq {
		return nil
	}
	if head.Seq > last.Seq {
		return damaged(s.path+"-wal", fmt.Sprintf("events %d to %d were kept and are gone", last.Seq+1, head.Seq))
	}
	kept := last
	if head.Seq < last.Seq && head.Seq > base.Seq {
		rows, err := s.Read(head.Seq-1, 1, Whole)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return &Damage{head.Seq, "it is missing"}
		}
		kept = rows[0].mark()
	}
	if kept.Seq == head.Seq && head.Seq > 0 && !bytes.Equal(kept.Hash, head.Hash) {
		return &Damage{head.Seq, "it is not the event that was acknowledged under this number"}
	}
	return nil
}

func damaged(path, what string) error {
	return fmt.Errorf("%w: %s: %s: keep a copy of the folder for a look with \"conga log verify\", "+
		"then restore it from a backup, or export the sound events and import them into a new --data", ErrDamaged, path, what)
}

// noRoom is how little must be free for an error of the disk to be a full disk.
const noRoom = 256 << 10

// explain says in words what SQLite's code means for a person, and what to do.
func (s *sqliteStore) explain(err error) error {
	var lite *sqlite.Error
	if errors.Is(err, sql.ErrConnDone) || strings.Contains(err.Error(), "database is closed") {
		return ErrClosed
	}
	if !errors.As(err, &lite) {
		return err
	}
	code := lite.Code() & 0xff
	if code == sqlite3.SQLITE_IOERR { // so it calls a sync that found no room, for one
		if free, err := freeBytes(s.dir); err == nil && free < noRoom {
			code = sqlite3.SQLITE_FULL
		}
	}
	switch code {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%s: %w: make some, nothing that was acknowledged is lost: %w", s.path, ErrFull, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%s cannot be written: make the file and its folder writable, or choose another with --data: %w", s.path, err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("%s: the disk does not work: look at the system's log and at the disk, nothing that was acknowledged is lost: %w", s.path, err)
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return damaged(s.path, err.Error())
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%s is held by another program (sqlite3?): end its transaction: %w", s.path, err)
	}
	return fmt.Errorf("%s: %w", s.path, err)
}
