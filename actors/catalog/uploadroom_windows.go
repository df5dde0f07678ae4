package catalog

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isQuota says whether the disk is full, as this system says it.
func isQuota(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}
