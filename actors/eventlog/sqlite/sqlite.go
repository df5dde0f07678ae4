// Package sqlite keeps an event log in one SQLite file, conga.db in a server's or listener's data
// folder, which people read with the sqlite3 program.
//
// Each append is a transaction in SQLite's write-ahead log, synced BEFORE it is acknowledged. A
// transaction that a crash has torn was never acknowledged, and SQLite leaves it out. Beside
// the file, conga.db-last says which event was acknowledged last, for SQLite leaves out
// without a word, too, what a flipped bit has spoilt.
package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver

	"conga/actors/eventlog"
)

const (
	fileName = "conga.db"
	// schemaVersion is PRAGMA user_version: it grows when older programs could not
	// read the file.
	schemaVersion = 1
	// applicationID is PRAGMA application_id, "cnga": not every SQLite file is a log.
	applicationID = 0x636e6761
	// walPages is how far the write-ahead log grows before SQLite works it into the
	// file, in pages of 4 kB: every ten thousand events or so.
	walPages = 1000
)

// schema is made to be read with the sqlite3 program: SELECT * FROM log.
const schema = `
CREATE TABLE events (
	seq        INTEGER PRIMARY KEY, -- from 1, without a gap
	time       INTEGER NOT NULL,    -- microseconds since 1970
	actor      TEXT NOT NULL,       -- whose decision
	type       TEXT NOT NULL,       -- protobuf message, without "conga."
	version    INTEGER NOT NULL,    -- of the type
	data       BLOB NOT NULL,       -- the event as protobuf
	cause_type TEXT NOT NULL,       -- the command, on the first event of its commit
	cause      BLOB NOT NULL,       -- the command as protobuf
	of         INTEGER NOT NULL,    -- events in the commit, on its first event
	hash       BLOB NOT NULL        -- SHA-256 over the hash before and this row
) STRICT;
CREATE TABLE base ( -- the last event that was archived: one row, or none
	seq  INTEGER PRIMARY KEY,
	time INTEGER NOT NULL,
	hash BLOB NOT NULL
) STRICT;
CREATE TABLE kept (
	name TEXT PRIMARY KEY, -- snapshot, base
	data BLOB NOT NULL
) STRICT;
CREATE VIEW log AS
	SELECT seq, strftime('%Y-%m-%dT%H:%M:%fZ', time / 1e6, 'unixepoch') AS time,
		actor, type, version, cause_type AS cause, lower(hex(hash)) AS hash
	FROM events;
`

// Store keeps rows in one SQLite file.
type Store struct {
	dir, path string
	lock      *os.File // nil: read only
	write     *sql.DB  // one connection; nil: read only
	read      *sql.DB
	insert    *sql.Stmt
	note      *note                  // nil: read only
	files     map[string]os.FileInfo // that are open, by path; see Misplaced

	mu     sync.Mutex // one writer
	last   eventlog.Mark
	known  bool // last is what the file has
	closed bool
}

var _ eventlog.Placed = (*Store)(nil)

// Open opens the log in dir for writing and makes both if they are not there. It is
// eventlog.ErrLocked if another process writes to it, eventlog.ErrNewer if a newer program has made it,
// eventlog.ErrDamaged if acknowledged events are gone. All errors name the file.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, folderError(dir, err)
	}
	lock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	s := newStore(dir)
	s.lock = lock
	err = takeWhole(s.path) // a crash while the file was written anew
	if err == nil {
		err = s.openForWriting()
	}
	if err != nil {
		_ = s.release()
		return nil, err
	}
	return s, nil
}

// OpenReader opens the log in dir for reading, also while a server writes to it. Append, Drop
// and Keep fail.
func OpenReader(dir string) (*Store, error) {
	return openReader(dir, (*Store).acknowledged)
}

// OpenDamaged is OpenReader for a log that has lost its end.
func OpenDamaged(dir string) (*Store, error) {
	return openReader(dir, func(*Store) error { return nil })
}

