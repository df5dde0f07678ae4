// Package chance gives random tests of all rooms their seeds, so that a run can be had again.
package chance

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// env is the variable that gives a seed back.
const env = "CONGA_SEED"

// Seed is a random number, or the one in CONGA_SEED. A test that fails says how to run it again with
// the same.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if given, is := os.LookupEnv(env); is {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("%s is not a seed: %v", env, err)
		}
	}
	t.Logf("once more with the same seed: %s=%d go test -run '^%s$'", env, seed, t.Name())
	return seed
}
