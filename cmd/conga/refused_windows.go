package main

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isRefused says whether a machine answers, but no program at that port.
func isRefused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }
