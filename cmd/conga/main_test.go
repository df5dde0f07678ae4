package main

import (
	"bytes"
	"crypto/ed25519"
	"runtime/debug"
	"strings"
	"testing"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/keys"
	"conga/messages/raced"
)

// conga runs the command line as main does.
func conga(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

// some is each eighth row with the race detector: a command line is then parsed in a tenth of a second, by one goroutine.
func some[T any](rows []T) (some []T) {
	for i := 0; i < len(rows); i += raced.Size(1, 8) {
		some = append(some, rows[i])
	}
	return some
}

func TestRun_Help(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "/data")
	for _, command := range some([]string{
		"", "serve", "join", "demo", "dump", "why", "version", "log", "log tail", "log show", "log export", "log import",
		"log verify", "log replay", "log diff", "log archive", "completion", "help config", "help man", "status", "songs", "queue", "play", "cancel", "skip", "history", "who", "key", "key export", "key import",
	}) {
		t.Run(command, func(t *testing.T) {
			code, out, err := conga(t, append(strings.Fields(command), "--help")...)
			if code != 0 || err != "" {
				t.Errorf("exit %d, stderr %q", code, err)
			}
			for _, part := range []string{"Usage: conga", "Examples:", "    conga " + command} {
				if !strings.Contains(out, part) {
					t.Errorf("no %q in\n%s", part, out)
				}
			}
		})
	}
}

// The flags are a contract with scripts: names and defaults stay.
func TestRun_Flags(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "/data")
	for command, parts := range map[string][]string{
		"serve": {"--songs=", "(songs)", "--listen=", "(:7000)", "--http=", "(127.0.0.1:8000)", "--data=", "(/data/conga)"},
		"join":  {"<host[:port]>", "--name=", "--output=", "(speaker)", "--listen=", "(:0)", "--http=", "(127.0.0.1:0)", "--data=", "(/data/conga/listeners/NAME)"},
		"demo":  {"--listeners=", "(3)", "--songs="},
		"dump":  {"[<node>]", "(127.0.0.1:8000)", "--key="},
		"why":   {"[<name>]", "--since=", "(10m)", "--http=", "(127.0.0.1:8000)"},

		"log show":   {"[<file.jsonl>]", "--from=", "--to=", "--actor=", "--json", "--data=", "(/data/conga)"},
		"log replay": {"[<file.jsonl>]", "--at=", "--data=", "(/data/conga)"},
		"log import": {"<file.jsonl>", "--data="},
	} {
		_, out, _ := conga(t, append(strings.Fields(command), "--help")...)
		text := strings.Join(strings.Fields(out), " ") // help wraps
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("conga %s --help lacks %q:\n%s", command, part, out)
			}
		}
	}
}

func TestRun_Mistakes(t *testing.T) {
	for _, test := range some([]struct {
		args string
		want string // in the one line on stderr
	}{
		{"sreve", `did you mean "serve"?`},
		{"serve --lisen :1", `conga serve: unknown flag --lisen, did you mean "--listen"?`},
		{"serve --listen 7000x", `"7000x" is not HOST:PORT, as 127.0.0.1:7000, nor :PORT`},
		{"serve --listen localhost", "localhost has no port: write localhost:7000"},
		{"serve --listen :70000", "the port is a number from 0 to 65535"},
		{"serve --http 8000x", "or off"},
		{"serve --max-listeners many", "--max-listeners takes a whole number, not many"},
		{"serve --max-requests many", "--max-requests takes a number, not many"},
		{"serve --keep-log -1", "--keep-log is a number of megabytes from 1 to 1048576, or 0 to keep all"},
		{"serve --keep-log 99999999999999", "--keep-log is a number of megabytes from 1 to 1048576, or 0 to keep all"},
		{"serve --slack 0.9s", "--slack is a time from 1s to 6s"},
		{"serve --slack 7s", "--slack is a time from 1s to 6s"},
		{"serve --max-listeners -1", "must be more than 0"},
		{"serve --max-requests -0.5", "must be more than 0"},
		{"serve --keep-log --http off", "--keep-log needs a value"},
		{"history x", "<page>"},
		{"serve --songs=", "--songs is empty: name the folder that your music is in"},
		{"serve --data=", "--data is empty: name a folder"},
		{"serve --listen 65535", "65534 is the last one"},
		{"serve --listen 70000", `"70000": the port is a number from 0 to 65535`},
		{"serve --http bogus", "bogus has no port: write bogus:8000, or off"},
		{"serve --listen :7300 --http 127.0.0.1:7300", "--http has the same port as --listen or as the stream"},
		{"serve --listen 127.0.0.1:7300 --http 127.0.0.1:7301", "--http has the same port as --listen or as the stream"},
		{"join a --listen :7300 --http :7300", "--http has the same port as --listen: choose another"},
		{"serve -songs x", `unknown flag -songs, did you mean "--songs"?`},
		{"serve -songs=x", `unknown flag -songs, did you mean "--songs"?`},
		{"--versoin", `did you mean "--version"?`},
		{"why --since x", `--since "x" is not a time`},
		{"log diff a b", "a is neither a log nor a moment"},
		{"serve --songs", "--songs needs a value"},
		{"join a --advertise b", "--advertise: b has no port: write b:7000"},
		{"join a --advertise :0", "nobody can connect to port 0"},
		{"join http://a:7000/", "leave out what is before a:7000"},
		{"join a --name=", "--name is empty"},
		{"help nosuch", "unexpected argument nosuch"},
		{"log import x", "a folder that has no log yet with --data DIR, or a new radio with --log URL --radio NAME"},
		{"log show --actor foo", "--actor foo is not one of scheduler, catalog, pacer, chainmanager, relay, player, requester"},
		{"log tail --actor foo", "--actor foo is not one of"},
		{"join a b", "conga join: unexpected argument b"},
		{"join a --output speeker", "conga join: --output speeker is not one of speaker, null, none, wav:FILE"},
		{"join a --output wav:", "needs a file"},
		{"join a --name " + strings.Repeat("x", 65), "--name is longer than 64 bytes"},
		{"demo --listeners 0", "conga demo: --listeners 0: from 1 to 100"},
		{"demo --listeners -3", "conga demo: --listeners -3: from 1 to 100"},
		{"demo --listeners three", "conga demo: --listeners"},
		{"--loud", "conga: unknown flag --loud"},
	}) {
		t.Run(test.args, func(t *testing.T) {
			code, out, err := conga(t, strings.Fields(test.args)...)
			if code != cli.Usage || out != "" {
				t.Errorf("exit %d, stdout %q", code, out)
			}
			if !strings.Contains(err, test.want) || strings.Count(err, "\n") != 1 || !strings.Contains(err, "--help") {
				t.Errorf("stderr %q, want one line with %q", err, test.want)
			}
		})
	}
}

