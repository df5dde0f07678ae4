package main

import (
	"bufio"
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

	"conga/actors/eventlog"
	"conga/actors/eventlog/sqlite"
	"conga/cmd/internal/cli"
	"conga/messages"
	"conga/messages/raced"
)

// incidentFile is a server's log of a real run.
const incidentFile = "../../actors/testdata/incidents/middle_killed.jsonl"

// incidentData is a data folder with that log.
func incidentData(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if code, out, err := conga(t, "log", "import", incidentFile, "--data", dir); code != 0 || !strings.Contains(out, "events") {
		t.Fatalf("exit %d: %s%s", code, out, err)
	}
	return dir
}

// ok runs the command, which must succeed, and returns what it prints.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	code, out, err := conga(t, args...)
	if code != 0 || err != "" {
		t.Fatalf("conga %s: exit %d: %s", strings.Join(args, " "), code, err)
	}
	return out
}

// refuses runs the command, which must fail with one line that has the words.
func refuses(t *testing.T, args []string, words ...string) {
	t.Helper()
	failsWith(t, cli.Failed, args, words...)
}

// misunderstands is refuses where the command line is what is wrong.
func misunderstands(t *testing.T, args []string, words ...string) {
	t.Helper()
	failsWith(t, cli.Usage, args, words...)
}

func failsWith(t *testing.T, want int, args []string, words ...string) {
	t.Helper()
	code, out, err := conga(t, args...)
	if code != want || strings.Count(err, "\n") != 1 {
		t.Errorf("conga %s: exit %d, %q, stdout %q", strings.Join(args, " "), code, err, out)
	}
	for _, word := range words {
		if !strings.Contains(err, word) {
			t.Errorf("conga %s: no %q in %q", strings.Join(args, " "), word, err)
		}
	}
}

func TestLog_ImportExport(t *testing.T) {
	data := incidentData(t)
	original, err := os.ReadFile(incidentFile)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "again.jsonl")
	ok(t, "log", "export", file, "--data", data)
	again, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(again, original) {
		t.Errorf("the export is another than was imported (%v)", err)
	}
	if ok(t, "log", "export", "-", "--data", data) != string(original) {
		t.Error("the standard output is another than the file")
	}
	part := ok(t, "log", "export", "-", "--to", "2", "--data", data)
	if n := strings.Count(part, "\n"); n == 0 || n > 2 || !strings.HasPrefix(string(original), part) {
		t.Errorf("up to event 2 there are %d", n)
	}
	refuses(t, []string{"log", "import", incidentFile, "--data", data}, "events already", "name a folder that has none")
}

