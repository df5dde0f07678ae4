package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
)

// streamKinds are ends of a command that nobody can do anything about.
var streamKinds = map[string]func(t testing.TB) *os.File{
	"stands still": func(t testing.TB) *os.File {
		m := newTerminal(t)
		m.types(t, stopOutput)
		return m.tty
	},
	"hung up": func(t testing.TB) *os.File {
		m := newTerminal(t)
		_ = m.Close()
		return m.tty
	},
	"full disk":         func(t testing.TB) *os.File { return opened(t, "/dev/full") },
	"pipe nobody reads": func(t testing.TB) *os.File { w, _ := fullPipe(t); return w },
	"reader gone":       func(t testing.TB) *os.File { w, r := fullPipe(t); _ = r.Close(); return w },
	"closed":            func(testing.TB) *os.File { return nil },
}

// throughShell has the shell begin the process, with the script.
func throughShell(c *exec.Cmd, script string) {
	c.Path, c.Args = "/bin/sh", append([]string{"sh", "-c", script}, c.Args...)
}

func opened(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// fullPipe has no room for another byte.
func fullPipe(t testing.TB) (w, r *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	_ = w.SetWriteDeadline(time.Now().Add(patience / 40))
	for buf := make([]byte, 4096); err == nil; {
		_, err = w.Write(buf)
	}
	if !os.IsTimeout(err) {
		t.Fatal(err)
	}
	return w, r
}

// Whatever both streams of a server or a listener are, it plays, and ends in order.
func TestTerminal_AnyStream(t *testing.T) {
	t.Parallel()
	for kind, open := range streamKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			arrange := func(both bool) func(*exec.Cmd) {
				return func(c *exec.Cmd) {
					switch file := open(t); {
					case file == nil && both: // as with >&- 2>&-
						throughShell(c, `exec "$0" "$@" >&- 2>&-`)
					case file == nil:
						throughShell(c, `exec "$0" "$@" >&-`)
					case both:
						c.Stdout, c.Stderr = file, file
					default:
						c.Stdout = file
					}
				}
			}
			server := launchOn(t, "server", arrange(false), "serve", "--songs", congatest.Songs(t, congatest.Short), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", data)
			link := ""
			eventually(t, "the server says how to join", func() string {
				invitation := regexp.MustCompile(`'(conga://\S+)'`).FindStringSubmatch(server.err.String())
				if invitation == nil {
					return "it has said: " + server.err.String()
				}
				link = invitation[1]
				return ""
			})
			join := []string{"join", link, "--output", "null", "--listen", "127.0.0.1:0", "--name"}
			dead := launchOn(t, "dead", arrange(true), append(join, "dead")...)
			eventually(t, "dead is in the chain", func() string {
				if _, out, _ := conga(t, "log", "show", "--data", data, "--actor", "chainmanager"); !strings.Contains(out, "name=dead") {
					return "the log is: " + out
				}
				return ""
			})
			bob := launch(t, "bob", append(join, "bob")...).awaitReady(t, listenerReady)
			for range 3 {
				bob.hears(t)
			}
			eventually(t, "bob has a song from first to last chunk", func() string {
				if len(bob.dump(t).Live.Relay.Songs) == 0 {
					return "not yet"
				}
				return ""
			})
			bob.unhurt(t)
			if dead.ended() || server.ended() {
				t.Fatal("it has ended")
			}
			dead.signal(t, syscall.SIGTERM)
			code := dead.exit(t)
			if full := kind == "full disk"; full != (code != 0) { // a receipt that should be in a file, and is not
				t.Errorf("the listener ends with %d", code)
			}
			bob.hears(t)
			bob.end(t)
			server.signal(t, syscall.SIGTERM)
			if code := server.exit(t); code != 0 {
				t.Errorf("the server ends with %d", code)
			}
			if got := causes(t, data); got["dead"] != "CAUSE_SAID_SO" || got["bob"] != "CAUSE_SAID_SO" {
				t.Errorf("left: %v", got)
			}
		})
	}
}

// Whoever reads along goes away in mid-song.
func TestTerminal_ReaderGoes(t *testing.T) {
	t.Parallel()
	songs, data := congatest.Songs(t, congatest.Short), t.TempDir()
	piped := func(readers *[]*os.File) func(*exec.Cmd) {
		return func(c *exec.Cmd) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
			*readers, c.Stderr = append(*readers, r), w
		}
	}
	var readers []*os.File
	server := launchOn(t, "server", piped(&readers),
		"serve", "--songs", songs, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", data).awaitReady(t, serverReady)
	amy := launchOn(t, "amy", piped(&readers), "join", server.requests(), "--name", "amy", "--output", "null", "--listen", "127.0.0.1:0").awaitReady(t, listenerReady)
	bob := launchListener(t, server, "bob").awaitReady(t, listenerReady)
	bob.hears(t)
	server.cmd.Stderr.(*os.File).Close() // the child's alone
	amy.cmd.Stderr.(*os.File).Close()
	for _, r := range readers {
		_ = r.Close()
	}
	if err := os.Remove(filepath.Join(songs, "joy.mp3")); err != nil { // of which the server writes a line
		t.Fatal(err)
	}
	songsLater(t, server, 3)
	for _, p := range []*process{amy, bob} {
		p.hears(t)
		p.hearsWhole(t)
	}
	bob.end(t)
	amy.end(t)
}
