//go:build unix

package console

import (
	"bufio"
	"errors"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxCaptured is the longest line that is caught whole.
const maxCaptured = 4096

// lastWords is how long release waits for what is still in the pipe.
const lastWords = 100 * time.Millisecond

// CaptureStderr turns file descriptor 2 into lines: C libraries (ALSA, JACK) print
// there and would tear the picture. release puts the descriptor back and ends lines;
// somebody must read lines until then. A crash of the Go program is still written to the
// real descriptor.
func CaptureStderr() (lines <-chan string, release func(), err error) {
	saved, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, nil, err
	}
	terminal := os.NewFile(uintptr(saved), "stderr")
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, terminal.Close())
	}
	err = unix.Dup2(int(w.Fd()), 2)
	_ = w.Close() // descriptor 2 is the pipe's only end now: putting it back ends lines
	if err != nil {
		return nil, nil, errors.Join(err, r.Close(), terminal.Close())
	}
	_ = debug.SetCrashOutput(terminal, debug.CrashOptions{}) // best effort: it only helps to see a crash

	caught := make(chan string)
	go func() {
		defer close(caught)
		defer func() { _ = r.Close() }()
		read := bufio.NewReaderSize(r, maxCaptured)
		for {
			line, _, err := read.ReadLine() // a longer line comes in pieces
			if err != nil {
				return
			}
			caught <- string(line)
		}
	}()
	return caught, sync.OnceFunc(func() {
		_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
		_ = unix.Dup2(saved, 2)
		_ = terminal.Close()
		_ = r.SetReadDeadline(time.Now().Add(lastWords)) // a child (PulseAudio's daemon) may hold the other end for ever
	}), nil
}
