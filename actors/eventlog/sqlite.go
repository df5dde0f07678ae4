package eventlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver
)

// The files sqlite*.go are all of conga that knows SQLite: the store here, reading and
// checking, the pages' sums, the write-ahead log.

const (
	fileName = "conga.db"
	// schemaVersion is PRAGMA user_version: it grows when older programs could not
	// read the file.
	schemaVersion = 1
	// applicationID is PRAGMA application_id, "cnga": not every SQLite file is a log.
	applicationID = 0x636e6761
	// maxWAL is how far the write-ahead log grows before it is worked into the
	// file, in bytes: every ten thousand events or so.
	maxWAL = 4 << 20
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

// sqliteStore keeps rows in one SQLite file.
type sqliteStore struct {
	dir, path string
	lock      *os.File // nil: read only
	write     *sql.DB  // one connection; nil: read only
	read      *sql.DB
	insert    *sql.Stmt
	sums      *sums
	maxWAL    int64                  // maxWAL; tests take less
	files     map[string]os.FileInfo // that are open, by path; see Misplaced

	mu     sync.Mutex // one writer, and no checkpoint during Check
	last   Mark
	known  bool // last is what the file has
	closed bool
}

// OpenSQLite opens the log in dir for writing and makes both if they are not
// there. It is ErrLocked if another process writes to it, ErrNewer if a newer
// program has made it, ErrDamaged if pages of it are not what was written, or
// acknowledged events are gone. All errors name the file and what to do.
func OpenSQLite(dir string) (Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, folderError(dir, err)
	}
	lock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	s := &sqliteStore{dir: dir, path: filepath.Join(dir, fileName), lock: lock, maxWAL: maxWAL}
	err = takeWhole(s.path) // a crash while the file was written anew
	if err == nil {
		err = s.open()
	}
	if err != nil {
		_ = s.release()
		return nil, err
	}
	return s, nil
}

// OpenSQLiteReader opens the log in dir for reading, also while a server writes to
// it. Append, Drop and Keep fail.
func OpenSQLiteReader(dir string) (Store, error) {
	s := &sqliteStore{dir: dir, path: filepath.Join(dir, fileName)}
	if _, err := os.Stat(s.path); err != nil {
		return nil, fmt.Errorf("no log in %s: %w: name the folder that the server was given with --data", dir, err)
	}
	if err := s.open(); err != nil {
		_ = s.release()
		return nil, err
	}
	return s, nil
}

