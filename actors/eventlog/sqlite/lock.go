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

// lockName is the file that the data folder's writer keeps locked. It holds the
// writer's process id, for people.
const lockName = "conga.lock"

// errTaken: another process has the lock.
var errTaken = errors.New("another process has the lock")

// lock makes this process the data folder's writer. The lock ends when the file is
// closed or the process dies. The file stays: if it were removed, a second process could
// hold the lock on the old file and a third on a new one.
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

// folderError adds to an error of the system about dir what to do.
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
