// Package sqlite keeps an event log in one SQLite file, conga.db in the data folder of a server or a
// listener. People can read it with the sqlite3 program.
//
// Each append is a transaction in SQLite's write-ahead log, synced BEFORE it is acknowledged. If a crash
// cuts a transaction, it was never acknowledged, and SQLite drops it. SQLite also drops, without an error,
// transactions that a flipped bit has damaged; so the file conga.db-last names the last acknowledged event.
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
	// schemaVersion is SQLite's PRAGMA user_version. It grows when older programs cannot
	// read the file.
	schemaVersion = 1
	// applicationID is SQLite's PRAGMA application_id, "cnga". It tells a log from other SQLite files.
	applicationID = 0x636e6761
	// walPages is the size of the write-ahead log, in pages of 4 kB, at which SQLite copies it into the
	// file (a checkpoint): about every ten thousand events.
	walPages = 1000
)

// schema has a view for people who use the sqlite3 program: SELECT * FROM log.
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
	files     map[string]os.FileInfo // the open files, by path; see Misplaced

	mu     sync.Mutex // one writer
	last   eventlog.Mark
	known  bool // last is the file's last event
	closed bool
}

var _ eventlog.Placed = (*Store)(nil)

// Open opens the log in dir for writing, and creates both if they do not exist. The error is
// eventlog.ErrLocked if another process writes to the log, eventlog.ErrNewer if a newer program made it,
// and eventlog.ErrDamaged if acknowledged events are gone. All errors name the file.
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
	err = takeWhole(s.path) // if a crash interrupted Replace
	if err == nil {
		err = s.openForWriting()
	}
	if err != nil {
		_ = s.release()
		return nil, err
	}
	return s, nil
}

// OpenReader opens the log in dir for reading, even while a server writes to it. Append, Drop
// and Keep fail.
func OpenReader(dir string) (*Store, error) {
	return openReader(dir, (*Store).acknowledged)
}

// OpenDamaged is OpenReader for a log whose last events are lost.
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
		return s.lost(1, head.Seq) // before an empty log is created in its place
	}
	if s.write, err = s.connect("rwc"); err != nil {
		return err
	}
	if err := s.migrate(); err != nil {
		return s.explain(err)
	}
	if _, err := s.write.Exec(`DELETE FROM events WHERE seq <= (SELECT seq FROM base)`); err != nil { // a Drop was interrupted
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
	s.note.acknowledge(s.last) // an event on the disk stays, even if a crash came before the acknowledgement
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
			fmt.Sprintf("journal_size_limit(%d)", walPages*4096)) // so that a huge commit leaves no huge file
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, s.explain(err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// migrate creates the tables of a new file.
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
		return fmt.Errorf("%w: %s has format %d, which does not exist: restore it from a copy", eventlog.ErrDamaged, s.path, version)
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

// release closes everything that was opened. The writer's connection closes after the reader's, because SQLite
// copies its write-ahead log into the file when the last connection closes. The lock is released last.
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