func (s *sqliteStore) open() error {
	var err error
	if s.sums, err = openSums(s.path, s.lock == nil); err != nil {
		return err
	}
	if err := s.sums.check(context.Background(), quickBytes); err != nil {
		return err
	}
	if s.lock != nil {
		if s.write, err = s.connect("rwc"); err != nil {
			return err
		}
		if err := s.migrate(); err != nil {
			return s.explain(err)
		}
	}
	if s.read, err = s.connect("ro"); err != nil {
		return err
	}
	if err := s.knownFormat(s.read); err != nil {
		return s.explain(err)
	}
	base, last, err := s.Marks()
	if err != nil {
		return err
	}
	if err := s.acknowledged(base, last); err != nil {
		return err
	}
	if s.write == nil {
		return nil
	}
	s.insert, err = s.write.Prepare(`INSERT INTO events (seq, time, actor, type, version, data, cause_type, cause, of, hash)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return s.explain(err)
	}
	if s.sums.stale {
		err = s.renewSums(base, last)
	}
	s.remember()
	return err
}

func (s *sqliteStore) connect(mode string) (*sql.DB, error) {
	path, err := filepath.Abs(s.path)
	if err != nil {
		return nil, folderError(s.dir, err)
	}
	q := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(5000)"}}
	connections := 2
	if mode == "rwc" {
		connections = 1
		// Checkpoints are ours, since the sums must follow them.
		q["_pragma"] = append(q["_pragma"], "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(0)")
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
func (s *sqliteStore) migrate() error {
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

func (s *sqliteStore) knownFormat(db *sql.DB) error {
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
			ErrNewer, s.path, version, schemaVersion)
	case version < schemaVersion:
		return fmt.Errorf("%w: %s has format %d, which never was: restore it from a copy", ErrDamaged, s.path, version)
	}
	return nil
}

func (s *sqliteStore) Append(expected uint64, rows []Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
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
		return ErrConflict
	}
	if len(rows) == 0 {
		return nil
	}
	s.sums.touch()
	if err := s.transact(func(tx *sql.Tx) error {
		insert := tx.Stmt(s.insert)
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
	s.last = rows[len(rows)-1].mark()
	s.sums.acknowledge(s.last)
	s.maybeCheckpoint()
	return nil
}

// notNil keeps an empty message as an empty blob: nil would be NULL.
func notNil(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

func (s *sqliteStore) transact(do func(*sql.Tx) error) error {
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

func (s *sqliteStore) Marks() (base, last Mark, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Mark{}, Mark{}, ErrClosed
	}
	base, err = s.marks()
	return base, s.last, err
}

// marks reads both marks of one moment and remembers the last.
func (s *sqliteStore) marks() (base Mark, err error) {
	s.known = false
	tx, err := s.read.Begin()
	if err != nil {
		return Mark{}, s.explain(err)
	}
	defer func() { _ = tx.Rollback() }()
	var last Mark
	for _, q := range []struct {
		from string
		mark *Mark
	}{{"base", &base}, {"events", &last}} {
		err := tx.QueryRow(`SELECT seq, time, hash FROM `+q.from+` ORDER BY seq DESC LIMIT 1`).Scan(&q.mark.Seq, &q.mark.Time, &q.mark.Hash)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return Mark{}, s.explain(err)
		}
	}
	if last.Seq < base.Seq {
		last = base
	}
	s.last, s.known = last, true
	return base, nil
}

func (s *sqliteStore) Drop(base Mark, data []byte) error {
	old, last, err := s.Marks()
	if err != nil {
		return err
	}
	if base.Seq <= old.Seq || base.Seq > last.Seq {
		return errDrop(base.Seq, old.Seq, last.Seq)
	}
	return s.change(func(tx *sql.Tx) error {
		for _, q := range []struct {
			text string
			args []any
		}{
			{`DELETE FROM events WHERE seq <= ?`, []any{int64(base.Seq)}},
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

func (s *sqliteStore) Keep(name string, data []byte) error {
	return s.change(func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT OR REPLACE INTO kept VALUES (?, ?)`, name, notNil(data))
		return err
	})
}

// change runs a transaction that appends nothing.
func (s *sqliteStore) change(do func(*sql.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.write == nil {
		return s.readOnly()
	}
	s.sums.touch()
	if err := s.transact(do); err != nil {
		s.known = false
		return err
	}
	s.maybeCheckpoint()
	return nil
}

func (s *sqliteStore) readOnly() error {
	return fmt.Errorf("%s was opened for reading only", s.path)
}

func (s *sqliteStore) Kept(name string) ([]byte, error) {
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

// Size is that of the pages in use: it costs nothing to ask.
func (s *sqliteStore) Size() (int64, error) {
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

func (s *sqliteStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed { // also by Replace, which may have left the lock
		return s.unlock()
	}
	s.closed = true
	var err error
	if s.write != nil {
		err = s.checkpoint()
	}
	return errors.Join(err, s.release())
}

// release lets go of all that open took. The lock goes last.
func (s *sqliteStore) release() error {
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
	if s.sums != nil {
		errs = append(errs, s.sums.close())
	}
	return errors.Join(append(errs, s.unlock())...)
}

func (s *sqliteStore) unlock() error {
	if s.lock == nil {
		return nil
	}
	err := s.lock.Close()
	s.lock = nil
	return err
}