// A long exported file is read like a short one, and nothing stays behind.
func TestLog_LongFile(t *testing.T) {
	data, temp := filepath.Join(t.TempDir(), "data"), t.TempDir()
	store, err := sqlite.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for range raced.Size(8, 1) { // MB; base64 makes it longer than that
		if _, err := log.Append(eventlog.Any, "scheduler", nil, &messages.SongQueued{Song: strings.Repeat("x", 1<<20)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "long.jsonl")
	ok(t, "log", "export", file, "--data", data)
	t.Setenv("TMPDIR", temp)
	if of, all := ok(t, "log", "verify", file), ok(t, "log", "verify", "--data", data); of != all {
		t.Errorf("the file: %s, the log: %s", of, all)
	}
	if of, all := ok(t, "log", "replay", file), ok(t, "log", "replay", "--data", data); of != all {
		t.Error("the file leads to another state than the log")
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestLog_Show(t *testing.T) {
	data := incidentData(t)
	all := strings.Split(strings.TrimSpace(ok(t, "log", "show", "--data", data)), "\n")
	if got := ok(t, "log", "show", incidentFile); strings.TrimSpace(got) != strings.Join(all, "\n") {
		t.Error("the file shows something else than the folder")
	}
	if got := ok(t, "log", "show", "--from", "3", "--to", "5", "--data", data); got != strings.Join(all[2:5], "\n")+"\n" {
		t.Errorf("events 3 to 5:\n%s", got)
	}
	for line := range strings.Lines(ok(t, "log", "show", "--actor", "scheduler", "--data", data)) {
		if !strings.Contains(line, " scheduler ") {
			t.Errorf("not the scheduler's: %s", line)
		}
	}
	at := strings.Fields(all[9])[1]
	for line := range strings.Lines(ok(t, "log", "show", "--from", at, "--json", "--data", data)) {
		var event struct {
			Seq  int    `json:"seq"`
			Time string `json:"time"`
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil || event.Seq < 9 || event.Time < at[:19] {
			t.Errorf("%v: %s", err, line)
		}
	}
}

// Replay prints what the dump's state is, wherever the log is.
func TestLog_Replay(t *testing.T) {
	data := incidentData(t)
	whole := ok(t, "log", "replay", "--data", data)
	recorded, err := os.ReadFile(strings.TrimSuffix(incidentFile, ".jsonl") + ".state.json")
	if err != nil || whole != string(recorded) {
		t.Errorf("state (%v)\n%s\nrecorded\n%s", err, whole, recorded)
	}
	if got := ok(t, "log", "replay", incidentFile); got != whole {
		t.Error("the file gives another state than the folder")
	}
	early := ok(t, "log", "replay", "--at", "5", "--data", data)
	if early == whole || ok(t, "log", "replay", "--at", "5", incidentFile) != early {
		t.Errorf("at event 5\n%s", early)
	}
	fifth := strings.Fields(ok(t, "log", "show", "--from", "5", "--to", "5", "--json", incidentFile))
	_, after, _ := strings.Cut(fifth[0], `"time":"`)
	at, _, _ := strings.Cut(after, `"`)
	if got := ok(t, "log", "replay", "--at", at, "--data", data); !strings.Contains(got, `"scheduler"`) || len(got) < len(early) {
		t.Errorf("at %s\n%s", at, got)
	}
	if got := ok(t, "log", "diff", "5", "5", "--data", data); got != "" {
		t.Errorf("a moment differs from itself: %s", got)
	}
	if got := ok(t, "log", "diff", "5", "7", "--data", data); !strings.Contains(got, " -> ") {
		t.Errorf("nothing changed: %q", got)
	}
	if got := ok(t, "log", "diff", data, incidentFile); got != "" {
		t.Errorf("the same log differs: %s", got)
	}
	if got := ok(t, "log", "diff", data, incidentFile, "--at", "7"); got != "" {
		t.Errorf("the same log differs at event 7: %s", got)
	}
}

func TestLog_Archive(t *testing.T) {
	data := incidentData(t)
	whole := ok(t, "log", "replay", "--data", data)
	for _, before := range []string{"9", "16"} {
		ok(t, "log", "archive", "--before", before, "--data", data)
		if got := ok(t, "log", "replay", "--data", data); got != whole {
			t.Errorf("before %s archived:\n%s\nwant\n%s", before, got, whole)
		}
		if got := ok(t, "log", "verify", "--data", data); !strings.Contains(got, "lead to the state with which the log begins") {
			t.Error(got)
		}
	}
	files, _ := filepath.Glob(filepath.Join(data, "archive", "*.jsonl"))
	if len(files) != 2 {
		t.Fatalf("archives %v", files)
	}
	rest, again := filepath.Join(t.TempDir(), "rest.jsonl"), filepath.Join(t.TempDir(), "again")
	ok(t, "log", "export", rest, "--data", data)
	ok(t, append(append([]string{"log", "import"}, files...), rest, "--data", again)...)
	if ok(t, "log", "export", "-", "--data", again) != ok(t, "log", "export", "-", "--data", incidentData(t)) {
		t.Error("archives and rest are another log than before")
	}
	refuses(t, []string{"log", "replay", "--at", "3", "--data", data}, "event 3 was archived or folded")
	refuses(t, []string{"log", "archive", "--before", "2", "--data", data}, "no event is before 2")
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], bytes.Replace(text, []byte(`"data":"C`), []byte(`"data":"D`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, []string{"log", "verify", "--data", data}, "archives in", "event 1")
}

func TestLog_Mistakes(t *testing.T) {
	nowhere, empty := filepath.Join(t.TempDir(), "nowhere"), t.TempDir()
	store, err := sqlite.Open(empty)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	data := incidentData(t)
	for _, command := range []string{"show", "verify", "replay", "tail"} {
		refuses(t, []string{"log", command, "--data", nowhere}, "conga log "+command+": no log in "+nowhere, "--data")
	}
	for _, command := range []string{"show", "verify", "replay"} {
		refuses(t, []string{"log", command, "--data", empty}, "has no events yet")
		refuses(t, []string{"log", command, "log_test.go"}, "line 1", "conga log export")
	}
	refuses(t, []string{"log", "replay", "--at", "9999", "--data", data}, "event 9999 has not happened: the log ends with event")
	misunderstands(t, []string{"log", "replay", "--at", "soon", "--data", data}, `"soon" is not a time`, "or an event number")
	misunderstands(t, []string{"log", "show", "--from", "soon", "--data", data}, `--from "soon" is not a time`)
	refuses(t, []string{"log", "replay", "--at", "2000-01-01", "--data", data}, "nothing is known of 2000-01-01: the log begins with event 1 at 20")
	refuses(t, []string{"log", "replay", "--at", "2999-01-01", "--data", data}, "2999-01-01 has not come yet")
	refuses(t, []string{"log", "show", "--data", incidentFile}, "name it without --data")
	refuses(t, []string{"log", "archive", "--before", "1h", "--data", nowhere}, "no log in "+nowhere)
}

// Where nothing is to be shown, that is said, and nothing is done that nobody asked for.
func TestLog_Nothing(t *testing.T) {
	data := incidentData(t)
	for args, want := range map[string]string{
		"--from 9999":              "--from 9999: that has not happened, the log ends with event",
		"--from 20 --to 10":        "no event lies between --from 20 and --to 10",
		"/nosuch.jsonl":            "there is no file /nosuch.jsonl: name one that conga log export wrote, or a log's folder with --data",
		filepath.Dir(incidentFile): "is a folder: name it with --data",
	} {
		refuses(t, append([]string{"log", "show", "--data", data}, strings.Fields(args)...), want)
	}
	for args, want := range map[string]string{"--actor player": "has no event of player", "--from 2100-01-01": "no event in that time: the log has events 1 to"} {
		code, out, err := conga(t, append([]string{"log", "show", "--data", data}, strings.Fields(args)...)...)
		if code != 0 || out != "" || !strings.Contains(err, want) {
			t.Errorf("%s: exit %d, %q, %q", args, code, out, err)
		}
	}
	misunderstands(t, []string{"log", "diff", "--data", data, "1", "nosuch.jsonl"}, "nosuch.jsonl is neither a log nor a moment")
	misunderstands(t, []string{"log", "archive", "--data", data, "--before", "soon"}, `--before "soon" is not a time`)

	none := filepath.Join(t.TempDir(), "none")
	for file, want := range map[string]string{"MISSING": "there is no file MISSING: name one that conga log export wrote", "log_test.go": "line 1 is no event: was it written by conga log export?", os.DevNull: "it has no events", t.TempDir(): "is a folder"} {
		refuses(t, []string{"log", "import", file, "--data", none}, want)
		if _, err := os.Stat(none); err == nil {
			t.Errorf("the import of %s leaves a log behind", file)
		}
	}
	file := filepath.Join(t.TempDir(), "kept")
	if err := os.WriteFile(file, []byte("another run"), 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, []string{"log", "export", file, "--data", data}, "exists: name another file, or remove it first")
	if text, err := os.ReadFile(file); err != nil || string(text) != "another run" {
		t.Errorf("it was written over: %q, %v", text, err)
	}
	refuses(t, []string{"log", "export", filepath.Join(none, "x"), "--data", data}, "make it first, or name another file")
	ok(t, "log", "export", os.DevNull, "--data", data)
}

// One bit of an event: verify says of which, the server does not start, and what is sound can be saved.
func TestLog_Damaged(t *testing.T) {
	clean, err := os.ReadFile(filepath.Join(incidentData(t), "conga.db"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.ReplaceAll(clean, []byte("pachelbel.mp3"), []byte("tachelbel.mp3")) // also where SQLite left a copy behind
	if bytes.Equal(damaged, clean) {
		t.Fatal("the song's name is not in the file")
	}
	data := incidentData(t)
	if err := os.WriteFile(filepath.Join(data, "conga.db"), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, []string{"log", "verify", "--data", data}, "damaged: event ", "export")
	refuses(t, []string{"serve", "--songs", "../../songs", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", data}, "damaged", "export")
	sound := filepath.Join(t.TempDir(), "sound.jsonl")
	refuses(t, []string{"log", "export", sound, "--data", data}, "are sound and now in "+sound)
	again := filepath.Join(t.TempDir(), "again")
	ok(t, "log", "import", sound, "--sound", "--data", again)
	ok(t, "log", "verify", "--data", again)
}

// A log whose events are all archived is sound, and says so wherever it is looked at.
func TestLog_AllArchived(t *testing.T) {
	data := incidentData(t)
	ok(t, "log", "archive", "--before", "2999-01-01", "--data", data)
	for _, args := range []string{"", "--from 1", "--from 1 --to 5", "--from 2100-01-01", "--actor pacer"} {
		code, out, err := conga(t, append([]string{"log", "show", "--data", data}, strings.Fields(args)...)...)
		if code != 0 || out != "" || !strings.Contains(err, "no events since events 1 to 36 were archived") {
			t.Errorf("show %s: exit %d, %q, %q", args, code, out, err)
		}
	}
	rest, again := filepath.Join(t.TempDir(), "rest.jsonl"), filepath.Join(t.TempDir(), "again")
	if out := ok(t, "log", "export", rest, "--data", data); !strings.Contains(out, "is empty") || !strings.Contains(out, filepath.Join(data, "archive")) {
		t.Errorf("export says %q", out)
	}
	files, err := filepath.Glob(filepath.Join(data, "archive", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	ok(t, append(append([]string{"log", "import"}, files...), rest, "--data", again)...)
	ctx, cancel := context.WithCancel(t.Context())
	var out, wrong bytes.Buffer
	done := make(chan int, 1)
	go func() { done <- run(ctx, []string{"log", "tail", "--data", data}, strings.NewReader(""), &out, &wrong) }()
	cancel()
	if code := <-done; code != 0 || wrong.Len() > 0 {
		t.Errorf("tail: exit %d, %s", code, wrong.String())
	}
}

// An export that cannot be written leaves nothing behind, and the next one is not refused for it.
func TestLog_ExportUnwritten(t *testing.T) {
	data, dir := incidentData(t), t.TempDir()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	file := filepath.Join(dir, "x.jsonl")
	var out, wrong bytes.Buffer
	if code := run(stopped, []string{"log", "export", file, "--data", data}, strings.NewReader(""), &out, &wrong); code != cli.Failed || !strings.Contains(wrong.String(), "was not written") {
		t.Errorf("exit %d: %s", code, wrong.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	ok(t, "log", "export", file, "--data", data)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := os.Stat("/dev/full"); err == nil {
		code, _, text := conga(t, "log", "export", "/dev/full", "--data", data)
		if code != cli.Failed || strings.Count(text, "no space left") != 1 {
			t.Errorf("exit %d: %s", code, text)
		}
	}
}

// Files are checked before they are imported: all of the events, none, or as many as are sound if that is wanted.
func TestLog_ImportChecks(t *testing.T) {
	original, err := os.ReadFile(incidentFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(original), "\n")
	write := func(name string, lines ...string) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	at := len(lines) - 3 // a commit of its own
	altered := append([]string{}, lines...)
	altered[at] = strings.Replace(altered[at], `"actor":"`, `"actor":"x`, 1)
	forged := write("forged.jsonl", altered...)
	begin, end := write("begin.jsonl", lines[:at]...), write("end.jsonl", lines[at:]...)
	none := filepath.Join(t.TempDir(), "none")
	before := fmt.Sprintf("the %d events before it", at)
	refuses(t, []string{"log", "import", forged, "--data", none}, forged, "nothing was imported", fmt.Sprintf("event %d: it does not match its hash", at+1), before, "--sound")
	refuses(t, []string{"log", "import", begin, begin, "--data", none}, "nothing was imported", begin+": it begins with event 1,", "give each file once, the oldest first")
	refuses(t, []string{"log", "import", end, begin, "--data", none}, end, "name the file with the events before it first")
	refuses(t, []string{"log", "import", begin, write("later.jsonl", lines[at+1:]...), "--data", none}, fmt.Sprintf("but event %d is due", at+1))
	if _, err := os.Stat(none); err == nil {
		t.Error("a refused import leaves a log behind")
	}
	ok(t, "log", "import", begin, end, "--data", none)
	refuses(t, []string{"log", "import", begin, "--data", none}, "has a log of", "name a folder that has none")
	kept := filepath.Join(t.TempDir(), "kept")
	code, out, text := conga(t, "log", "import", forged, "--sound", "--data", kept)
	if code != 0 || !strings.Contains(out, fmt.Sprintf("has %d events", at)) || !strings.Contains(text, "the rest was left out") {
		t.Errorf("exit %d, %q, %q", code, out, text)
	}
	if got := ok(t, "log", "export", "-", "--data", kept); got != strings.Join(lines[:at], "") {
		t.Error("other events were kept than those before the forged one")
	}
}

// Tail shows what another program's log gets while it is open.
func TestLog_Tail(t *testing.T) {
	data := t.TempDir()
	store, err := sqlite.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	add := func(song string) {
		if _, err := log.Append(eventlog.Any, "scheduler", nil, &messages.SongQueued{Song: song}); err != nil {
			t.Fatal(err)
		}
	}
	add("first.mp3")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wrong bytes.Buffer
	shown, out := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"log", "tail", "--data", data}, strings.NewReader(""), out, &wrong)
		_ = out.Close()
	}()
	lines, n := bufio.NewScanner(shown), 0
	await := func(song string) {
		for lines.Scan() {
			if n++; strings.Contains(lines.Text(), "song="+song) {
				return
			}
		}
		t.Fatalf("tail has ended without %s: %s", song, wrong.String())
	}
	await("first.mp3")
	add("second.mp3")
	await("second.mp3")
	for i := range 30 {
		add(fmt.Sprintf("more%d.mp3", i))
	}
	await("more29.mp3")
	cancel()
	if code := <-done; code != 0 || n != 32 {
		t.Errorf("exit %d after %d lines: %s", code, n, wrong.String())
	}
}
