package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conga/actors/eventlog/jetstream"
	"conga/actors/eventlog/natstest"
	"conga/actors/lease"
)

// The commands that read a log say the same of it, whether it is in a folder or on servers of NATS, and a log goes from one
// to the other and back without a change.
func TestLog_NATS(t *testing.T) {
	servers := natstest.Start(t, 1)
	folder, out := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "again.jsonl")
	there := []string{"--log", servers.URL(), "--radio", "house"}
	with := func(where []string, args ...string) []string {
		return append(append([]string{"log"}, args...), where...)
	}
	ok(t, with([]string{"--data", folder}, "import", incidentFile)...)
	ok(t, with(there, "import", incidentFile)...)
	for _, command := range [][]string{{"verify"}, {"show"}, {"show", "--from", "3", "--to", "5", "--json"}, {"replay"}, {"replay", "--at", "10"}, {"diff", "3", "12"}} {
		want := ok(t, with([]string{"--data", folder}, command...)...)
		if got := ok(t, with(there, command...)...); got != want || got == "" {
			t.Errorf("%v of the servers:\n%s\nof the folder:\n%s", command, got, want)
		}
	}
	ok(t, with(there, "export", out)...)
	was, err := os.ReadFile(incidentFile)
	is, err2 := os.ReadFile(out)
	if err != nil || err2 != nil || string(was) != string(is) {
		t.Errorf("the export is another than was imported (%v, %v)", err, err2)
	}
	refuses(t, with(there, "import", incidentFile), "NATS (house) has a log of", "name a radio that has none")
	refuses(t, with([]string{"--log", servers.URL()}, "show"), "--log needs --radio NAME")
	refuses(t, with([]string{"--log", servers.URL(), "--radio", "a.b"}, "show"), "is no name for a radio")
	refuses(t, with([]string{"--log", servers.URL(), "--radio", "other"}, "show"), "there is no log of a radio other", "--radio")
	refuses(t, with(append(there, "--nats-creds", "none.creds"), "show"), "--nats-creds cannot be read")
	t.Setenv("CONGA_LOG", servers.URL())
	t.Setenv("CONGA_RADIO", "house")
	if got := ok(t, "log", "verify"); !strings.Contains(got, "are sound") {
		t.Errorf("with settings: %s", got)
	}
}

// Old events of a log on servers of NATS go into a file, as those of a folder do, but not while a server of the radio runs.
func TestLog_NATSArchive(t *testing.T) {
	servers, data := natstest.Start(t, 1), t.TempDir()
	there := []string{"--log", servers.URL(), "--radio", "house"}
	with := func(args ...string) []string { return append(append([]string{"log"}, args...), there...) }
	refuses(t, with("archive", "--before", "1h"), "there is no log of a radio house")
	ok(t, with("import", incidentFile)...)
	whole := ok(t, with("replay")...)

	store, err := jetstream.Open(t.Context(), jetstream.Config{URL: servers.URL(), Radio: "house"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	serves := lease.Start(lease.Config{
		Claims: store.Claims(), Length: time.Second, Requests: "radio.example:7000",
		Now: func() int64 { return time.Now().UnixMicro() }, Logger: slog.New(slog.DiscardHandler),
	})
	defer serves.Close()
	if other, err := serves.Alone(t.Context()); other != nil || err != nil {
		t.Fatal(other, err)
	}
	refuses(t, with("archive", "--before", "10", "--data", data), "a server of the radio house is running, at radio.example:7000: stop it first")
	serves.Release(t.Context())

	for _, before := range []string{"10", "20"} {
		ok(t, with("archive", "--before", before, "--data", data)...)
		if got := ok(t, with("replay")...); got != whole {
			t.Errorf("before %s archived:\n%s\nwant\n%s", before, got, whole)
		}
		if got := ok(t, with("verify", "--data", data)...); !strings.Contains(got, "lead to the state with which the log begins") {
			t.Error(got)
		}
	}
	files, err := filepath.Glob(filepath.Join(data, "archive", "house", "*.jsonl"))
	if err != nil || len(files) != 2 {
		t.Fatalf("archives %v, %v", files, err)
	}
	rest, again := filepath.Join(t.TempDir(), "rest.jsonl"), filepath.Join(t.TempDir(), "again")
	ok(t, with("export", rest)...)
	ok(t, append(append([]string{"log", "import"}, files...), rest, "--data", again)...)
	if ok(t, "log", "export", "-", "--data", again) != ok(t, "log", "export", "-", "--data", incidentData(t)) {
		t.Error("archives and rest are another log than before")
	}
	refuses(t, with("replay", "--at", "3"), "event 3 was archived or folded")
}

// Where NATS is away, lets nobody in, or has no JetStream, one line says what to do.
func TestLog_NATSAway(t *testing.T) {
	servers := natstest.Start(t, 1)
	servers.Servers[0].Kill()
	servers.Servers[0].Start("--user", "amy", "--pass", "s3cret")
	data := t.TempDir()
	serve := func(url string) []string {
		return []string{"serve", "--songs", "../../songs", "--data", data, "--listen", "127.0.0.1:0", "--http", "off", "--log", url, "--radio", "house", "--plain"}
	}
	refuses(t, serve(servers.URL()), "does not let conga in", "--nats-creds FILE")
	wrong := strings.Replace(servers.URL(), "nats://", "nats://amy:wrong@", 1)
	refuses(t, serve(wrong), "does not let conga in")
	if _, _, said := conga(t, serve(wrong)...); strings.Contains(said, "wrong@") {
		t.Errorf("the password is printed: %s", said)
	}
	servers.Servers[0].Kill()
	refuses(t, serve(servers.URL()), "NATS does not answer at "+servers.URL(), "start it (nats-server -js), or say with --log where it is")
	refuses(t, []string{"log", "show", "--log", servers.URL(), "--radio", "house"}, "NATS does not answer at")
}
