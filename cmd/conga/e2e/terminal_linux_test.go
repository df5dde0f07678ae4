package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"conga/cmd/internal/congatest"

	"golang.org/x/sys/unix"
)

// Control characters that people type.
const (
	stopOutput  = "\x13" // Ctrl-S
	startOutput = "\x11" // Ctrl-Q
)

// songsLater waits until so many more songs have ended on the server.
func songsLater(t testing.TB, server *process, n int) {
	t.Helper()
	last := uint64(0) // the server remembers only the newest songs
	for _, song := range server.dump(t).Live.Pacer.Songs {
		last = song.First
	}
	eventually(t, fmt.Sprintf("%d songs end", n), func() string {
		more := 0
		for _, song := range server.dump(t).Live.Pacer.Songs {
			if song.First > last {
				more++
			}
		}
		if more < n {
			return fmt.Sprintf("%d have", more)
		}
		return ""
	})
}

// causes is how the listeners have left, as the server's log has it.
func causes(t *testing.T, data string) (all map[string]string) {
	t.Helper()
	_, out, _ := conga(t, "log", "show", "--data", data, "--actor", "chainmanager")
	all = map[string]string{}
	for _, event := range regexp.MustCompile(`ListenerLeft .*cause=(\S+) .*name=(\S+)`).FindAllStringSubmatch(out, -1) {
		all[event[2]] = event[1]
	}
	return all
}

// hearsWhole checks that the listener has had all of the music, and from the one that fed it first. How
// often a busy machine had none to play in time is told, not asserted.
func (p *process) hearsWhole(t testing.TB) {
	t.Helper()
	r := p.dump(t).Live.Receipt
	if r.Heard == 0 || r.Lost != 0 || r.Splices != 0 {
		t.Errorf("%s: heard %d, lost %d, splices %d", p.name, r.Heard, r.Lost, r.Splices)
	}
	t.Logf("%s: underruns %d, silence %d ms", p.name, r.Underruns, r.SilentMs)
}

// The terminals of the server and of the first listener stand still while songs come, are asked for
// and change; then the server's is closed. Nobody hears anything of it.
func TestTerminal_StandsStill(t *testing.T) {
	t.Parallel()
	songs, data := congatest.Songs(t, congatest.Short), t.TempDir()
	before, above := newTerminal(t), newTerminal(t)
	server := launchOn(t, "server", func(c *exec.Cmd) { c.Stderr = before.tty },
		"serve", "--songs", songs, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", data).awaitReady(t, serverReady)
	before.shows(t, "others join with")
	amy := launchOn(t, "amy", func(c *exec.Cmd) { c.Stderr = above.tty },
		"join", server.requests(), "--name", "amy", "--output", "null", "--listen", "127.0.0.1:0").awaitReady(t, listenerReady)
	bob := launchListener(t, server, "bob").awaitReady(t, listenerReady)
	above.shows(t, "now playing")
	before.types(t, stopOutput)
	above.types(t, stopOutput)

	netcat(t, server.requests(), "PLAY air\nPLAY joy\n")
	if err := os.WriteFile(filepath.Join(songs, "new.mp3"), congatest.Short["air.mp3"].Frames(t), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new song is there", func() string {
		if answer := netcat(t, server.requests(), "SONGS\n"); !strings.Contains(answer, "new.mp3") {
			return "there are: " + answer
		}
		return ""
	})
	songsLater(t, server, 3)
	_ = before.Close()
	netcat(t, server.requests(), "PLAY new\n")
	if err := os.Remove(filepath.Join(songs, "new.mp3")); err != nil {
		t.Fatal(err)
	}
	songsLater(t, server, 2)
	for _, listener := range []*process{amy, bob} {
		listener.hears(t)
		listener.hearsWhole(t)
	}
	for _, listener := range []*process{bob, amy} { // amy's terminal still stands
		listener.end(t)
		if !strings.Contains(listener.out.String(), "receipt of "+listener.name) {
			t.Errorf("the receipt of %s is %q", listener.name, listener.out.String())
		}
	}
	server.signal(t, os.Interrupt)
	if code := server.exit(t); code != 0 {
		t.Errorf("the server ends with %d", code)
	}
	if got := causes(t, data); got["amy"] != "CAUSE_SAID_SO" || got["bob"] != "CAUSE_SAID_SO" {
		t.Errorf("left: %v", got)
	}
}

