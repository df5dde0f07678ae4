//go:build unix

package catalog

import (
	"errors"
	"syscall"
)

// isQuota says whether the user has written as much as allowed.
func isQuota(err error) bool { return errors.Is(err, syscall.EDQUOT) }
