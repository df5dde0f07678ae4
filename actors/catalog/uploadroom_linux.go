package catalog

import (
	"os"

	"golang.org/x/sys/unix"
)

// renameNew renames a file, unless a file has the new name.
func renameNew(root *os.Root, from, to string, _ error) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // nothing was written
	err = unix.Renameat2(int(dir.Fd()), from, int(dir.Fd()), to, unix.RENAME_NOREPLACE)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
