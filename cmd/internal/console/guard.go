package console

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/charmbracelet/x/term"
)

// GuardCommand is the first word of the command line that makes this program the guard of a terminal: it
// calls StandGuard.
const GuardCommand = "terminal-guard"

// guardPatience is how long a guard may take to look at its terminal.
const guardPatience = 2 * time.Second

// fine is the last word of a program that has left its terminal in order.
const fine = 0

// Guard has another process put the terminal in order if this one breaks down while a picture is on it, however
// that happens: a panic in any goroutine, kill -9. What the panic says is shown then. done ends the guard; the
// terminal is in order. Where no guard can be started, there is none.
func Guard(terminal term.File) (done func()) {
	nobody := func() {}
	program, err := os.Executable()
	if runtime.GOOS == "linux" {
		program = "/proc/self/exe" // also after an update has put another one in its place
	}
	if err != nil {
		return nobody
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nobody
	}
	guard := exec.Command(program, GuardCommand)
	guard.Stdin, guard.Stdout = r, terminal
	ready, err := guard.StderrPipe()
	if err == nil {
		err = guard.Start()
	}
	_ = r.Close()
	if err != nil {
		_ = w.Close()
		return nobody
	}
	late := time.AfterFunc(guardPatience, func() { _ = ready.Close() })
	_, _ = ready.Read(make([]byte, 1)) // BEFORE the picture: the guard knows how the terminal was
	late.Stop()
	_ = debug.SetCrashOutput(w, debug.CrashOptions{}) // without it the guard still sees the end
	return func() {
		_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
		_, _ = w.Write([]byte{fine})
		_ = w.Close()
		_ = guard.Wait()
	}
}

// mostCrash is how much of a crash is shown.
const mostCrash = 64 << 10

// inOrder are the words that end a picture: the usual screen, a cursor, no colours, no special keys.
const inOrder = "\x1b[?2026l\x1b[?2004l\x1b[<u\x1b[>4m\x1b[m\x1b[?1049l\x1b[?25h"

// StandGuard is the guard's whole life: words end with those whom it guards. It tells ready when it knows how
// the terminal is.
func StandGuard(words io.Reader, terminal term.File, ready io.Writer) {
	signal.Ignore(guardIgnores...)
	before, err := term.GetState(terminal.Fd())
	if err != nil {
		return
	}
	_, _ = ready.Write([]byte{fine})
	said, _ := io.ReadAll(io.LimitReader(words, mostCrash))
	_, _ = io.Copy(io.Discard, words)
	if bytes.HasSuffix(said, []byte{fine}) {
		return
	}
	_, _ = io.WriteString(terminal, inOrder)
	_ = term.Restore(terminal.Fd(), before)
	_, _ = terminal.Write(said)
}
