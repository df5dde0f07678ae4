package node

import (
	"log/slog"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An actor system is cheap enough for each start of a program, and for each of many nodes in a test.
func TestNewSystem_Small(t *testing.T) {
	const most = 5000 // protoactor-go alone would make 70,000
	if n := testing.AllocsPerRun(3, func() { NewSystem(slog.New(slog.DiscardHandler)).Shutdown() }); n > most {
		t.Errorf("an actor system makes %v allocations, which should be at most %d", n, most)
	} else {
		t.Logf("%v allocations", n)
	}
}
