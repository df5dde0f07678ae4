package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal; the test is whoever sits before it.
type terminal struct {
	*os.File          // where it is read and typed into
	tty      *os.File // what programs have
}

func newTerminal(t testing.TB) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	if controlErr := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return &terminal{master, tty}
}

func (m *terminal) types(t testing.TB, text string) {
	t.Helper()
	if _, err := io.WriteString(m, text); err != nil {
		t.Fatal(err)
	}
}

// shows reads the screen until the text is there.
func (m *terminal) shows(t testing.TB, text string) {
	t.Helper()
	var seen []byte
	began, drawn := time.Now(), time.Now()
	for buf := make([]byte, 4096); !strings.Contains(string(seen), text); {
		_ = m.SetReadDeadline(time.Now().Add(time.Second))
		n, err := m.Read(buf)
		seen = append(seen, buf[:n]...)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > patience {
			t.Fatalf("no %q on the terminal, but %q: %v", text, seen, err)
		}
		if time.Since(drawn) > 2*time.Second {
			m.resize(t)
			drawn = time.Now()
		}
	}
}

// resize makes a picture be drawn whole: else it draws only what differs, and a text that resembles the one before
// comes in pieces.
func (m *terminal) resize(t testing.TB) {
	t.Helper()
	size, err := unix.IoctlGetWinsize(int(m.tty.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return // no picture is drawn there
	}
	size.Col ^= 1
	if err := unix.IoctlSetWinsize(int(m.tty.Fd()), unix.TIOCSWINSZ, size); err != nil {
		t.Fatal(err)
	}
}

// fills waits until the terminal takes nothing more, for nobody reads it.
func (m *terminal) fills(t testing.TB) {
	t.Helper()
	_ = m.SetReadDeadline(time.Now())
	eventually(t, "the terminal is full", func() string {
		raw, err := m.SyscallConn()
		if err != nil {
			return err.Error()
		}
		waiting := 0
		_ = raw.Control(func(fd uintptr) { waiting, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
		if err != nil || waiting < 4095 {
			return fmt.Sprintf("%d bytes wait to be shown, %v", waiting, err)
		}
		return ""
	})
}

// controls makes the terminal the one that controls the process, which draws a picture there.
func controls(t testing.TB, screen *terminal) func(*exec.Cmd) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(screen.tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120}); err != nil {
		t.Fatal(err)
	}
	return func(c *exec.Cmd) {
		c.Stdin, c.Stdout, c.Stderr = screen.tty, screen.tty, screen.tty
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		c.Env = append(c.Env, "TERM=xterm", "LANG=C.UTF-8", "GORACE=exitcode=0") // its library closes the terminal while it reads
	}
}
