package catalog

import (
	"strings"
	"syscall"
	"testing"

	"conga/messages"
)

// On a disk that is really full nothing is left of what did not fit, and what fits is taken.
func TestUploads_FullDisk(t *testing.T) {
	dir, b := t.TempDir(), &brings{}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=300k"); err != nil {
		t.Skipf("a small disk needs a mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	u := uploadsIn(dir, b)
	if _, err := take(u, "a.mp3", music(t, 0)); err != nil {
		t.Fatal(err)
	}
	_, err := take(u, "large.mp3", song(t, "bach.mp3")[:400_000])
	if fault(t, err) != messages.UploadNoRoom || !strings.Contains(err.Error(), "no room") {
		t.Errorf("it says %v", err)
	}
	if left := filesIn(t, dir); len(left) != 1 {
		t.Errorf("%d files are there", len(left))
	}
	if _, err := take(u, "b.mp3", music(t, 1)); err != nil {
		t.Error(err)
	}
}
