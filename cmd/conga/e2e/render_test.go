package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
)

// What the last listener was sent, over a kill -9 of the server, a skip and songs of two sample rates, is byte for byte in
// what conga log render makes of the log and the files; and the report has as much music as the file.
func TestE2E_Render(t *testing.T) {
	t.Parallel()
	cuts := map[string]congatest.Cut{}
	for name, cut := range congatest.Short {
		cut.N = 1000 // so long that the first can still be skipped, however busy the machine is
		cuts[name] = cut
	}
	songs, data, addr := congatest.Songs(t, cuts), t.TempDir(), quietPair(t)
	server := launchServer(t, songs, data, "--listen", addr, "--skip-votes", "1")
	amy := joinChain(t, server, "amy")[0]
	bob := launchListener(t, server, "bob", "--players", "1").awaitReady(t, listenerReady)
	bob.hears(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	stream := tune(ctx, t, bob.relay(), false).Body
	var recorded bytes.Buffer
	hear := func(bytes int64) {
		t.Helper()
		if _, err := io.CopyN(&recorded, stream, bytes); err != nil {
			t.Fatal(err)
		}
	}
	const second = 16_000
	hear(2 * second)
	eventually(t, "the song is skipped", func() string {
		amy.say(t, "SKIP") // again and again: the first may come before the song is heard
		if len(server.dump(t).Live.Pacer.Songs) == 0 {
			return "it is still on"
		}
		return ""
	})
	hear(4 * second) // of the next song, too
	server.kill()
	server = launchServer(t, songs, data, "--listen", addr)
	hear(3 * second)
	stop()
	heard := map[string]bool{}
	rendersAll(t, recorded.Bytes(), "--data", data, "--songs", songs)
	_, out, _ := conga(t, "log", "report", "--data", data, "--json")
	var report struct {
		Plays []struct {
			File    string
			Seconds float64
			Ended   string
		}
		Seconds float64
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sum, skipped := 0.0, 0
	for _, play := range report.Plays {
		if sum += play.Seconds; play.Ended != "" {
			skipped++
		}
		heard[play.File] = true
	}
	if len(heard) < 2 || skipped == 0 || sum < report.Seconds-0.1 || sum > report.Seconds+0.1 {
		t.Errorf("the report has %d songs, %d skipped, %.3f of %.3f seconds: %s", len(heard), skipped, sum, report.Seconds, out)
	}
	server.kill()
	t.Run("refuses", func(t *testing.T) { renderRefuses(t, songs, data, report.Plays[0].File) })
}

// A file that has changed or is gone is named, and nothing is written, or the rest is; no file is overwritten unasked.
func renderRefuses(t *testing.T, songs, data, song string) {
	dir := t.TempDir()
	file, path, now := filepath.Join(dir, "out.mp3"), filepath.Join(songs, song), time.Now().Format(time.RFC3339Nano)
	render := func(want int, words string, more ...string) {
		t.Helper()
		code, out, wrong := conga(t, append([]string{"log", "render", "--data", data, "--songs", songs, "--to", now, file}, more...)...)
		if code != want || !strings.Contains(wrong, words) {
			t.Errorf("%v: exit %d, %q%s", more, code, wrong, out)
		}
	}
	size := func() int64 {
		info, err := os.Stat(file)
		if err != nil {
			return -1
		}
		return info.Size()
	}
	render(0, "")
	whole := size()
	render(1, "exists: name another file, or remove it first, or replace it with --force")
	music, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(music)
	changed[len(changed)/50] ^= 1 // in what was sent of it
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	render(1, song+", heard from ", "--force")
	render(1, "its file has ", "--force")
	if size() != whole {
		t.Error("the file was touched though not all could be made again")
	}
	render(0, "left out: "+song, "--force", "--skip-missing")
	if got := size(); got <= 0 || got >= whole {
		t.Errorf("without a song it has %d bytes, with all %d", got, whole)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	render(1, "its file is gone", "--force")
	if err := os.WriteFile(path, music, 0o600); err != nil {
		t.Fatal(err)
	}
	render(1, "put the files back", "--force", "--songs", t.TempDir())
	render(1, "has not come yet", "--to", "2999-01-01")
	render(1, "is not before", "--from", "10m", "--to", "20m")
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// rendersAll waits until conga log render, with these flags, makes a file with all that was recorded, in one piece.
func rendersAll(t *testing.T, recorded []byte, flags ...string) {
	t.Helper()
	eventually(t, "what was sent last was heard, too", func() string { // until then it is not in the file
		file := filepath.Join(t.TempDir(), "out.mp3")
		code, _, wrong := conga(t, append([]string{"log", "render", file}, flags...)...)
		rendered, err := os.ReadFile(file)
		if code != 0 || err != nil {
			t.Fatalf("exit %d: %s, %v", code, wrong, err)
		}
		if !bytes.Contains(rendered, recorded) {
			return fmt.Sprintf("%d bytes, not found in %d", len(recorded), len(rendered))
		}
		return ""
	})
}
