package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/settings"
	"conga/messages/raced"

	"github.com/alecthomas/kong"
)

// samples are values, other than the default, of settings that do not take just any text.
var samples = map[string]string{
	"listen": ":7111", "http": "127.0.0.1:8111", "output": "null", "advertise": "192.0.2.1:7111",
	"key": strings.Repeat("1", 64), "auth": "open sesame", "offset": "-12.5", "slack": "1.5s", "feed": "2", "chains": "auto",
}

// besides are the words without which a command does not parse.
var besides = map[string][]string{
	"conga join": {"radio.example"}, "conga tune": {"radio.example"}, "conga log archive": {"--before", "1h"}, "conga log diff": {"1", "2"}, "conga log export": {"x.jsonl"}, "conga log import": {"x.jsonl"}, "conga log render": {"x.mp3"}, "conga play": {"air"}, "conga add": {"air.mp3"}, "conga key export": {"radio.key"}, "conga key import": {"radio.key"},
}

// sample is a value that the flag takes and does not have by default.
func sample(flag *kong.Flag) string {
	switch {
	case samples[flag.Name] != "":
		return samples[flag.Name]
	case flag.IsBool():
		return "true"
	case flag.Enum != "":
		return slices.DeleteFunc(flag.EnumSlice(), func(s string) bool { return s == flag.Default })[0]
	}
	switch flag.Target.Kind() {
	case reflect.Int, reflect.Int64, reflect.Float64:
		return "7"
	}
	return "something"
}

// parsed is the value of a setting after its command line was parsed with what is set elsewhere.
func parsed(t *testing.T, command, name string, args ...string) any {
	t.Helper()
	parser := program().Parser()
	words := append(strings.Fields(command)[1:], besides[command]...)
	ctx, err := parser.Parse(append(words, args...))
	if err != nil {
		t.Fatalf("%s %q: %v", command, args, err)
	}
	for _, flag := range ctx.Flags() {
		if flag.Name == name {
			return flag.Target.Interface()
		}
	}
	t.Fatalf("%s has no --%s", command, name)
	return nil
}

// Each setting of the list works as a flag, as a variable, and as a line of a file, and the flag beats the variable, which
// beats the file.
func TestSettings_ThreeWays(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	program := program()
	groups, seen, met := program.Settings.List(program.Parser().Model), map[string]bool{}, 0
	for _, group := range groups {
		for _, setting := range group.Settings {
			for _, command := range group.Commands {
				if command == "conga" {
					continue // --config: how it is found is tried below
				}
				if met++; met%raced.Size(1, 48) != 0 {
					continue
				}
				seen[command+" --"+setting.Name] = true
				t.Run(command+" --"+setting.Name, func(t *testing.T) { threeWays(t, command, setting) })
			}
		}
	}
	for _, must := range []string{"conga serve --songs", "conga join --name", "conga demo --listeners", "conga log tail --data", "conga why --http"} {
		if !seen[must] && !raced.On {
			t.Errorf("the list lacks %s", must)
		}
	}
}

func threeWays(t *testing.T, command string, setting settings.Setting) {
	value := sample(setting.Flag)
	file := filepath.Join(t.TempDir(), "conga.toml")
	word := strings.Fields(command)[1]
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	line := tomlLine(setting, value)
	usual := parsed(t, command, setting.Name)
	want := parsed(t, command, setting.Name, "--"+setting.Name+"="+value)
	if reflect.DeepEqual(usual, want) {
		t.Fatalf("--%s=%s changes nothing: give it another sample", setting.Name, value)
	}
	same := func(way string, args ...string) {
		t.Helper()
		if got := parsed(t, command, setting.Name, args...); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", way, got, want)
		}
	}
	t.Setenv("CONGA_CONFIG", file)
	write(line)
	same("a line of the file")
	write("[" + word + "]\n" + line)
	same("a line of its section")
	if setting.Key != word { // TOML takes no key log beside a section [log]
		write(tomlLine(setting, otherThan(setting.Flag, value)) + "[" + word + "]\n" + line)
		same("its section beats what comes first")
	}
	write("[all]\n" + line)
	same("a line of the section for all commands")
	write("[all]\n" + tomlLine(setting, otherThan(setting.Flag, value)) + "[" + word + "]\n" + line)
	same("its section beats that for all")
	t.Setenv("CONGA_CONFIG", settings.NoFile)
	t.Setenv(setting.Variable, value)
	same("the variable")
	write(tomlLine(setting, otherThan(setting.Flag, value)))
	same("the variable beats the file", "--config", file)
	t.Setenv(setting.Variable, otherThan(setting.Flag, value))
	same("the flag beats the variable", "--"+setting.Name+"="+value)
}

