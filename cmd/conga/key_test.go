package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/keys"
	"conga/messages/raced"
)

func typing(t *testing.T, input string, args ...string) (code int, out string) {
	t.Helper()
	var both bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(input), &both, &both)
	return code, both.String()
}

// A key is the same in the other folder, and its secret is in no output and, encrypted, in no file.
func TestKey_Carried(t *testing.T) {
	for name, phrase := range map[string]string{"plain": "", "encrypted": "correct horse\n"} {
		t.Run(name, func(t *testing.T) {
			if phrase != "" && raced.On {
				t.Skip("scrypt takes six seconds with the race detector")
			}
			dir := t.TempDir()
			first, second, file := filepath.Join(dir, "first"), filepath.Join(dir, "second"), filepath.Join(dir, "radio.key")
			if err := os.Mkdir(first, 0o700); err != nil {
				t.Fatal(err)
			}
			key, err := keys.Signing(first)
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"key", "export", file, "--data", first}
			if phrase != "" {
				args = append(args, "--passphrase")
			}
			code, out := typing(t, phrase, args...)
			if code != 0 {
				t.Fatal(out)
			}
			if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}
			secret, err := os.ReadFile(filepath.Join(first, keys.SigningFile))
			if err != nil {
				t.Fatal(err)
			}
			written, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			line := strings.Split(string(secret), "\n")[1]
			if strings.Contains(out, line) || phrase != "" == strings.Contains(string(written), line) {
				t.Errorf("the secret is where it must not be, or not where it must be: %s\n%s", out, written)
			}
			if code, out := typing(t, phrase, args...); code != cli.Failed || !strings.Contains(out, "is there already") {
				t.Errorf("a second export: %d, %s", code, out)
			}
			if phrase != "" {
				if code, out := typing(t, "battery staple\n", "key", "import", file, "--data", second); code != cli.Failed || !strings.Contains(out, "this is not the passphrase") {
					t.Errorf("a wrong passphrase: %d, %s", code, out)
				}
			}
			for range 2 { // again changes nothing
				if code, out := typing(t, phrase, "key", "import", file, "--data", second); code != 0 || !strings.Contains(out, keys.Text(key.Public().(ed25519.PublicKey))) {
					t.Errorf("%d, %s", code, out)
				}
			}
			if got, err := keys.Signing(second); err != nil || !got.Equal(key) {
				t.Errorf("another key: %v", err)
			}
		})
	}
}

func TestKey_Refused(t *testing.T) {
	dir := t.TempDir()
	taken, empty, file, text := filepath.Join(dir, "taken"), filepath.Join(dir, "empty"), filepath.Join(dir, "key"), filepath.Join(dir, "text")
	for _, folder := range []string{taken, empty} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := keys.Signing(taken); err != nil {
		t.Fatal(err)
	}
	if code, out := typing(t, "", "key", "export", file, "--data", taken); code != 0 {
		t.Fatal(out)
	}
	if err := os.WriteFile(text, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken")
	if err := errors.Join(os.Mkdir(broken, 0o700), os.WriteFile(filepath.Join(broken, keys.SigningFile), []byte("no key"), 0o600)); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Signing(other); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ args, want string }{
		"no key there":       {"key export " + dir + "/new --data " + empty, "has no key"},
		"another key there":  {"key import " + file + " --data " + other, "has another key already"},
		"a broken key there": {"key import " + file + " --data " + broken, filepath.Join(broken, keys.SigningFile) + " is not a key of conga"},
		"no key in the file": {"key import " + text + " --data " + empty, "is not a key of conga"},
		"no file":            {"key import " + dir + "/none --data " + empty, "no such file"},
		"no passphrase":      {"key export " + dir + "/new --passphrase --data " + taken, "the passphrase is empty"},
	} {
		if code, out := typing(t, "", strings.Fields(test.args)...); code != cli.Failed || !strings.Contains(out, test.want) {
			t.Errorf("%s: %d, %s", name, code, out)
		}
	}
}
