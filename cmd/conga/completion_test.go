package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"conga/cmd/internal/completion"
	"conga/messages/raced"
)

// offered are the words that may stand last, without what they mean.
func offered(shell string, words ...string) (completion.Kind, []string) {
	offer := completion.For(program().Parser().Model, shell, words)
	var all []string
	for _, word := range offer.Words {
		all = append(all, word.Text)
	}
	return offer.Kind, all
}

func TestCompletion(t *testing.T) {
	for _, test := range []struct {
		shell string
		words string // the last one is being typed; ~ is an empty one
		kind  completion.Kind
		has   string
		lacks string
	}{
		{"zsh", "~", completion.Words, "serve join log why completion help", "speaker terminal-guard complete-words --help"},
		{"zsh", "se", completion.Words, "serve", "join"},
		{"zsh", "log ~", completion.Words, "tail show verify", "serve"},
		{"zsh", "help ~", completion.Words, "config man serve join", "speaker"},
		{"zsh", "serve -", completion.Words, "--songs --listen --config --help --log-level", "--name --version"},
		{"zsh", "serve --plain --so", completion.Words, "--songs", "--plain"},
		{"zsh", "serve --songs ~", completion.Dirs, "", ""},
		{"zsh", "serve --songs=mu", completion.Dirs, "", ""},
		{"zsh", "--config ~", completion.Files, "", ""},
		{"zsh", "log show ~", completion.Files, "", ""},
		{"zsh", "log show --actor p", completion.Words, "pacer player", "relay"},
		{"zsh", "join --output ~", completion.Words, "speaker null none wav:", ""},
		{"zsh", "join --output=n", completion.Words, "null none", "speaker --output=null"},
		{"fish", "join --output=n", completion.Words, "--output=null --output=none", "null"},
		{"bash", "join --output = n", completion.Words, "null none", "speaker"},
		{"bash", "join --output = ", completion.Words, "null none speaker", ""},
		{"bash", "join localhost : 7000 --output ~", completion.Words, "null", "join"},
		{"zsh", "serve --log-format ~", completion.Words, "auto text json", ""},
		{"zsh", "join --name ~", completion.Words, "", "speaker"},
		{"zsh", "join --nosuch=~", completion.Words, "", "speaker"},
		{"zsh", "completion ~", completion.Words, "bash zsh fish", ""},
		{"zsh", "nosuch ~", completion.Words, "", "serve"},
		{"zsh", "serve -- -", completion.Words, "", "--songs"},
	} {
		t.Run(test.shell+" "+test.words, func(t *testing.T) {
			words := strings.Fields(test.words)
			for i, word := range words {
				words[i] = strings.ReplaceAll(word, "~", "")
			}
			kind, got := offered(test.shell, words...)
			if kind != test.kind {
				t.Errorf("%s, want %s", kind, test.kind)
			}
			for _, word := range strings.Fields(test.has) {
				if !slices.Contains(got, word) {
					t.Errorf("no %s in %q", word, got)
				}
			}
			for _, word := range strings.Fields(test.lacks) {
				if slices.Contains(got, word) {
					t.Errorf("%s in %q", word, got)
				}
			}
		})
	}
}

// Whatever was typed, an offer is what the program would take: each command and flag is there for the parser.
func TestCompletion_FollowsTheProgram(t *testing.T) {
	for _, command := range []string{"serve", "join", "demo", "log tail", "why", "dump"} {
		_, flags := offered("zsh", append(strings.Fields(command), "--")...)
		if len(flags) < 2 {
			t.Errorf("conga %s has only the flags %q", command, flags)
		}
		_, help, _ := conga(t, append(strings.Fields(command), "--help")...)
		for _, flag := range flags {
			if !strings.Contains(help, flag) {
				t.Errorf("conga %s --help does not know %s", command, flag)
			}
		}
	}
}

// asProgram makes this test's binary the program, see TestMain.
const asProgram = "CONGA_TEST_AS_PROGRAM"

