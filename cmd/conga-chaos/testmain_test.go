package main

import (
	"flag"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"conga/messages/raced"
)

// programs is a folder for what several tests need.
var programs string

// TestMain lets the tests be this program where it starts itself.
func TestMain(m *testing.M) {
	if spins(os.Args) {
		spinUntilEnd(os.Stdin)
		return
	}
	if err := flag.Set("rapid.checks", strconv.Itoa(raced.Size(100, 20))); err != nil { // a flag of the command line wins
		panic(err)
	}
	var err error
	if programs, err = os.MkdirTemp("", "conga-chaos-*"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(programs) // it is in a temporary folder
		os.Exit(code)
	}))
}
