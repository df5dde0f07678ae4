package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
	"conga/cmd/internal/keys"
)

// The disk of the log fills up while the music plays, twice; once somebody goes on filling it, so
// that the reserve is taken, too. The songs go on, whoever goes is missed, who comes hears the
// music, and who asks for a song is told why not. When there is room, all that happened is in the log.
func TestDisk_Full(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("a small disk needs a mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(data, syscall.MNT_DETACH) })
	log := filepath.Join(data, "log")
	server := launchServer(t, congatest.Songs(t, congatest.Short), log)
	chain := joinChain(t, server, "amy", "bob0")
	said := func(words string) string { return askPlain(t, server.requests(), words) }
	for round, goesOn := range []bool{false, true} {
		stop := fill(t, filepath.Join(data, "filling"), goesOn)
		eventually(t, "the disk is full, and PLAY says so", func() string {
			if answer := said("PLAY 1\n"); !strings.HasPrefix(answer, "The server's disk is full") {
				return answer
			}
			return ""
		})
		songs := server.dump(t).Live.Pacer.Songs
		last := uint64(0)
		if len(songs) > 0 {
			last = songs[len(songs)-1].First
		}
		chain[len(chain)-1].kill()
		bob := launchListener(t, server, fmt.Sprint("bob", round+1)).awaitReady(t, listenerReady)
		eventually(t, "the next songs play, and who was killed is gone", func() string {
			dump, ended := server.dump(t), 0
			for _, song := range dump.Live.Pacer.Songs {
				if song.First > last {
					ended++
				}
			}
			if want := []string{"amy", bob.name}; ended < 4 || !slices.Equal(dump.chain(), want) {
				return fmt.Sprintf("%d songs have ended since, the chain is %v, not %v", ended, dump.chain(), want)
			}
			return ""
		})
		chain = append(chain, bob)
		stop()
		eventually(t, "there is room, and a song may be asked for", func() string {
			if answer := said("PLAY 1\n"); strings.HasPrefix(answer, "The server's disk") {
				return answer
			}
			return ""
		})
	}
	chain[0].unhurt(t)
	chain[len(chain)-1].unhurt(t)
	if err := server.err.String(); !strings.Contains(err, "kept in memory") {
		t.Errorf("the reserve was never used up: %s", err)
	}
	before := server.dump(t).Event
	server.kill()
	text := logOf(t, log)
	for _, name := range []string{"bob0", "bob1"} {
		if !lineWith(text, "ListenerLeft", "name="+name) {
			t.Errorf("the log does not know that %s has gone", name)
		}
	}
	if n := strings.Count(text, "\n"); uint64(n) < before {
		t.Errorf("the log has %d events of %d", n, before)
	}
}

// Somebody removes the server's data folder while it runs. It says so, writes all that it knows there again,
// its key, too, and whoever starts it anew finds everything.
func TestDisk_FolderRemoved(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "log")
	songs := congatest.Songs(t, congatest.Short)
	server := launchServer(t, songs, data)
	amy := joinChain(t, server, "amy")[0]
	key, err := os.ReadFile(filepath.Join(data, keys.SigningFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log is there again", func() string {
		again, err := os.ReadFile(filepath.Join(data, keys.SigningFile))
		if err != nil || !bytes.Equal(key, again) {
			return fmt.Sprintf("the key: %v", err)
		}
		if answer := askPlain(t, server.requests(), "PLAY 1\n"); strings.Contains(answer, "disk") {
			return answer
		}
		return ""
	})
	if err := server.err.String(); !strings.Contains(err, "is gone") {
		t.Errorf("it says nothing of it: %s", err)
	}
	before := server.dump(t).Event
	server.kill()
	if text := logOf(t, data); uint64(strings.Count(text, "\n")) < before || !lineWith(text, "SongQueued") {
		t.Errorf("of %d events the log has\n%s", before, text)
	}
	amy.unhurt(t)
}

// logOf is what conga log show prints, of a log that is sound.
func logOf(t *testing.T, data string) string {
	t.Helper()
	verify := launch(t, "verify", "log", "verify", "--data", data)
	if code := verify.exit(t); code != 0 {
		t.Errorf("verify: exit %d, %s", code, verify.err.String())
	}
	show := launch(t, "show", "log", "show", "--data", data)
	if code := show.exit(t); code != 0 {
		t.Fatalf("show: exit %d, %s", code, show.err.String())
	}
	return show.out.String()
}

// fill takes all room on the disk, and goes on with that if it should until stop gives it back.
func fill(t *testing.T, path string, goesOn bool) (stop func()) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	page := bytes.Repeat([]byte("x"), 4096)
	take := func() (err error) {
		for err == nil {
			_, err = f.Write(page)
		}
		return err
	}
	if err := take(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var filling sync.WaitGroup
	if goesOn {
		filling.Go(func() {
			again := time.NewTicker(time.Millisecond)
			defer again.Stop()
			for {
				_ = take()
				select {
				case <-again.C:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return func() {
		cancel()
		filling.Wait()
		if err := errors.Join(f.Close(), os.Remove(path)); err != nil {
			t.Error(err)
		}
	}
}

// askPlain says the words as somebody with nc does, and returns the answer.
func askPlain(t *testing.T, addr, words string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, words)
	_ = conn.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}
