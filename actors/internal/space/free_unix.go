//go:build linux || darwin

package space

import "golang.org/x/sys/unix"

// Free returns how many bytes this user may still write to the folder's disk.
func Free(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
