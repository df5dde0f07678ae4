package chance

import (
	"os"
	"strconv"
	"testing"
)

// What a test prints gives it the same seed again; without it two runs differ.
func TestSeed(t *testing.T) {
	first := Seed(t)
	if _, is := os.LookupEnv(env); !is && Seed(t) == first {
		t.Errorf("%d twice", first)
	}
	t.Setenv(env, strconv.FormatUint(first, 10))
	if again := Seed(t); again != first {
		t.Errorf("%d, want %d again", again, first)
	}
}
