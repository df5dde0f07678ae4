//go:build unix

package console

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCaptureStderr(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	real, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(real)
	defer unix.Dup2(real, 2)
	unix.Dup2(int(file.Fd()), 2) // what is written after release lands in a file

	lines, release, err := CaptureStderr()
	if err != nil {
		t.Fatal(err)
	}
	caught := make(chan []string)
	go func() { caught <- slices.Collect(each(lines)) }()
	fmt.Fprintln(os.Stderr, "from Go")
	child := exec.Command("sh", "-c", "echo from C >&2")
	child.Stderr = os.Stderr
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(os.Stderr, strings.Repeat("x", maxCaptured+7))
	release()
	release() // harmless
	got := <-caught
	if len(got) != 4 || got[0] != "from Go" || got[1] != "from C" || len(got[2])+len(got[3]) != maxCaptured+7 {
		t.Errorf("caught %q", got)
	}
	fmt.Fprintln(os.Stderr, "afterwards")
	if text, _ := os.ReadFile(file.Name()); string(text) != "afterwards\n" {
		t.Errorf("on the real stderr: %q", text)
	}
}

// PulseAudio's daemon, started by a library, keeps descriptor 2 open for ever.
func TestCaptureStderr_ChildHoldsIt(t *testing.T) {
	lines, release, err := CaptureStderr()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		for range lines {
		}
		close(done)
	}()
	child := exec.Command("cat")
	child.Stderr = os.Stderr
	hold, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	release()
	<-done // hangs for ever if release waits for the child
	hold.Close()
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}

func each(lines <-chan string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for line := range lines {
			if !yield(line) {
				return
			}
		}
	}
}
