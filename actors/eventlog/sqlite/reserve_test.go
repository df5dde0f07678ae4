package sqlite

import (
	"os"
	"path/filepath"
	"testing"
)

// The reserve takes its space once, gives it up once, and takes it again.
func TestReserve(t *testing.T) {
	const size = 64 << 10
	dir := t.TempDir()
	r := NewReserve(dir, size)
	taken := func() bool {
		info, err := os.Stat(filepath.Join(dir, reserveName))
		return err == nil && info.Size() == size
	}
	if r.GiveUp() || taken() {
		t.Error("there is one already")
	}
	for range 2 {
		for range 2 {
			if err := r.Fill(); err != nil || !taken() {
				t.Fatalf("the room is not taken: %v", err)
			}
		}
		if !r.GiveUp() || taken() || r.GiveUp() {
			t.Error("it is not given up, or twice")
		}
	}
	if err := NewReserve(filepath.Join(dir, "none"), 1).Fill(); err == nil {
		t.Error("a folder that is not there has room")
	}
}