// A terminal that goes on shows what it missed.
func TestTerminal_GoesOn(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	screen := newTerminal(t)
	amy := launchOn(t, "amy", func(c *exec.Cmd) { c.Stdin, c.Stdout, c.Stderr = screen.tty, screen.tty, screen.tty },
		"join", server.requests(), "--plain", "--name", "amy", "--output", "null", "--listen", "127.0.0.1:0")
	screen.shows(t, "ready relay=")
	screen.types(t, stopOutput)
	songsLater(t, server, 2)
	if err := unix.IoctlSetWinsize(int(screen.tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 3, Col: 20}); err != nil { // made smaller meanwhile
		t.Fatal(err)
	}
	songsLater(t, server, 1)
	screen.types(t, startOutput)
	for range 3 {
		screen.shows(t, "now playing")
	}
	screen.types(t, "END\n")
	screen.shows(t, "receipt of amy")
	if code := amy.exit(t); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// Whoever closes the input by Ctrl-D hears that it plays on, and that typing is over.
func TestTerminal_CtrlD(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	keyboard := newTerminal(t)
	amy := launchOn(t, "amy", func(c *exec.Cmd) { c.Stdin = keyboard.tty },
		"join", server.requests(), "--name", "amy", "--output", "null", "--listen", "127.0.0.1:0")
	amy.awaitReady(t, listenerReady)
	keyboard.types(t, "PLAY nosuch\n")
	eventually(t, "it says how to find a song", func() string {
		if said := amy.out.String(); !strings.Contains(said, "\nSong does not exist\nSONGS <words> shows ") {
			return said
		}
		return ""
	})
	keyboard.types(t, "\x04")
	eventually(t, "it says that no more lines are read", func() string {
		if said := amy.out.String(); !strings.Contains(said, "no more lines are read: it plays on, Ctrl-C ends it") {
			return said
		}
		return ""
	})
	amy.hears(t)
}

// Who closes the terminal ends what runs in it: in order, and with a receipt where that can be
// written. What was started to survive that survives.
func TestTerminal_Closed(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	screen, servers := newTerminal(t), newTerminal(t)
	own := func(m *terminal) func(*exec.Cmd) { // the terminal controls the process
		return func(c *exec.Cmd) {
			c.Stdin, c.Stderr = m.tty, m.tty
			c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		}
	}
	server := launchOn(t, "server", own(servers),
		"serve", "--songs", congatest.Songs(t, congatest.Short), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", data).awaitReady(t, serverReady)
	join := []string{"join", server.requests(), "--output", "null", "--listen", "127.0.0.1:0", "--name"}
	bob := launchOn(t, "bob", func(c *exec.Cmd) {
		throughShell(c, `trap "" HUP; exec "$0" "$@"`) // as nohup does
	}, append(join, "bob")...).awaitReady(t, listenerReady)
	amy := launchOn(t, "amy", own(screen), append(join, "amy")...).awaitReady(t, listenerReady)
	amy.hears(t)

	_ = screen.tty.Close()
	_ = screen.Close()
	if code := amy.exit(t); code != 0 || !strings.Contains(amy.out.String(), "receipt of amy") {
		t.Errorf("exit %d, stdout %q", code, amy.out.String())
	}
	bob.signal(t, syscall.SIGHUP)
	bob.hears(t)
	if got := causes(t, data); got["amy"] != "CAUSE_SAID_SO" || got["bob"] != "" {
		t.Errorf("left: %v", got)
	}
	_ = servers.tty.Close()
	_ = servers.Close()
	if code := server.exit(t); code != 0 {
		t.Errorf("the server ends with %d", code)
	}
	bob.end(t)
}

// A listener in the background of a shell plays on and reads nothing; fg gives it the keyboard.
func TestTerminal_Background(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	screen := newTerminal(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	shell := launchOn(t, "shell", func(c *exec.Cmd) {
		c.Stdin, c.ExtraFiles = screen.tty, []*os.File{r}
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		throughShell(c, `set -m; "$0" "$@" & read go <&3; fg >&2`)
	}, "join", server.requests(), "--name", "amy", "--output", "null", "--listen", "127.0.0.1:0").awaitReady(t, listenerReady)
	for range 3 {
		shell.hears(t)
	}
	screen.types(t, "SONGS\n") // for whoever has the keyboard
	shell.hears(t)
	if out := shell.out.String(); strings.Contains(out, "air.mp3") {
		t.Errorf("in the background it has read: %q", out)
	}
	if _, err := io.WriteString(w, "go\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "in the foreground it reads", func() string {
		if out := shell.out.String(); !strings.Contains(out, "air.mp3") {
			return "it has said: " + out
		}
		return ""
	})
	screen.types(t, "END\n")
	if code := shell.exit(t); code != 0 || !strings.Contains(shell.out.String(), "receipt of amy") {
		t.Errorf("exit %d, %q", code, shell.out.String())
	}
}

// A command that only prints ends with its reader, at once and quietly; and when it is told to, though
// nobody reads.
func TestTerminal_OneShot(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	songsLater(t, server, 1)
	tail := []string{"log", "tail", "--data", server.cmd.Args[slices.Index(server.cmd.Args, "--data")+1]}
	for _, test := range []struct {
		name, kind string
		signal     os.Signal
	}{
		{"its reader is gone", "reader gone", nil},
		{"its terminal stands still", "stands still", os.Interrupt},
		{"its terminal is closed", "stands still", syscall.SIGHUP},
		{"nobody reads its pipe", "pipe nobody reads", syscall.SIGTERM},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := launchOn(t, "log tail", func(c *exec.Cmd) { c.Stdout = streamKinds[test.kind](t) }, tail...)
			if test.signal != nil {
				songsLater(t, server, 1)
				if p.ended() {
					t.Fatal("it has ended")
				}
				p.signal(t, test.signal)
			}
			p.exit(t)
			if test.signal == nil && p.err.String() != "" {
				t.Errorf("it says %q", p.err.String())
			}
		})
	}
}

