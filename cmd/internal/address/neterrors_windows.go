package address

import (
	"errors"

	"golang.org/x/sys/windows"
)

// IsRefused says whether a machine answers, but no program at that port.
func IsRefused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }

// Why a port cannot be had: another program has it, this user may not have it, or the address is
// not this machine's.
func isTaken(err error) bool     { return errors.Is(err, windows.WSAEADDRINUSE) }
func isForbidden(err error) bool { return errors.Is(err, windows.WSAEACCES) }
func isElsewhere(err error) bool { return errors.Is(err, windows.WSAEADDRNOTAVAIL) }
