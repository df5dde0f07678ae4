package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conga/actors"
	"conga/cmd/internal/congatest"
	"conga/messages"
)

// radio is a server that takes songs.
func radio(t *testing.T, songs string, limits actors.UploadLimits) *Server {
	t.Helper()
	n, err := StartServer(ServerOptions{Songs: songs, Listen: "127.0.0.1:0", Data: MemoryData(), Logger: slog.New(slog.DiscardHandler), Uploads: limits})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
	})
	<-n.Server.SongsKnown()
	return n
}

// asksHTTP asks the radio, and returns the status and the answer's text or error.
func asksHTTP(t *testing.T, n *Server, method, path string, body io.Reader, header ...string) (code int, says string) {
	t.Helper()
	ask, err := http.NewRequestWithContext(t.Context(), method, "http://"+n.Requests.Addr().String()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		ask.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{}} // a server that is to end the connection does not read what it refuses
	defer client.CloseIdleConnections()
	answer, err := client.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var words struct{ Text, Error string }
	if json.Unmarshal(said, &words) != nil {
		return answer.StatusCode, string(said)
	}
	return answer.StatusCode, words.Text + words.Error
}

// pieces hides the length of a body.
type pieces struct{ io.Reader }

// A guest brings a song to a real server, and requests it. Everything else is refused in words, and leaves no file.
func TestServer_Upload(t *testing.T) {
	songs := congatest.Songs(t, map[string]congatest.Cut{"air.mp3": {From: "bach.mp3", First: 100, N: 100}})
	n := radio(t, songs, actors.UploadLimits{Largest: 300_000, Most: 1 << 30})
	joy := congatest.Cut{From: "beethoven.mp3", First: 60, N: 100}.Frames(t)
	air, err := os.ReadFile(filepath.Join(songs, "air.mp3"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, method, path string
		body               io.Reader
		header             []string
		code               int
		says               string
	}{
		{"may it come?", "GET", fmt.Sprintf("/upload?name=joy.mp3&bytes=%d", len(joy)), nil, nil, 200, ""},
		{"may a large one come?", "GET", "/upload?name=joy.mp3&bytes=300001", nil, nil, 413, "at most 300000 bytes"},
		{"may a text come?", "GET", "/upload?name=joy.txt&bytes=3", nil, nil, 422, "rename it"},
		{"it comes", "PUT", "/upload?name=../../Ode%20to%20Joy.MP3&by=amy", bytes.NewReader(joy), nil, 200, "Song uploads/Ode to Joy.mp3 is here. PLAY uploads/Ode to Joy.mp3 asks for it."},
		{"again", "PUT", "/upload?name=other.mp3", bytes.NewReader(joy), nil, 409, "here already: PLAY uploads/Ode to Joy.mp3 asks for it"},
		{"the host's own", "PUT", "/upload?name=other.mp3", bytes.NewReader(air), nil, 409, "PLAY air.mp3 asks for it"},
		{"too large", "PUT", "/upload?name=a.mp3", bytes.NewReader(make([]byte, 300_001)), nil, 413, "at most 300000 bytes"},
		{"of no known size", "PUT", "/upload?name=a.mp3", pieces{bytes.NewReader(joy)}, nil, 411, "Content-Length"},
		{"where is it?", "GET", "/upload?id=1", nil, nil, 200, ""},
		{"where is one of no such id?", "GET", "/upload?id=" + strings.Repeat("1", 65), nil, nil, 400, "at most 64 bytes"},
		{"no music", "PUT", "/upload?name=a.mp3", strings.NewReader("hello"), nil, 422, "cannot be played"},
		{"without a name", "PUT", "/upload", strings.NewReader("hello"), nil, 400, "called"},
		{"by another site's page", "PUT", "/upload?name=a.mp3", bytes.NewReader(joy), []string{"Origin", "http://evil.example"}, 403, "other sites"},
		{"as a form", "POST", "/upload?name=a.mp3", bytes.NewReader(joy), nil, 405, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if code, says := asksHTTP(t, n, test.method, test.path, test.body, test.header...); code != test.code || !strings.Contains(says, test.says) {
				t.Errorf("%d %q, want %d and %q", code, says, test.code, test.says)
			}
		})
	}
	if said := n.Say(t.Context(), "PLAY uploads/Ode to Joy.mp3"); !strings.Contains(strings.Join(said, "\n"), "has been requested!") {
		t.Errorf("PLAY: %q", said)
	}
	var brought *messages.SongBrought
	for record, err := range n.Log.Since(0) {
		if err != nil {
			t.Fatal(err)
		}
		if event, is := record.Event.(*messages.SongBrought); is {
			if brought != nil {
				t.Error("twice")
			}
			brought = event
		}
		if record.Seq == n.Log.Last() {
			break
		}
	}
	if brought.GetListenerName() != "amy (guest)" || !strings.HasPrefix(brought.GetPerson(), "address-") || brought.GetBytes() != int64(len(joy)) {
		t.Errorf("the log says %v", brought)
	}
	files, err := filepath.Glob(filepath.Join(songs, "uploads", "[^.]*"))
	if hidden, _ := filepath.Glob(filepath.Join(songs, "uploads", ".incoming", "*")); err != nil || len(files) != 1 || len(hidden) != 0 {
		t.Errorf("the files are %q and %q", files, hidden)
	}
}

