package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"conga/cmd/internal/congatest"
)

// timeout(1) signals a process and then its group: it is the same wish, and the last words are said.
func TestE2E_ToldTwice(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals")
	}
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	for _, second := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		amy := launchListener(t, server, "amy").awaitReady(t, listenerReady)
		amy.hears(t)
		amy.signal(t, syscall.SIGTERM)
		for range 100 { // one may come together with the first, not all of them
			_ = amy.cmd.Process.Signal(second) // it may have ended
		}
		if code := amy.exit(t); code != 0 || !strings.Contains(amy.out.String(), "receipt of amy") {
			t.Errorf("exit %d, %s%s", code, amy.out.String(), tail(amy.err.String()))
		}
	}
}

// Of more songs than an answer holds a listener sees all, page by page.
func TestE2E_ManySongs(t *testing.T) {
	t.Parallel()
	const many = 1300 // with such names more than 256 kB
	songs := congatest.Songs(t, congatest.Short)
	some, err := filepath.Glob(filepath.Join(songs, "*.mp3"))
	if err != nil || len(some) == 0 {
		t.Fatal(some, err)
	}
	for i := range many {
		if err := os.Link(some[0], filepath.Join(songs, fmt.Sprintf("%04d %s.mp3", i, strings.Repeat("long", 55)))); err != nil {
			t.Skip("no links here: ", err)
		}
	}
	server := launchServer(t, songs, t.TempDir())
	eventually(t, "all songs are known", func() string {
		if got := netcat(t, server.requests(), "SONGS 1299\nQUIT\n"); !strings.HasPrefix(got, "1300. 1299 long") {
			return got
		}
		return ""
	})
	amy := launchListener(t, server, "amy").awaitReady(t, listenerReady)
	for _, said := range []struct{ line, want string }{
		{"SONGS", "SONGS 6 shows the next ones"},
		{"SONGS 6", "\n1200. "},
		{"SONGS 7", "\n1300. "},
		{"SONGS 1299", "\n1300. 1299 long"},
	} {
		amy.say(t, said.line)
		eventually(t, said.line, func() string {
			if text := amy.out.String(); !strings.Contains(text, said.want) {
				return fmt.Sprintf("no %q in %d bytes", said.want, len(text))
			}
			return ""
		})
	}
	amy.end(t)
}
