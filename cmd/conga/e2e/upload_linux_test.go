package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conga/cmd/internal/congatest"
)

// The server is killed while a song comes: nothing of that is seen, and the next start removes it. One that was answered for
// is there after a kill, and so is who brought it.
func TestE2E_UploadKilled(t *testing.T) {
	t.Parallel()
	songs := congatest.Songs(t, map[string]congatest.Cut{"air.mp3": {From: "bach.mp3", First: 100, N: 1300}})
	joy := congatest.Cut{From: "beethoven.mp3", First: 60, N: 500}.Frames(t)
	data := t.TempDir()
	server := launchServer(t, songs, data, "--accept-uploads")
	incoming := filepath.Join(songs, "uploads", ".incoming")
	half, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", server.requests())
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	if _, err := fmt.Fprintf(half, "PUT /upload?name=joy.mp3 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s", len(joy), joy[:len(joy)/2]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "half of a song is on the disk", func() string {
		if files, err := os.ReadDir(incoming); err != nil || len(files) != 1 {
			return fmt.Sprint(files, err)
		}
		return ""
	})
	server.kill()
	server = launchServer(t, songs, data, "--accept-uploads")
	if files, err := os.ReadDir(incoming); err != nil || len(files) != 0 {
		t.Errorf("left: %v, %v", files, err)
	}
	if got := netcat(t, server.requests(), "SONGS\nQUIT\n"); !strings.HasPrefix(got, "1. air.mp3\n") || strings.Contains(got, "joy") {
		t.Errorf("the songs: %q", got)
	}

	put, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+server.requests()+"/upload?name=joy.mp3&by=amy", bytes.NewReader(joy))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(put)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	server.kill() // at once
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("the answer is %s", answer.Status)
	}
	if content, err := os.ReadFile(filepath.Join(songs, "uploads", "joy.mp3")); err != nil || !bytes.Equal(content, joy) {
		t.Errorf("%d bytes of %d are there: %v", len(content), len(joy), err)
	}
	if text := logOf(t, data); !lineWith(text, "SongBrought", "song=uploads/joy.mp3", `listener_name="amy (guest)"`) {
		t.Errorf("the log says\n%s", text)
	}
	server = launchServer(t, songs, data, "--accept-uploads")
	if got := netcat(t, server.requests(), "PLAY uploads/joy.mp3\nQUIT\n"); !strings.Contains(got, "Song uploads/joy.mp3 has been requested!") {
		t.Errorf("PLAY: %q", got)
	}
}
