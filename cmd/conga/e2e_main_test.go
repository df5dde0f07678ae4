package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// asConga makes the test binary conga itself.
const asConga = "CONGA_TEST_IS_CONGA"

// TestMain lets a process that the end-to-end tests start be the real main: no second
// build, and the race detector in every node.
func TestMain(m *testing.M) {
	if os.Getenv(asConga) != "" {
		main() // exits
	}
	goleak.VerifyTestMain(m)
}
