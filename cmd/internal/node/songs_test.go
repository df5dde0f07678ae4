package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A misspelt folder is refused, whatever was played before. The server waits for a folder that was there at an earlier
// start.
func TestCheckSongs(t *testing.T) {
	dir := t.TempDir()
	data, music, typo := filepath.Join(dir, "data"), filepath.Join(dir, "music"), filepath.Join(dir, "muzic")
	for _, folder := range []string{data, music} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(songs, want string) {
		t.Helper()
		err := CheckSongs(songs, data)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", songs, err, want)
		}
	}
	check(music, "")
	check(typo, "there is no folder "+typo)
	for range 2 {
		if err := keepSongs(music, data); err != nil {
			t.Fatal(err)
		}
	}
	check(typo, "at its last start this server had --songs "+music)
	if err := os.Remove(music); err != nil {
		t.Fatal(err)
	}
	check(music, "")
	check(music+string(filepath.Separator), "")
	check(file, "not a folder")
	if err := keepSongs(typo, data); err != nil { // a folder that was never there is not remembered
		t.Fatal(err)
	}
	check(typo, "there is no folder")
}
