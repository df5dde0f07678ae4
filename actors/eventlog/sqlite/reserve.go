package sqlite

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"conga/actors/eventlog"
	"conga/actors/internal/space"
)

// reserve is a file that keeps disk space for a log. It is removed when the disk is full, and written again
// when there is room. It helps against a disk that fills up, not against somebody who fills it faster than
// the log is written. It has one user at a time.
type reserve struct {
	path string
	size int64
}

const (
	reserveName = "reserve"
	// roomToSpare must be free beyond the reserve before the reserve is written again, so that a disk at
	// its limit does not alternate between full and not full.
	roomToSpare = 1 << 20
)

// NewReserve returns a reserve of size bytes in dir, the log's folder.
func NewReserve(dir string, size int64) eventlog.Reserve {
	return &reserve{filepath.Join(dir, reserveName), size}
}

// GiveUp frees the reserve; false if it is free already.
func (r *reserve) GiveUp() bool { return os.Remove(r.path) == nil }

// Fill writes the file if it is not there. The error is eventlog.ErrFull if there is not enough room.
func (r *reserve) Fill() error {
	if info, err := os.Stat(r.path); err == nil && info.Size() == r.size {
		return nil
	}
	dir := filepath.Dir(r.path)
	if free, err := space.Free(dir); err == nil && free < r.size+roomToSpare {
		return fmt.Errorf("%s has %d bytes free: %w", dir, free, eventlog.ErrFull)
	}
	part := r.path + ".part"
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	_, err = f.Write(noise(r.size))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(part, r.path)
	}
	if err != nil {
		_ = os.Remove(part)
	}
	return err
}

// noise returns random bytes, which no file system can compress.
func noise(size int64) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // it never fails
	return b
}
