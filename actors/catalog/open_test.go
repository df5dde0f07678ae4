package catalog

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestOpen(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "songs")
	if err := os.MkdirAll(filepath.Join(dir, "sub.mp3"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, outside, "secret.mp3", []byte("secret"))
	put(t, dir, "a, b.mp3", []byte("music"))
	put(t, dir, ".hidden.mp3", []byte("hidden"))
	put(t, filepath.Join(dir, "sub.mp3"), "c.mp3", []byte("deep"))
	if err := os.Symlink("../secret.mp3", filepath.Join(dir, "link.mp3")); err != nil {
		t.Fatal(err)
	}
	makePipe(t, filepath.Join(dir, "pipe.mp3"))
	for _, c := range []struct{ name, want string }{
		{"a, b.mp3", "music"},
		{"link.mp3", "secret"}, // whoever may write into the folder chose it
		{"../secret.mp3", ""},
		{"sub.mp3/c.mp3", "deep"},
		{"sub.mp3/../../secret.mp3", ""},
		{"sub.mp3//c.mp3", ""},
		{"sub.mp3/.hidden.mp3", ""},
		{"/secret.mp3", ""},
		{`..\secret.mp3`, ""},
		{filepath.Join(outside, "secret.mp3"), ""},
		{"..", ""},
		{".", ""},
		{"", ""},
		{".hidden.mp3", ""},
		{"sub.mp3", ""},
		{"a\nb.mp3", ""},
		{"a\u2028b.mp3", ""},
		{"a\xff.mp3", ""},
		{"a\x00.mp3", ""},
		{"pipe.mp3", ""}, // opening it would block for ever
	} {
		f, err := Open(dir, c.name)
		if err != nil {
			if c.want != "" {
				t.Errorf("%q: %v", c.name, err)
			}
			continue
		}
		got, err := io.ReadAll(f)
		if closeErr := f.Close(); err != nil || closeErr != nil || !bytes.Equal(got, []byte(c.want)) || c.want == "" {
			t.Errorf("%q: got %q, %v, %v", c.name, got, err, closeErr)
		}
	}
	if _, err := Open(dir, "gone.mp3"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}
