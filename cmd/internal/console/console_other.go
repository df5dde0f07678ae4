//go:build !unix

package console

import "errors"

var errHungUp = errors.New("hung up")

func foreground(int) bool { return true }

// Endure does nothing: elsewhere no signal comes from the terminal.
func Endure() {}
