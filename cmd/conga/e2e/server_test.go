package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
)

func TestE2E_SecondServerOnTheSameData(t *testing.T) {
	t.Parallel()
	songs, data := congatest.Songs(t, congatest.Short), t.TempDir()
	first := launchServer(t, songs, data)
	amy := joinChain(t, first, "amy")[0]
	start := time.Now()
	second := launch(t, "second", "serve", "--songs", songs, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", data)
	oneClearLine(t, second, data)
	t.Logf("refused after %v", time.Since(start))
	amy.hears(t)
	amy.unhurt(t)
}

func TestE2E_NoData(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	places := map[string]string{"a file": file, "inside a file": filepath.Join(file, "conga")}
	if os.Geteuid() != 0 { // root may write anywhere
		locked := t.TempDir()
		if err := os.Chmod(locked, 0o500); err != nil {
			t.Fatal(err)
		}
		places["read-only"], places["inside read-only"] = locked, filepath.Join(locked, "conga")
	}
	for name, data := range places {
		oneClearLine(t, launch(t, name, "serve", "--songs", t.TempDir(), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", data), data)
	}
}

// A server without songs waits, says so, and plays what comes.
func TestE2E_NoSongsYet(t *testing.T) {
	t.Parallel()
	songs := t.TempDir()
	server := launchServer(t, songs, t.TempDir())
	eventually(t, "the server says that there are no songs", func() string {
		if !strings.Contains(server.err.String(), songs) {
			return server.err.String()
		}
		return ""
	})
	if got := netcat(t, server.requests(), "PLAY 1\n"); got != "Song does not exist\n" {
		t.Error(got)
	}
	amy := joinChain(t, server, "amy")[0]
	for name, song := range congatest.Short {
		if err := os.WriteFile(filepath.Join(songs, name), song.Frames(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	took := amy.hears(t)
	t.Logf("heard %v after the songs came", took)
	awaitChain(t, server, []*process{amy})
	amy.unhurt(t)
}