func openReader(dir string, check func(*Store) error) (*Store, error) {
	s := newStore(dir)
	if _, err := os.Stat(s.path); err != nil {
		return nil, fmt.Errorf("no log in %s: %w: name the folder that the server was given with --data", dir, err)
	}
	err := s.openForReading()
	if err == nil {
		err = check(s)
	}
	if err != nil {
		_ = s.release()
		return nil, err
	}
	return s, nil
}

func newStore(dir string) *Store {
	return &Store{dir: dir, path: filepath.Join(dir, fileName)}
}

func (s *Store) openForWriting() error {
	head, err := readNote(s.path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(s.path); errors.Is(err, os.ErrNotExist) && head.Seq > 0 {
		return s.lost(1, head.Seq) // BEFORE there is an empty log in its place
	}
	if s.write, err = s.connect("rwc"); err != nil {
		return err
	}
	if err := s.migrate(); err != nil {
		return s.explain(err)
	}
	if err := s.openForReading(); err != nil {
		return err
	}
	if err := s.acknowledged(); err != nil {
		return err
	}
	if s.note, err = openNote(s.path); err != nil {
		return err
	}
	s.note.acknowledge(s.last) // what is kept counts, whether somebody was told of it or not
	s.insert, err = s.write.Prepare(`INSERT INTO events (seq, time, actor, type, version, data, cause_type, cause, of, hash)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return s.explain(err)
	}
	s.remember()
	return nil
}

func (s *Store) openForReading() error {
	var err error
	if s.read, err = s.connect("ro"); err != nil {
		return err
	}
	if err := s.knownFormat(s.read); err != nil {
		return s.explain(err)
	}
	return nil
}

func (s *Store) connect(mode string) (*sql.DB, error) {
	path, err := filepath.Abs(s.path)
	if err != nil {
		return nil, folderError(s.dir, err)
	}
	q := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(5000)"}}
	connections := 2
	if mode == "rwc" {
		connections = 1
		q["_pragma"] = append(q["_pragma"], "journal_mode(WAL)", "synchronous(FULL)", fmt.Sprintf("wal_autocheckpoint(%d)", walPages),
			fmt.Sprintf("journal_size_limit(%d)", walPages*4096)) // a huge commit leaves no huge file
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, s.explain(err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// migrate makes the tables of a new file.
func (s *Store) migrate() error {
	var version, tables int
	if err := s.write.QueryRow(`PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if err := s.write.QueryRow(`SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return err
	}
	if version != 0 || tables != 0 {
		return s.knownFormat(s.write)
	}
	_, err := s.write.Exec(fmt.Sprintf("BEGIN IMMEDIATE; PRAGMA application_id = %d; PRAGMA user_version = %d; %s COMMIT",
		applicationID, schemaVersion, schema))
	return err
}

func (s *Store) knownFormat(db *sql.DB) error {
	var id, version int
	if err := db.QueryRow(`PRAGMA application_id`).Scan(&id); err != nil {
		return err
	}
	if err := db.QueryRow(`PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	switch {
	case id != applicationID:
		return fmt.Errorf("%s is another program's SQLite file, not a conga log: choose another folder with --data", s.path)
	case version > schemaVersion:
		return fmt.Errorf("%w: %s has format %d, this conga knows %d: start the newer conga, or choose another folder with --data",
			eventlog.ErrNewer, s.path, version, schemaVersion)
	case version < schemaVersion:
		return fmt.Errorf("%w: %s has format %d, which never was: restore it from a copy", eventlog.ErrDamaged, s.path, version)
	}
	return nil
}

func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed { // also by Replace, which may have left the lock
		return s.unlock()
	}
	s.closed = true
	return s.release()
}

// release lets go of all that was opened. SQLite works its write-ahead log into the file when the
// last connection closes, which is the writer's; the lock goes last.
func (s *Store) release() error {
	var errs []error
	if s.insert != nil {
		errs = append(errs, s.insert.Close())
	}
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	if s.note != nil {
		errs = append(errs, s.note.close())
	}
	return errors.Join(append(errs, s.unlock())...)
}

func (s *Store) unlock() error {
	if s.lock == nil {
		return nil
	}
	err := s.lock.Close()
	s.lock = nil
	return err
}