// Each try counts as a question, also one that is refused: to find that out, the server looks through the folder.
func TestServer_Upload_Paced(t *testing.T) {
	songs := congatest.Songs(t, map[string]congatest.Cut{"air.mp3": {From: "bach.mp3", First: 100, N: 100}})
	n := radio(t, songs, actors.UploadLimits{Largest: 10, Most: 1 << 30})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 2000 {
		ask, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+n.Requests.Addr().String()+"/upload?name=a.mp3", strings.NewReader("more than ten bytes"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(ask)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		switch answer.StatusCode {
		case http.StatusRequestEntityTooLarge:
		case http.StatusTooManyRequests:
			return
		default:
			t.Fatalf("status %d", answer.StatusCode)
		}
	}
	t.Error("one connection has tried 2000 times")
}

// Without --accept-uploads no song is taken, and no folder is made.
func TestServer_Upload_Off(t *testing.T) {
	songs := congatest.Songs(t, map[string]congatest.Cut{"air.mp3": {From: "bach.mp3", First: 100, N: 100}})
	n := radio(t, songs, actors.UploadLimits{})
	for _, method := range []string{"GET", "PUT"} {
		if code, says := asksHTTP(t, n, method, "/upload?name=a.mp3&bytes=5", strings.NewReader("hello")); code != 404 || !strings.Contains(says, "--accept-uploads") {
			t.Errorf("%s: %d %q", method, code, says)
		}
	}
	if _, err := os.Stat(filepath.Join(songs, "uploads")); err == nil {
		t.Error("there is a folder for uploads")
	}
}

// A visitor who leaves in mid-upload leaves no file behind, and gives the place back.
func TestServer_Upload_Broken(t *testing.T) {
	songs := congatest.Songs(t, map[string]congatest.Cut{"air.mp3": {From: "bach.mp3", First: 100, N: 100}})
	n := radio(t, songs, actors.UploadLimits{Largest: 300_000, Most: 1 << 30})
	joy := congatest.Cut{From: "beethoven.mp3", First: 60, N: 100}.Frames(t)
	for range 5 {
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", n.Requests.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "PUT /upload?name=joy.mp3 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s", len(joy), joy[:10_000]); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if answer, _ := io.ReadAll(conn); !strings.Contains(string(answer), "Not all of the file came") {
			t.Errorf("it is told %q", answer)
		}
		_ = conn.Close()
	}
	if code, says := asksHTTP(t, n, "PUT", "/upload?name=joy.mp3", bytes.NewReader(joy)); code != 200 {
		t.Errorf("%d %s", code, says)
	}
}
