package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the tests be this program where it starts itself.
func TestMain(m *testing.M) {
	if spins(os.Args) {
		spinUntilEnd(os.Stdin)
		return
	}
	goleak.VerifyTestMain(m)
}
