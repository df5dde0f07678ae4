package node

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conga/actors/eventlog"
	"conga/cmd/internal/keys"
	"conga/messages"
)

// journalOf opens the journal and closes it with the test; said is what was logged.
func journalOf(t *testing.T, data, listeners, name string) (j Journal, said string) {
	t.Helper()
	var log bytes.Buffer
	j, err := OpenJournal(data, listeners, name, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Log.Close() })
	return j, log.String()
}

func heard(t *testing.T, j Journal, song string) {
	t.Helper()
	if _, err := j.Log.Append(eventlog.Any, "player", nil, &messages.SongHeard{Song: song}); err != nil {
		t.Fatal(err)
	}
}

// A listener that comes back has its old id and log. Another one of the same name has its own.
func TestJournal_Namesakes(t *testing.T) {
	listeners := filepath.Join(t.TempDir(), "listeners")
	first, said := journalOf(t, "", listeners, "amy")
	if said != "" || first.dir != filepath.Join(listeners, "amy") {
		t.Errorf("in %s, said %q", first.dir, said)
	}
	heard(t, first, "bach.mp3")
	second, said := journalOf(t, "", listeners, "amy")
	if second.dir != filepath.Join(listeners, "amy-2") || second.Identity.ID() == first.Identity.ID() || strings.Count(said, "amy-2") != 1 {
		t.Errorf("in %s, said %q", second.dir, said)
	}
	if err := first.Log.Close(); err != nil {
		t.Fatal(err)
	}
	again, said := journalOf(t, "", listeners, "amy")
	if again.Identity.ID() != first.Identity.ID() || again.Log.Last() != 1 || said != "" {
		t.Errorf("id %s, was %s; %d events; said %q", again.Identity.ID(), first.Identity.ID(), again.Log.Last(), said)
	}
}

func TestJournal_None(t *testing.T) {
	listeners := t.TempDir()
	j, said := journalOf(t, "none", listeners, "amy")
	heard(t, j, "bach.mp3")
	if files, _ := os.ReadDir(listeners); len(files) > 0 || said != "" || j.Identity == nil || j.dir != "" {
		t.Errorf("%v, %q", files, said)
	}
}

// If the usual folder cannot be used, there is music all the same. A folder that was asked for must work.
func TestJournal_NoFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j, said := journalOf(t, "", file, "amy")
	if j.dir != "" || !strings.Contains(said, "in memory only") {
		t.Errorf("in %q, said %q", j.dir, said)
	}
	if _, err := OpenJournal(filepath.Join(file, "amy"), "", "amy", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file is a folder")
	}
	server := t.TempDir()
	if _, err := keys.Signing(server); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(server, "", "amy", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "server's data folder") {
		t.Errorf("a server's folder: %v", err)
	}
}

// A listener that has not joined leaves no folder behind. One that joined before keeps its folder.
func TestJournal_Abandon(t *testing.T) {
	listeners := filepath.Join(t.TempDir(), "listeners")
	for _, before := range []bool{false, true} {
		j, _ := journalOf(t, "", listeners, "amy")
		heard(t, j, "bach.mp3")
		if err := j.Abandon(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(j.dir); (err == nil) != before {
			t.Errorf("there before %v: %v", before, err)
		}
		again, _ := journalOf(t, "", listeners, "amy")
		if err := again.Log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A server does not take a listener's folder, in which that listener would find a server's.
func TestOpenData_Listeners(t *testing.T) {
	j, _ := journalOf(t, t.TempDir(), "", "amy")
	if _, err := OpenData(j.dir, t.TempDir(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "a listener's data folder: choose another with --data") {
		t.Error(err)
	}
}

// Without a home, a warning says where the data goes.
func TestWarnHomeless(t *testing.T) {
	for _, key := range []string{"HOME", "XDG_DATA_HOME", "LocalAppData"} {
		t.Setenv(key, "")
	}
	for dir, want := range map[string]bool{DataDir(): true, filepath.Join(ListenersDir(), "amy"): true, "elsewhere": false} {
		var said bytes.Buffer
		if warnHomeless(dir, slog.New(slog.NewTextHandler(&said, nil))); strings.Contains(said.String(), "--data DIR") != want {
			t.Errorf("%s: said %q", dir, &said)
		}
	}
}

// A damaged log is put aside, and the listener keeps its id.
func TestJournal_Damaged(t *testing.T) {
	data := t.TempDir()
	j, _ := journalOf(t, data, "", "amy")
	heard(t, j, "bach.mp3")
	if err := j.Log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "conga.db"), []byte("not a log"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, said := journalOf(t, data, "", "amy")
	if again.Identity.ID() != j.Identity.ID() || again.Log.Last() != 0 || !strings.Contains(said, "put aside") {
		t.Errorf("id %s, was %s; %d events; said %q", again.Identity.ID(), j.Identity.ID(), again.Log.Last(), said)
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
