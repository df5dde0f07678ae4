// Package disk writes small files so that a power cut leaves either the old one or the new one, whole.
// It is for keys and identities, which cannot be made again.
package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces the file at path. When it returns, data and name are on the disk. If it crashes
// before, the old file is still there, perhaps with a temporary file beside it.
func WriteFile(path string, data []byte, mode fs.FileMode) (err error) {
	part, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part.Name()))
		}
	}()
	_, err = part.Write(data)
	if err := errors.Join(err, part.Chmod(mode), part.Sync(), part.Close()); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), path); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// SyncFolder syncs the names in the folder to the disk.
func SyncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(syncNames(dir), dir.Close())
}
