package catalog

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isQuota says whether the error means on this system that the disk is full.
func isQuota(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}
