//go:build !windows

package address

import (
	"errors"
	"syscall"
)

// IsRefused says whether a machine answers, but no program at that port.
func IsRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// Why a port cannot be had: another program has it, this user may not have it, or the address is
// not this machine's.
func isTaken(err error) bool     { return errors.Is(err, syscall.EADDRINUSE) }
func isForbidden(err error) bool { return errors.Is(err, syscall.EACCES) }
func isElsewhere(err error) bool { return errors.Is(err, syscall.EADDRNOTAVAIL) }
