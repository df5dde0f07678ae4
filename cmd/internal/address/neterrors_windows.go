package address

import (
	"errors"

	"golang.org/x/sys/windows"
)

// IsRefused says whether a machine answers, but no program at that port.
func IsRefused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }

// A port may be taken by another program, be forbidden to this user, or belong to an address that is
// not this machine's.
func isTaken(err error) bool     { return errors.Is(err, windows.WSAEADDRINUSE) }
func isForbidden(err error) bool { return errors.Is(err, windows.WSAEACCES) }
func isElsewhere(err error) bool { return errors.Is(err, windows.WSAEADDRNOTAVAIL) }
