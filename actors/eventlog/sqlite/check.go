package sqlite

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"conga/actors/eventlog"
)

// Check looks for the last acknowledged event, and runs SQLite's integrity check.
func (s *Store) Check(ctx context.Context) error {
	if err := s.acknowledged(); err != nil {
		return err
	}
	return s.integrity(ctx)
}

func (s *Store) integrity(ctx context.Context) error {
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

// acknowledged returns eventlog.ErrDamaged if the last acknowledged event is missing: SQLite drops the damaged
// end of a write-ahead log without an error.
func (s *Store) acknowledged() error {
	head, err := readNote(s.path) // before the marks, because a server may append meanwhile
	if err != nil {
		return err
	}
	base, last, err := s.Marks()
	if err != nil {
		return err
	}
	switch {
	case head.Seq <= base.Seq:
		return nil
	case head.Seq > last.Seq:
		return s.lost(last.Seq+1, head.Seq)
	}
	rows, err := s.Read(head.Seq-1, 1, eventlog.Whole)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return &eventlog.Damage{Seq: head.Seq, Reason: "it is missing"}
	}
	if !bytes.Equal(rows[0].Hash, head.Hash) {
		return &eventlog.Damage{Seq: head.Seq, Reason: "it is not the event that was acknowledged under this number"}
	}
	return nil
}

func (s *Store) lost(first, last uint64) error {
	return damaged(s.path, fmt.Sprintf("events %d to %d were on the disk and are gone; to go on without them, delete %s%s",
		first, last, s.path, noteSuffix))
}
