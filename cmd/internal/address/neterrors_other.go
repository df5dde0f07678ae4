//go:build !windows

package address

import (
	"errors"
	"syscall"
)

// IsRefused says whether a machine answers, but no program at that port.
func IsRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// A port may be taken by another program, be forbidden to this user, or belong to an address that is
// not this machine's.
func isTaken(err error) bool     { return errors.Is(err, syscall.EADDRINUSE) }
func isForbidden(err error) bool { return errors.Is(err, syscall.EACCES) }
func isElsewhere(err error) bool { return errors.Is(err, syscall.EADDRNOTAVAIL) }
