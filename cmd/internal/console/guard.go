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

// GuardCommand is the first argument that makes this program the guard of a terminal: it must then call
// StandGuard.
const GuardCommand = "terminal-guard"

// guardPatience is how long a guard may take to look at its terminal.
const guardPatience = 2 * time.Second

// fine is the last byte from a program that has left its terminal in order.
const fine = 0

// Guard starts a process that puts the terminal in order if this one dies while a picture is on it, even by a
// panic in any goroutine or by kill -9. It then prints the panic's message. Call done when the
// terminal is in order; it ends the guard. If no guard can be started, there is none.
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
	_, _ = ready.Read(make([]byte, 1)) // the guard must know the terminal's state before the picture is drawn
	late.Stop()
	_ = debug.SetCrashOutput(w, debug.CrashOptions{}) // without it the guard still sees the end
	return func() {
		_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
		_, _ = w.Write([]byte{fine})
		_ = w.Close()
		_ = guard.Wait()
	}
}

// mostCrash is how many bytes of a crash message are shown.
const mostCrash = 64 << 10

// inOrder are the control sequences that end a picture: the usual screen, a cursor, no colours, no special keys.
const inOrder = "\x1b[?2026l\x1b[?2004l\x1b[<u\x1b[>4m\x1b[m\x1b[?1049l\x1b[?25h"

// StandGuard is the guard's main function. words ends when the guarded program dies. It writes to ready when it
// knows the terminal's state.
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
