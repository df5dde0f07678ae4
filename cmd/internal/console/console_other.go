//go:build !unix

package console

import (
	"errors"
	"os"
)

var errHungUp = errors.New("hung up")

var guardIgnores = []os.Signal{os.Interrupt}

func foreground(int) bool { return true }

// Endure does nothing: on these systems no signal comes from the terminal.
func Endure() {}