// tomlLine says the value as TOML does: in quotes, unless it is a number or true or false.
func tomlLine(setting settings.Setting, value string) string {
	of := setting.Target.Type()
	if kind := of.Kind(); kind == reflect.Bool || kind >= reflect.Int && kind <= reflect.Float64 && of != reflect.TypeFor[time.Duration]() {
		return setting.Key + " = " + value + "\n"
	}
	return fmt.Sprintf("%s = %q\n", setting.Key, value)
}

// otherThan is another value that the flag takes.
func otherThan(flag *kong.Flag, value string) string {
	switch {
	case flag.IsBool():
		return "false"
	case flag.Enum != "", flag.HasDefault && flag.Default != "":
		return flag.Default
	case flag.Name == "key":
		return strings.Repeat("2", 64)
	case flag.Name == "advertise":
		return "192.0.2.1:7222"
	case flag.Name == "offset":
		return "40"
	}
	return value + " else"
}

// A TOML file says numbers, truths and lists as such.
func TestSettings_Types(t *testing.T) {
	file := filepath.Join(t.TempDir(), "conga.toml")
	text := "plain = true\n[serve]\nlisten = 7100\nmax-listeners = 7\nmax-requests = 0.5\nweb-name = [\"a.example\", \"b.example\"]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONGA_CONFIG", file)
	for name, want := range map[string]any{"plain": true, "max-listeners": 7, "max-requests": 0.5, "web-name": []string{"a.example", "b.example"}} {
		if got := parsed(t, "conga serve", name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// The user's file beats the machine's, line by line; who names a file wants that one.
func TestSettings_Files(t *testing.T) {
	dir := t.TempDir()
	mine, machine := filepath.Join(dir, "mine.toml"), filepath.Join(dir, "machine.toml")
	for file, text := range map[string]string{mine: "name = 'mine'\n", machine: "output = 'null'\n[join]\nname = 'machine'\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := program()
	p.Settings.Usual = func() []string { return []string{mine, machine, filepath.Join(dir, "nowhere")} }
	ctx, err := p.Parser().Parse([]string{"join", "radio.example"})
	if err != nil {
		t.Fatal(err)
	}
	if c := ctx.Model.Target.Interface().(commands).Join; c.Name != "mine" || c.Output != "null" {
		t.Errorf("name %s, output %s", c.Name, c.Output)
	}
	if got := parsed(t, "conga join", "name", "--config", machine); got != "machine" {
		t.Errorf("named the machine's: %v", got)
	}
}

// What nobody knows, and what no flag takes, is refused with the place where it stands and the nearest name.
func TestSettings_Mistakes(t *testing.T) {
	dir := t.TempDir()
	for i, test := range some([]struct {
		args, variable, file string
		want                 string
	}{
		{args: "serve", variable: "CONGA_LISTNE=:1", want: "conga serve: there is no setting CONGA_LISTNE, did you mean CONGA_LISTEN? (conga help config lists all)"},
		{args: "serve", variable: "CONGA_WHATEVER_IT_IS=1", want: "there is no setting CONGA_WHATEVER_IT_IS (conga help config"},
		{args: "serve", variable: "CONGA_LISTEN=70000", want: `CONGA_LISTEN: --listen: "70000": the port is a number`},
		{args: "serve", variable: "CONGA_MAX_LISTENERS=many", want: "CONGA_MAX_LISTENERS: --max-listeners takes a whole number, not many"},
		{args: "serve", variable: "CONGA_MAX_LISTENERS=", want: "CONGA_MAX_LISTENERS: --max-listeners takes a whole number"},
		{args: "serve", variable: "CONGA_AUTH=", want: "empty token"},
		{args: "serve", variable: "CONGA_KEEP_LOG=-1", want: "or 0 to keep all (--keep-log is set by CONGA_KEEP_LOG)"},
		{args: "serve", variable: "CONGA_LOG_LEVEL=loud", want: `"loud"`},
		{args: "serve", variable: "CONGA_CONFIG=/nowhere/at/all", want: "CONGA_CONFIG: open /nowhere/at/all"},
		{args: "serve --config /nowhere/at/all", want: "--config: open /nowhere/at/all"},
		{args: "serve", file: "lisen = ':1'", want: "there is no setting lisen, did you mean listen?"},
		{args: "serve", file: "[serve]\nlisen = ':1'", want: "there is no setting [serve] lisen, did you mean listen?"},
		{args: "serve", file: "[sreve]\nlisten = ':1'", want: "there is no section [sreve], did you mean serve?"},
		{args: "serve", file: "[serve]\nname = 'amy'", want: "there is no setting [serve] name"},
		{args: "join a", file: "[serve]\nlisen = ':1'", want: "there is no setting [serve] lisen"},
		{args: "serve", file: "log = 'nats://a'\n[log]\ndata = 'x'", want: "the key for all commands stands in the section [all]"},
		{args: "serve", file: "[all]\nlisen = ':1'", want: "there is no setting [all] lisen, did you mean listen?"},
		{args: "serve", file: "config = 'x'", want: "there is no setting config"},
		{args: "serve", file: "[serve]\nmax-listeners = 'many'", want: `[serve] max-listeners: it is a text ("many"), and must be a whole number without quotes, as in max-listeners = 10`},
		{args: "serve", file: "max-listeners = '7'", want: `.toml: max-listeners: it is a text ("7"), and must be a whole number`},
		{args: "serve", file: "max-listeners = 7.5", want: "it is a number (7.5), and must be a whole number"},
		{args: "serve", file: "max-requests = true", want: "it is true, and must be a number without quotes, as in max-requests = 0.5"},
		{args: "serve", file: "songs = 5", want: `songs: it is a number (5), and must be a text in quotes, as in songs = "5"`},
		{args: "serve", file: "auth = 1234", want: `it is a number (1234), and must be a text in quotes, as in auth = "1234"`},
		{args: "serve", file: "songs = ['a', 'b']", want: "songs: it is a list, and must be a text in quotes"},
		{args: "serve", file: "no-mdns = 'yes'", want: `it is a text ("yes"), and must be true or false without quotes, as in no-mdns = true`},
		{args: "serve", file: "no-mdns = 1", want: "it is a number (1), and must be true or false"},
		{args: "serve", file: "web-name = [1, 2]", want: `it is a list, and must be a list of texts, as in web-name = ["NAME"]`},
		{args: "join a", file: "[serve]\nlisten = true", want: "[serve] listen: it is true, and must be a text in quotes or a number"},
		{args: "serve", file: "[serve]\nmax-listeners = 2026-01-01", want: "[serve] max-listeners is neither text in quotes nor a number"},
		{args: "serve", file: "[serve.deep]\nlisten = ':1'", want: "[serve] deep is neither text"},
		{args: "serve", file: "listen = :7000", want: "line 1"},
		{args: "serve", file: "plain = true\nplain = false", want: "plain"},
		{args: "serve", file: "\x00", want: "conga serve: "},
		{args: "serve", file: strings.Repeat("# long\n", 200_000), want: "more than a megabyte"},
	}) {
		t.Run(fmt.Sprint(i, " ", test.want), func(t *testing.T) {
			if name, value, is := strings.Cut(test.variable, "="); is {
				t.Setenv(name, value)
			}
			if test.file != "" {
				file := filepath.Join(dir, fmt.Sprint(i, ".toml"))
				if err := os.WriteFile(file, []byte(test.file), 0o600); err != nil {
					t.Fatal(err)
				}
				t.Setenv("CONGA_CONFIG", file)
			}
			code, out, err := conga(t, strings.Fields(test.args)...)
			if code != cli.Usage || out != "" || !strings.Contains(err, test.want) || strings.Count(err, "\n") != 1 {
				t.Errorf("exit %d, %q, stderr %q, want one line with %q", code, out, err, test.want)
			}
		})
	}
}

// Kubernetes sets such variables for a service that is called conga, and whoever runs a random test again sets its seed;
// and what needs no settings asks for none.
func TestSettings_Others(t *testing.T) {
	t.Setenv("CONGA_PORT_7000_TCP_ADDR", "10.0.0.1")
	t.Setenv("CONGA_SERVICE_HOST", "10.0.0.1")
	t.Setenv("CONGA_SEED", "1")
	if got := parsed(t, "conga serve", "songs"); got != "songs" {
		t.Errorf("--songs is %v", got)
	}
	t.Setenv("CONGA_WHATEVER", "1")
	t.Setenv("CONGA_CONFIG", "/nowhere/at/all")
	for _, command := range []string{"version", "help config", "serve --help"} {
		if code, _, err := conga(t, strings.Fields(command)...); code != 0 {
			t.Errorf("conga %s: exit %d, %s", command, code, err)
		}
	}
}

// The list has each setting once, with all its names.
func TestHelpConfig(t *testing.T) {
	code, out, err := conga(t, "help", "config")
	if code != 0 || err != "" {
		t.Fatalf("exit %d, %s", code, err)
	}
	for _, once := range []string{
		"--songs=DIR", "--max-listeners=N", "CONGA_MAX_LISTENERS", "max-listeners = 1000", "--auth=TOKEN", "CONGA_AUTH  ", "--log-format=FORMAT",
		`log-format = "auto"`, "--no-mdns ", "no-mdns = false", `web-name = ["NAME"]`,
	} {
		if n := strings.Count(out, once); n < 1 || n > 1 && once != "--songs=DIR" { // demo's --songs is another setting
			t.Errorf("%q is there %d times in\n%s", once, n, out)
		}
	}
	if strings.Contains(out, "--since") || strings.Contains(out, "--help") {
		t.Errorf("what belongs to one call is listed:\n%s", out)
	}
}