// People ask for help and for the version in several ways.
func TestRun_OtherWords(t *testing.T) {
	for args, want := range map[string]string{
		"help": "Usage: conga <command>", "help join": "Usage: conga join", "help log show": "Usage: conga log show",
		"log": "Usage: conga log <command>", "-help": "Usage: conga <command>",
		"--version": "conga ", "-V": "conga ", "-v": "conga ",
	} {
		if code, out, err := conga(t, strings.Fields(args)...); code != 0 || !strings.HasPrefix(out, want) || err != "" {
			t.Errorf("conga %s: exit %d, %q, %s", args, code, err, out)
		}
	}
}

func TestRun_NothingToDo(t *testing.T) {
	if code, out, _ := conga(t); code != 0 || !strings.Contains(out, "Usage: conga") {
		t.Errorf("exit %d: %s", code, out)
	}
}

func TestVersion(t *testing.T) {
	if code, out, _ := conga(t, "version"); code != 0 || !strings.HasPrefix(out, "conga ") || strings.Count(out, "\n") != 1 {
		t.Errorf("exit %d: %q", code, out)
	}
	info := &debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"},
	}}
	for _, test := range []struct {
		info *debug.BuildInfo
		want string
	}{
		{nil, "conga (unknown build)"},
		{info, "conga v1.2.3 0123456789ab+changes go1.26"},
		{&debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: "(devel)"}}, "conga (devel) go1.26"},
	} {
		if got := versionLine(test.info); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// The flags are a contract with scripts.
func TestRun_AccessFlags(t *testing.T) {
	for command, parts := range map[string][]string{
		"serve": {
			"--auth=TOKEN", "($CONGA_AUTH)", "--max-listeners=", "(1000)", "--max-per-address=", "(256)",
			"--max-half-open=", "--max-visitors=", "--seed-listeners=", "--max-requests=", "(10)", "--keep-log=MB", "(64)",
		},
		"join": {"--auth=TOKEN", "($CONGA_AUTH)", "--key=KEY", "conga://HOST:PORT?key=KEY"},
	} {
		t.Setenv("CONGA_AUTH", "nobody may read this")
		_, out, _ := conga(t, command, "--help")
		text := strings.Join(strings.Fields(out), " ") // help wraps
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("conga %s --help lacks %q:\n%s", command, part, out)
			}
		}
		if strings.Contains(text, "nobody may read this") {
			t.Errorf("conga %s --help shows the token", command)
		}
	}
	for args, want := range map[string]string{
		"serve --auth=":           "empty token",
		"serve --max-listeners 0": "--max-listeners",
		"serve --max-requests -1": "--max-requests",
		"join a --key x":          "not a server's key",
		"join conga://a?token=x":  "CONGA_AUTH",
		"join conga://a?key=" + keys.Text(make(ed25519.PublicKey, ed25519.PublicKeySize)) + " --key " + strings.Repeat("1", 64): "not the key",
	} {
		if code, _, err := conga(t, strings.Fields(args)...); code != cli.Usage || !strings.Contains(err, want) || strings.Count(err, "\n") != 1 {
			t.Errorf("conga %s: exit %d, %q, want %q", args, code, err, want)
		}
	}
}