// programOnPath is a folder with this program as conga.
func programOnPath(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", asProgram, os.Args[0])
	if err := os.WriteFile(filepath.Join(dir, "conga"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// asked is how each shell is asked what it would offer, a word a line, for the command line in $LINE.
var asked = map[string]string{
	"bash": `source <(conga completion bash)
read -ra COMP_WORDS <<<"$LINE"
[[ $LINE == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
complete -p conga >/dev/null || exit 1
_conga
printf '%s\n' "${COMPREPLY[@]}"`,
	"fish": `conga completion fish | source
complete -C "$LINE" | string replace -r '\t.*' ''
true`,
	// zsh completes only on a terminal: another zsh is asked on one, where what would be offered is printed.
	"zsh": `zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner 'eval "$INNER"'
while zpty -r inner line; do [[ $line == *READY* ]] && break; done
zpty -w inner "$LINE"$'\t'
while zpty -r inner line; do [[ $line == *HIT:* ]] && print -r -- "${${line##*HIT:}%%$'\r'*}"; done
true`,
}

// innerZsh is what that zsh does first.
const innerZsh = `PROMPT=; autoload -Uz compinit; compinit -u -D; source <(conga completion zsh)
bindkey '^M' undefined-key; bindkey '^J' undefined-key; bindkey '^I' complete-word
zstyle ':completion:*' insert-tab false
comppostfuncs=(exit)
compadd() {
	if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
		builtin compadd "$@"
		return
	fi
	local -a hits
	builtin compadd -A hits "$@"
	print -rl -- "" "HIT:"${^hits}
}
print READY`

// The scripts work in the shells themselves: where they are installed, bash always.
func TestCompletion_Shells(t *testing.T) {
	if raced.On {
		t.Skip("it is the same without the race detector, in a third of the time")
	}
	dir := programOnPath(t)
	work := t.TempDir()
	for _, name := range []string{"music", "my music"} {
		if err := os.Mkdir(filepath.Join(work, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, shell := range completion.Shells {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				if shell == "bash" {
					t.Fatal("no bash here")
				}
				t.Skipf("no %s here: sudo apt-get install %s", shell, shell)
			}
			for _, test := range []struct{ line, has, lacks string }{
				{"conga se", "serve", "join"},
				{"conga log ve", "verify", "tail"},
				{"conga serve --max-l", "--max-listeners", "--songs"},
				{"conga serve --log-format ", "json", "serve"},
				{"conga serve --songs m", "music", "verify"},
			} {
				var errs bytes.Buffer
				cmd := exec.Command(shell, "-c", asked[shell])
				cmd.Dir, cmd.Stderr = work, &errs
				cmd.Env = append(os.Environ(), "LINE="+test.line, "INNER="+innerZsh, "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"), "TERM=vt100", "HOME="+work)
				out, err := cmd.Output()
				if err != nil || !strings.Contains(string(out), test.has) || strings.Contains(string(out), test.lacks) {
					t.Errorf("%s: %v, %s\n%s", test.line, err, &errs, out)
				}
			}
		})
	}
}

// The pages are sound: man shows them without a warning, and they have what --help has.
func TestHelpMan(t *testing.T) {
	dir := t.TempDir()
	if code, _, err := conga(t, "help", "man", dir); code != 0 {
		t.Fatalf("exit %d, %s", code, err)
	}
	for name, parts := range map[string][]string{
		"conga": {"NAME", "SYNOPSIS", "conga serve", "EXIT STATUS", "ENVIRONMENT", "FILES", "/etc/conga/conga.toml"},
		"conga-serve": {
			"conga-serve - play a folder", "--max-listeners=N", "CONGA_MAX_LISTENERS", "~/.local/share/conga",
			"    ready requests=HOST:PORT stream=HOST:PORT http=HOST:PORT", `printf 'SONGS\nPLAY 2\n' | nc localhost 7000`,
		},
		"conga-log-tail": {"conga log tail", "--data=DIR"},
		"conga-join":     {"(your user name)"},
	} {
		page := filepath.Join(dir, name+".1")
		if _, err := os.Stat(page); err != nil {
			t.Fatal(err)
		}
		if _, err := exec.LookPath("groff"); err != nil {
			t.Skip("no groff here, so nobody looks at the pages: sudo apt-get install groff man-db")
		}
		var errs bytes.Buffer
		cmd := exec.Command("groff", "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=200n", page)
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil || errs.Len() > 0 {
			t.Errorf("%s: %v, %s", name, err, &errs)
		}
		for _, part := range parts {
			if !strings.Contains(strings.ReplaceAll(string(out), "‐", "-"), part) {
				t.Errorf("%s lacks %q:\n%s", name, part, out)
			}
		}
	}
}
