package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conga/actors/eventlog"
	"conga/messages"
)

func dumpOf(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

// journalOf opens the journal and closes it with the test; said is what was logged.
func journalOf(t *testing.T, data, listeners, name string) (j journal, said string) {
	t.Helper()
	var log bytes.Buffer
	j, err := openJournal(data, listeners, name, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.log.Close() })
	return j, log.String()
}

func heard(t *testing.T, j journal, song string) {
	t.Helper()
	if _, err := j.log.Append(eventlog.Any, "player", nil, &messages.SongHeard{Song: song}); err != nil {
		t.Fatal(err)
	}
}

// A listener that comes back is who it was, and remembers; a namesake is somebody else.
func TestJournal_Namesakes(t *testing.T) {
	listeners := filepath.Join(t.TempDir(), "listeners")
	first, said := journalOf(t, "", listeners, "amy")
	if said != "" || first.dir != filepath.Join(listeners, "amy") {
		t.Errorf("in %s, said %q", first.dir, said)
	}
	heard(t, first, "bach.mp3")
	second, said := journalOf(t, "", listeners, "amy")
	if second.dir != filepath.Join(listeners, "amy-2") || second.identity.ID() == first.identity.ID() || strings.Count(said, "amy-2") != 1 {
		t.Errorf("in %s, said %q", second.dir, said)
	}
	if err := first.log.Close(); err != nil {
		t.Fatal(err)
	}
	again, said := journalOf(t, "", listeners, "amy")
	if again.identity.ID() != first.identity.ID() || again.log.Last() != 1 || said != "" {
		t.Errorf("id %s, was %s; %d events; said %q", again.identity.ID(), first.identity.ID(), again.log.Last(), said)
	}
}

func TestJournal_None(t *testing.T) {
	listeners := t.TempDir()
	j, said := journalOf(t, "none", listeners, "amy")
	heard(t, j, "bach.mp3")
	if files, _ := os.ReadDir(listeners); len(files) > 0 || said != "" || j.identity == nil || j.dir != "" {
		t.Errorf("%v, %q", files, said)
	}
}

// The music does not depend on the usual folder; one that was asked for must work.
func TestJournal_NoFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j, said := journalOf(t, "", file, "amy")
	if j.dir != "" || !strings.Contains(said, "in memory only") {
		t.Errorf("in %q, said %q", j.dir, said)
	}
	if _, err := openJournal(filepath.Join(file, "amy"), "", "amy", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file is a folder")
	}
	server := t.TempDir()
	if _, err := signingKey(server); err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(server, "", "amy", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "server's data folder") {
		t.Errorf("a server's folder: %v", err)
	}
}

// A damaged story is put aside, and the listener is still who it was.
func TestJournal_Damaged(t *testing.T) {
	data := t.TempDir()
	j, _ := journalOf(t, data, "", "amy")
	heard(t, j, "bach.mp3")
	if err := j.log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "conga.db"), []byte("not a log"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, said := journalOf(t, data, "", "amy")
	if again.identity.ID() != j.identity.ID() || again.log.Last() != 0 || !strings.Contains(said, "put aside") {
		t.Errorf("id %s, was %s; %d events; said %q", again.identity.ID(), j.identity.ID(), again.log.Last(), said)
	}
	if text, err := os.ReadFile(filepath.Join(data, "conga.db"+asideSuffix)); err != nil || string(text) != "not a log" {
		t.Errorf("aside is %q (%v)", text, err)
	}
}

func TestFolderName(t *testing.T) {
	for name, want := range map[string]string{
		"amy": "amy", "Amélie B.": "Amélie_B.", "../../etc": ".._.._etc", "..": "listener", "": "listener", "a/b\\c": "a_b_c", "-x": "-x",
	} {
		if got := folderName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// Why tells from the listener's own log when nobody can be asked.
func TestWhy_FromDisk(t *testing.T) {
	listeners := t.TempDir()
	j, _ := journalOf(t, "", listeners, "amy")
	if _, err := j.log.Append(eventlog.Any, "relay", nil, &messages.NodeStarted{
		Node: &messages.Node{Id: j.identity.ID(), Name: "amy"}, Server: "radio:7000", AtUnixUs: time.Now().UnixMicro(),
	}); err != nil {
		t.Fatal(err)
	}
	if err := j.log.Close(); err != nil {
		t.Fatal(err)
	}
	got := ok(t, "why", "amy", "--http", "127.0.0.1:1", "--data", listeners)
	if !strings.Contains(got, "The server could not be asked") || !strings.Contains(got, "amy was started, to listen to radio:7000.") {
		t.Error(got)
	}
	refuses(t, []string{"why", "bob", "--http", "127.0.0.1:1", "--data", listeners}, "nobody answers at 127.0.0.1:1")
	refuses(t, []string{"why", "--http", "127.0.0.1:1"}, "nobody answers at 127.0.0.1:1")
	refuses(t, []string{"why", "--since", "soon"}, "--since")
}
