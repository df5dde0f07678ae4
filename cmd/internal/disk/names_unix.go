//go:build !windows

package disk

import "os"

func syncNames(dir *os.File) error { return dir.Sync() }
