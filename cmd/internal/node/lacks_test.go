package node

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"conga/actors/catalog/library"
	"conga/messages"
)

func TestLacking(t *testing.T) {
	dir, at := t.TempDir(), time.UnixMicro(1_700_000_000_000_000)
	state := library.State{}
	for _, name := range []string{"there.mp3", "gone.mp3", "in/folder.mp3", "other time.mp3", "other size.mp3"} {
		song := &messages.Song{Name: name, FileBytes: 3, ModifiedUnixUs: at.UnixMicro(), SampleRate: 44100, Frames: 1}
		state = state.Apply(&messages.SongAdded{Song: song})
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		text := "abc"
		if name == "other size.mp3" {
			text = "abcd"
		}
		if name == "gone.mp3" {
			continue
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		modified := at
		if name == "other time.mp3" {
			modified = at.Add(time.Second)
		}
		if err := os.Chtimes(file, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"gone.mp3", "other size.mp3", "other time.mp3"}
	if got := lacking(t.Context(), dir, state); !slices.Equal(got, want) {
		t.Errorf("it lacks %q, want %q", got, want)
	}
}
