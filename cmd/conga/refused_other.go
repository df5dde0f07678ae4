//go:build !windows

package main

import (
	"errors"
	"syscall"
)

// isRefused says whether a machine answers, but no program at that port.
func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
