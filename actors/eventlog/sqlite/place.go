package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"conga/actors/eventlog"
)

// If somebody removes or renames an open file, the process keeps using it, but its content is lost when the
// process ends. So a server checks that its files are where they belong.

// wholeSuffix marks a complete log that is still to be renamed to its proper name.
const wholeSuffix = ".whole"

// itsFiles returns the paths of the log's files.
func (s *Store) itsFiles() []string {
	return []string{s.path, s.path + "-wal", s.path + "-shm", s.path + noteSuffix, filepath.Join(s.dir, lockName)}
}

// remember records which files are open.
func (s *Store) remember() {
	s.files = map[string]os.FileInfo{}
	for _, path := range s.itsFiles() {
		if info, err := os.Stat(path); err == nil {
			s.files[path] = info
		}
	}
}

// Misplaced returns an error that names the first file that is not where it belongs. A file that cannot be
// looked at counts as being there.
func (s *Store) Misplaced() error {
	for _, path := range s.itsFiles() {
		was, open := s.files[path]
		if !open {
			continue
		}
		switch is, err := os.Stat(path); {
		case errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("%s is gone: somebody has removed or renamed it or its folder", path)
		case err == nil && !os.SameFile(is, was):
			return fmt.Errorf("%s is not the file that the server has open: stop the server before you restore a copy", path)
		}
	}
	return nil
}

// Replace writes the log to its path again. It renames another log that lies there. If the process crashes
// meanwhile, the next start finds the whole log under a name that it knows (takeWhole).
func (s *Store) Replace() (eventlog.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		if err := s.rewrite(); err != nil {
			return s, err
		}
	}
	if err := takeWhole(s.path); err != nil {
		return s, err
	}
	held, err := s.relock()
	if err != nil {
		return s, err
	}
	next := newStore(s.dir)
	next.lock = held
	if err := next.openForWriting(); err != nil {
		next.lock = nil
		return s, errors.Join(err, next.release())
	}
	s.lock = nil
	return next, nil
}

// rewrite writes the whole log into the folder, under its name with wholeSuffix, and closes everything but
// the lock.
func (s *Store) rewrite() error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return folderError(s.dir, err)
	}
	part := s.path + ".part"
	if err := errors.Join(ignoreMissing(os.Remove(part)), s.setAside()); err != nil {
		return err
	}
	if _, err := s.write.Exec(`VACUUM INTO ?`, part); err != nil {
		_ = os.Remove(part)
		return s.explain(err)
	}
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(part, s.path+wholeSuffix); err != nil {
		return err
	}
	s.closed = true
	held := s.lock
	s.lock = nil
	_ = s.release() // an error loses nothing: the new file has everything
	s.lock = held
	return nil
}

// setAside renames files of another log that lie in this log's place.
func (s *Store) setAside() error {
	aside := ""
	for n := 1; ; n++ {
		aside = fmt.Sprintf("%s.aside-%d", s.path, n)
		if _, err := os.Stat(aside); errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	for _, suffix := range []string{"", "-wal", "-shm", noteSuffix} {
		is, err := os.Stat(s.path + suffix)
		if was := s.files[s.path+suffix]; err != nil || was != nil && os.SameFile(is, was) {
			continue
		}
		if err := os.Rename(s.path+suffix, aside+suffix); err != nil {
			return fmt.Errorf("put another log aside: %w", err)
		}
	}
	return nil
}

// takeWhole renames a complete log to its proper name, if there is one. It first removes the previous
// log's other files, because SQLite would apply an old write-ahead log to the new file.
func takeWhole(path string) error {
	whole := path + wholeSuffix
	if _, err := os.Stat(whole); err != nil {
		return ignoreMissing(err)
	}
	for _, suffix := range []string{"-wal", "-shm", noteSuffix} {
		if err := ignoreMissing(os.Remove(path + suffix)); err != nil {
			return err
		}
	}
	if err := os.Rename(whole, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	_ = dir.Sync() // some systems cannot sync a folder
	return dir.Close()
}

// relock returns the lock on the folder, a new one if the lock file is gone.
func (s *Store) relock() (*os.File, error) {
	path := filepath.Join(s.dir, lockName)
	is, err := os.Stat(path)
	if was := s.files[path]; err == nil && was != nil && os.SameFile(is, was) {
		return s.lock, nil
	}
	held, err := lock(s.dir)
	if err != nil {
		return nil, err
	}
	_ = s.lock.Close()
	s.lock = held
	s.files[path], err = held.Stat()
	return held, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
