package catalog

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"conga/messages"
)

const settle = 300 * time.Millisecond

// A file is judged when it has rested, not before; until then what it was still counts.
func TestLook_StillBeingCopied(t *testing.T) {
	dir := t.TempDir()
	whole := song(t, "bach.mp3")
	path := filepath.Join(dir, "bach.mp3")
	now := time.Now()
	var known map[string]file
	frames := func(saw sighting) int64 {
		known = saw.files
		return saw.files["bach.mp3"].song.GetFrames()
	}
	write := func(n int, at time.Time) {
		if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		touch(t, path, at)
	}

	for _, step := range []struct {
		name    string
		after   time.Duration
		size    int // 0: nothing is written
		copied  int
		minimum int64
		maximum int64
	}{
		{"it begins", 0, 100_000, 1, 0, 0},
		{"it grows", settle, 200_000, 1, 0, 0},
		{"too early", settle / 2, 0, 1, 0, 0},
		{"it rests", settle / 2, 0, 0, 470, 480},
		{"it still rests", settle, 0, 0, 470, 480},
		{"it grows again", settle, len(whole), 1, 470, 480},
		{"it is whole", settle, 0, 0, 1510, 1510},
	} {
		now = now.Add(step.after)
		if step.size > 0 {
			write(step.size, now)
		}
		saw := look(t.Context(), dir, known, settle, now)
		if got := frames(saw); saw.copied != step.copied || got < step.minimum || got > step.maximum {
			t.Fatalf("%s: %d frames, %d being copied", step.name, got, saw.copied)
		}
	}
}

func TestLook_OldFilesAreJudgedAtOnce(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "bach.mp3", song(t, "bach.mp3"))
	if saw := look(t.Context(), dir, nil, settle, time.Now()); saw.files["bach.mp3"].song == nil || saw.copied != 0 {
		t.Errorf("got %+v", saw)
	}
}

// What the log knows is not read again: a library of a terabyte opens at once.
func TestLook_KnownFilesAreNotRead(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "bach.mp3", song(t, "bach.mp3"))
	saw := look(t.Context(), dir, nil, settle, time.Now())
	state := State{}
	for _, event := range state.Decide(saw.report()) {
		state = state.Apply(event)
	}
	path := filepath.Join(dir, "bach.mp3")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, info.Size()), 0o644); err != nil {
		t.Fatal(err)
	}
	touch(t, path, info.ModTime())
	saw = look(t.Context(), dir, remembered(state), settle, time.Now())
	if events := state.Decide(saw.report()); saw.files["bach.mp3"].song == nil || len(events) != 0 {
		t.Errorf("it was read again: %+v, %v", saw, events)
	}
}

// What is music in a file plays, whatever stands around it. Only a file whose music may be chance is
// left out.
func TestLook_Damaged(t *testing.T) {
	dir := t.TempDir()
	bach := song(t, "bach.mp3")
	put(t, dir, "half.mp3", bach[:len(bach)/2])
	put(t, dir, "hole.mp3", slices.Concat(bach[:100_000], make([]byte, 1_300_000), bach[100_000:]))
	put(t, dir, "zeros.mp3", slices.Concat(bach[:100_000], make([]byte, 1_300_000)))
	put(t, dir, "cover.mp3", slices.Concat(bach, bytes.Repeat([]byte("cover"), 300_000)))
	put(t, dir, "after.mp3", slices.Concat(make([]byte, 1_300_000), bach))
	var shreds []byte
	for at := 10_000; at < 100_000; at += 2000 { // hardly a frame is whole
		shreds = append(append(shreds, bach[at:at+1000]...), make([]byte, 5000)...)
	}
	put(t, dir, "shreds.mp3", shreds)
	saw := look(t.Context(), dir, nil, settle, time.Now())
	for name, frames := range map[string]int64{"half.mp3": 754, "hole.mp3": 1510, "zeros.mp3": 238, "cover.mp3": 1510, "after.mp3": 1510} {
		if got := saw.files[name]; got.song.GetFrames() != frames {
			t.Errorf("%s has %d frames, want %d: %s", name, got.song.GetFrames(), frames, got.reason)
		}
	}
	if got := saw.files["shreds.mp3"]; got.song != nil || got.reason == "" {
		t.Errorf("a file without music is a song: %+v", got)
	}
}

func TestLook_Cancelled(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "bach.mp3", song(t, "bach.mp3"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if saw := look(ctx, dir, nil, settle, time.Now()); saw.files["bach.mp3"].judged || saw.unread != 1 {
		t.Errorf("it was read: %+v", saw)
	}
}

// A folder that is a file is a folder that is missing; one that only fails to be read
// at this moment takes no song away.
func TestLook_NoFolder(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "file", nil)
	known := map[string]file{"bach.mp3": {judged: true, song: &messages.Song{Name: "bach.mp3"}}}
	for _, missing := range []string{"file", "nothing"} {
		saw := look(t.Context(), filepath.Join(dir, missing), known, settle, time.Now())
		if saw.err == nil || !saw.gone || len(saw.files) != 0 {
			t.Errorf("%s: %+v", missing, saw)
		}
	}
}
