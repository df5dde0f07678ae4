package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conga/actors"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/node"
)

// houseSong is the beginning of one of the house's songs.
func houseSong(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile("../../songs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return content[:60_000]
}

// takingRadio is a radio that takes songs.
func takingRadio(t *testing.T, token string) string {
	t.Helper()
	songs := t.TempDir()
	if err := os.WriteFile(filepath.Join(songs, "air.mp3"), houseSong(t, "bach.mp3"), 0o600); err != nil {
		t.Fatal(err)
	}
	return serving(t, node.ServerOptions{Songs: songs, Token: token, Uploads: actors.UploadLimits{Largest: 1 << 20, Most: 1 << 30}})
}

// Songs are brought from a script, with or without a token; what is there already is no error, what is no music is.
func TestAdd(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	joy := put("Ode to Joy.mp3", houseSong(t, "beethoven.mp3"))
	canon := put("canon.mp3", houseSong(t, "pachelbel.mp3"))
	page, large := put("page.mp3", []byte("<html>hello")), put("large.mp3", make([]byte, 1<<20+1))
	for _, token := range []string{"", "open sesame"} {
		t.Run("token "+token, func(t *testing.T) {
			t.Setenv("CONGA_SERVER", takingRadio(t, token))
			if token != "" {
				t.Setenv("CONGA_AUTH", token)
			}
			for _, test := range []struct {
				args []string
				code int
				out  string // begins so
				err  string // has that
			}{
				{[]string{"add", joy}, 0, "Ode to Joy.mp3: Song uploads/Ode to Joy.mp3 is here. conga play uploads/Ode to Joy.mp3 asks for it.\n", ""},
				{[]string{"add", joy, canon}, 0, "Ode to Joy.mp3: This song is here already: conga play uploads/Ode to Joy.mp3 asks for it\ncanon.mp3: Song uploads/canon.mp3 is here.", ""},
				{[]string{"add", page}, cli.Failed, "", "refuses: It cannot be played: it is a web page"},
				{[]string{"add", large}, cli.Failed, "", "at most 1 MB"},
				{[]string{"add", page, canon}, cli.Failed, "page.mp3: ", "1 of 2 files were not taken"},
				{[]string{"add", filepath.Join(dir, "none.mp3")}, cli.Failed, "", "no such file"},
				{[]string{"add", dir}, cli.Failed, "", "is no file"},
				{[]string{"play", "ode to joy"}, 0, "Song uploads/Ode to Joy.mp3 has been requested!", ""},
				{[]string{"add"}, cli.Usage, "", "<file>"},
				{[]string{"add", joy, "--server", "127.0.0.1:1"}, cli.Unreachable, "", "127.0.0.1:1"},
			} {
				code, out, err := conga(t, test.args...)
				if code != test.code || !strings.HasPrefix(out, test.out) || test.out == "" && out != "" || !strings.Contains(err, test.err) || code == 0 && err != "" {
					t.Errorf("conga %q: exit %d, %q, %q", test.args, code, out, err)
				}
			}
			code, out, err := conga(t, "add", "--json", page, joy)
			var said addJSON
			if json.Unmarshal([]byte(out), &said) != nil || code != cli.Failed || len(said.Files) != 2 || said.Files[0].Done || !said.Files[1].Done {
				t.Errorf("exit %d, %s, %s", code, out, err)
			}
		})
	}
	t.Setenv("CONGA_SERVER", radioAt(t, ""))
	if code, _, err := conga(t, "add", joy); code != cli.Failed || !strings.Contains(err, "--accept-uploads") {
		t.Errorf("a radio that takes none: exit %d, %q", code, err)
	}
}
