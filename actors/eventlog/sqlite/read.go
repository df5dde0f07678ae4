package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"conga/actors/eventlog"
)

// Read calls the driver directly, because database/sql would double the time.
func (s *Store) Read(after uint64, limit int, part eventlog.Part) ([]eventlog.Row, error) {
	conn, err := s.read.Conn(context.Background())
	if err != nil {
		return nil, s.explain(err)
	}
	defer conn.Close()
	all := make([]eventlog.Row, 0, min(limit, 1024))
	err = conn.Raw(func(raw any) error {
		queryer, ok := raw.(driver.QueryerContext)
		if !ok {
			return fmt.Errorf("the SQLite driver is %T, which cannot query", raw)
		}
		columns, scan := `seq, type, version, data, time, actor, cause_type, cause, of, hash`, scanWhole
		if part == eventlog.EventOnly {
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
			var r eventlog.Row
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

// scanEvent and scanWhole set r to the values of a row; false if a value does not
// have its column's type.
func scanEvent(r *eventlog.Row, values []driver.Value) bool {
	seq, ok1 := values[0].(int64)
	version, ok2 := values[2].(int64)
	var ok3, ok4 bool
	r.Type, ok3 = values[1].(string)
	r.Data, ok4 = values[3].([]byte) // the driver returns an empty blob as a nil []byte
	r.Seq, r.Version = uint64(seq), int(version)
	return ok1 && ok2 && ok3 && ok4
}

func scanWhole(r *eventlog.Row, values []driver.Value) bool {
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

func (s *Store) Marks() (base, last eventlog.Mark, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventlog.Mark{}, eventlog.Mark{}, eventlog.ErrClosed
	}
	base, err = s.marks()
	return base, s.last, err
}

// marks reads both marks in one transaction and remembers the last.
func (s *Store) marks() (base eventlog.Mark, err error) {
	s.known = false
	tx, err := s.read.Begin()
	if err != nil {
		return eventlog.Mark{}, s.explain(err)
	}
	defer func() { _ = tx.Rollback() }()
	var last eventlog.Mark
	for _, q := range []struct {
		from string
		mark *eventlog.Mark
	}{{"base", &base}, {"events", &last}} {
		err := tx.QueryRow(`SELECT seq, time, hash FROM `+q.from+` ORDER BY seq DESC LIMIT 1`).Scan(&q.mark.Seq, &q.mark.Time, &q.mark.Hash)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return eventlog.Mark{}, s.explain(err)
		}
	}
	if last.Seq < base.Seq {
		last = base
	}
	s.last, s.known = last, true
	return base, nil
}

func (s *Store) Kept(name string) ([]byte, error) {
	var data []byte
	err := s.read.QueryRow(`SELECT data FROM kept WHERE name = ?`, name).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, s.explain(err)
	}
	return data, nil
}

// Size returns the size of the pages in use; SQLite knows it without reading them.
func (s *Store) Size() (int64, error) {
	var pages, free, bytes int64
	for _, q := range []struct {
		name string
		to   *int64
	}{{"page_count", &pages}, {"freelist_count", &free}, {"page_size", &bytes}} {
		if err := s.read.QueryRow(`PRAGMA ` + q.name).Scan(q.to); err != nil {
			return 0, s.explain(err)
		}
	}
	return (pages - free) * bytes, nil
}
