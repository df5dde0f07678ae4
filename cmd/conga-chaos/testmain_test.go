package main

import (
	"flag"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"conga/cmd/internal/congatest"
)

// TestMain lets the tests be this program where it starts itself.
func TestMain(m *testing.M) {
	if spins(os.Args) {
		spinUntilEnd(os.Stdin)
		return
	}
	if err := flag.Set("rapid.checks", strconv.Itoa(unlessRaced(100, 20))); err != nil { // a flag of the command line wins
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// unlessRaced is the size of a run in virtual time: usual, or small with the race detector.
func unlessRaced(usual, small int) int {
	if congatest.Raced {
		return small
	}
	return usual
}
