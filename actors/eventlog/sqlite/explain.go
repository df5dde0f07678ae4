package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"conga/actors/eventlog"
	"conga/actors/internal/space"
)

func damaged(path, what string) error {
	return fmt.Errorf("%w: %s: %s", eventlog.ErrDamaged, path, what)
}

// noRoom is the free space, in bytes, below which an I/O error counts as a full disk.
const noRoom = 256 << 10

// explain adds to SQLite's error what it means and what to do. Errors that callers branch on become
// eventlog's.
func (s *Store) explain(err error) error {
	var lite *sqlite.Error
	if errors.Is(err, sql.ErrConnDone) || strings.Contains(err.Error(), "database is closed") {
		return eventlog.ErrClosed
	}
	if !errors.As(err, &lite) {
		return err
	}
	code := lite.Code() & 0xff
	if code == sqlite3.SQLITE_IOERR { // for example, a sync that found no room
		if free, err := space.Free(s.dir); err == nil && free < noRoom {
			code = sqlite3.SQLITE_FULL
		}
	}
	switch code {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%s: %w: make some; no acknowledged event is lost: %w", s.path, eventlog.ErrFull, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%s cannot be written: make the file and its folder writable, or choose another with --data: %w", s.path, err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("%s: the disk does not work: check the system's log and the disk; no acknowledged event is lost: %w", s.path, err)
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR: // a table or column that should be there
		return damaged(s.path, err.Error())
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%s is held by another program (sqlite3?): end its transaction: %w", s.path, err)
	}
	return fmt.Errorf("%s: %w", s.path, err)
}
