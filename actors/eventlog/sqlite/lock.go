package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"conga/actors/eventlog"
)

// lockName is the file whose lock says that a process writes to the data folder;
// inside is its process id, for people.
const lockName = "conga.lock"

// errTaken: another process has the lock.
var errTaken = errors.New("another process has the lock")

// lock makes this process the data folder's writer. The lock ends with the file's
// Close, or with the process however it dies. The file stays: removing it would let
// a third process lock a new one while the second still waits at the old.
func lock(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, folderError(dir, err)
	}
	err = lockFile(f)
	if errors.Is(err, errTaken) {
		pid, _ := io.ReadAll(io.LimitReader(f, 20))
		_ = f.Close()
		return nil, fmt.Errorf("%w: %s belongs to the running conga with process id %s: stop it, or choose another folder with --data",
			eventlog.ErrLocked, dir, strings.TrimSpace(string(pid)))
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, folderError(dir, fmt.Errorf("lock %s: %w", path, err))
	}
	return f, nil
}

// folderError adds to what the system says about dir what to do.
func folderError(dir string, err error) error {
	switch {
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("data folder %s cannot be written: %w: make it writable, or choose another with --data", dir, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("data folder %s: %w: make room on its disk, or choose another with --data", dir, err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, os.ErrExist):
		return fmt.Errorf("data folder %s is not a folder: %w: choose another with --data", dir, err)
	}
	return fmt.Errorf("data folder %s cannot be used: %w: choose another with --data", dir, err)
}
