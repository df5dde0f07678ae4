package seed

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ramp is sound of which every sample is different from its neighbours.
func ramp(size int) []byte {
	sound := make([]byte, size)
	for i := range sound {
		sound[i] = byte(i>>1*7 + i>>9)
	}
	return sound
}
