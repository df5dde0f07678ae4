package e2e

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"conga/cmd/internal/congatest"
)

// congaFile is the conga that all tests here start.
var congaFile string

// TestMain builds the real program, with the race detector where the tests have it.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "conga-e2e-*")
	if err == nil {
		congaFile, err = congatest.Build(dir, "conga")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir) // it is in a temporary folder
		os.Exit(code)
	}))
}