// END is heard while an answer is awaited from a server that stands still.
func TestTerminal_EndUnanswered(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	amy := launchListener(t, server, "amy").awaitReady(t, listenerReady)
	amy.hears(t)
	server.signal(t, syscall.SIGSTOP)
	amy.say(t, "SONGS")
	amy.say(t, "REQUESTS")
	amy.end(t)
	if out := amy.out.String(); !strings.Contains(out, "receipt of amy") {
		t.Errorf("it says %q", out)
	}
}

// The picture of a listener is drawn on a terminal that takes nothing: the music goes on, for it and for
// who hears it. When the terminal goes on, what is typed is heard.
func TestTerminal_Picture(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	screen := newTerminal(t)
	amy := launchOn(t, "amy", controls(t, screen), "join", server.requests(), "--name", "amy", "--output", "null", "--listen", "127.0.0.1:0")
	screen.shows(t, "amy (you)")
	bob := launchListener(t, server, "bob").awaitReady(t, listenerReady)
	screen.shows(t, "bob hears from you now")
	screen.fills(t)
	songsLater(t, server, 2)
	bob.hears(t)
	bob.hearsWhole(t)
	if amy.ended() {
		t.Fatal("amy has ended")
	}
	screen.types(t, "air")
	screen.shows(t, "Enter asks for it")
	screen.types(t, "\r")
	screen.shows(t, "PLAY air.mp3")
	screen.types(t, "END\r")
	screen.shows(t, "\x1b[?1049l") // the terminal is as before
	screen.shows(t, "receipt of amy")
	if code := amy.exit(t); code != 0 {
		t.Errorf("exit %d", code)
	}
	bob.hears(t)
}

// Whatever a listener with a picture dies of, its terminal is in order afterwards.
func TestTerminal_Crash(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	for _, death := range []struct {
		signal syscall.Signal
		says   string
	}{{syscall.SIGKILL, ""}, {syscall.SIGQUIT, "goroutine "}} { // the second ends as a panic does
		screen, id := newTerminal(t), filepath.Join(t.TempDir(), "pid")
		before, err := unix.IoctlGetTermios(int(screen.tty.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		shell := launchOn(t, "shell", func(c *exec.Cmd) { // as a shell's the terminal outlives the program
			controls(t, screen)(c)
			c.Env = append(c.Env, "ID="+id)
			throughShell(c, `sh -c 'echo $$ >$ID.new; mv $ID.new $ID; exec "$0" "$@"' "$0" "$@"; read line`)
		}, "join", server.requests(), "--name", "amy", "--output", "null", "--listen", "127.0.0.1:0", "--data", "none")
		screen.shows(t, "amy (you)")
		text, err := os.ReadFile(id)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, death.signal); err != nil {
			t.Fatal(err)
		}
		screen.shows(t, "\x1b[?1049l\x1b[?25h")
		if death.says != "" {
			screen.shows(t, death.says)
		}
		eventually(t, "the terminal is as before", func() string {
			after, err := unix.IoctlGetTermios(int(screen.tty.Fd()), unix.TCGETS)
			if err != nil || after.Lflag != before.Lflag || after.Iflag != before.Iflag || after.Oflag != before.Oflag {
				return fmt.Sprintf("%+v, %v", after, err)
			}
			return ""
		})
		screen.types(t, "end\n")
		shell.exit(t)
	}
}

// The picture of the demo is drawn on a terminal that takes nothing: it ends when it is told to.
func TestTerminal_Demo(t *testing.T) {
	t.Parallel()
	screen := newTerminal(t)
	demo := launchOn(t, "demo", controls(t, screen), "demo", "--listeners", "1")
	screen.shows(t, "server")
	screen.fills(t)
	demo.signal(t, syscall.SIGTERM)
	if code := demo.exit(t); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// A demo plays from any folder. Who kills a listener with a key sees it go, and the last one hears all.
func TestTerminal_DemoKill(t *testing.T) {
	t.Parallel()
	screen := newTerminal(t)
	demo := launchOn(t, "demo", func(c *exec.Cmd) { controls(t, screen)(c); c.Dir = t.TempDir() }, "demo", "--output", "null")
	screen.shows(t, "Prelude in C major")
	screen.types(t, "\t\t")
	screen.shows(t, "kills bob")
	screen.types(t, "\x0b") // Ctrl-K
	screen.shows(t, "bob is killed")
	screen.shows(t, "cem lost bob")
	demo.signal(t, syscall.SIGTERM)
	if code := demo.exit(t); code != 0 {
		t.Errorf("exit %d", code)
	}
}
