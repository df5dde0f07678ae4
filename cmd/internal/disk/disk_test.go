package disk

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	for _, text := range []string{"first, and longer", "second"} {
		if err := WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("read %q, %v, want %q", got, err, text)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("it is %v, %v", info.Mode(), err)
	}
	alone(t, path)
}

// A write that fails leaves what was there, and nothing beside it.
func TestWriteFile_Fails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil { // no file can take its place
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("text"), 0o600); err == nil {
		t.Error("it took a folder's place")
	}
	alone(t, path)
	if err := WriteFile(filepath.Join(path, "none", "key.pem"), []byte("text"), 0o600); err == nil {
		t.Error("it was written into a folder that is not there")
	}
}

func alone(t *testing.T, path string) {
	t.Helper()
	if found, err := os.ReadDir(filepath.Dir(path)); err != nil || len(found) != 1 {
		t.Errorf("beside it: %v, %v", found, err)
	}
}
