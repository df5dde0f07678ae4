package catalog

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/sqlite"
)

// The log grows with what changes in the folder: by some hundred bytes for each song that is new, saved, taken away or
// put back. If nothing changes, nothing is written. If the whole folder was away, its songs are not written again.
func TestCatalog_CostsWhatHasChanged(t *testing.T) {
	const many, few = 1000, 12
	dir := filepath.Join(t.TempDir(), "songs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	content := song(t, "bach.mp3")[:5000] // a tag with title and artist, and some frames
	name := func(i int) string {
		return filepath.Join(dir, fmt.Sprintf("%04d - Some Band With A Name - A Song With A Longer Title.mp3", i))
	}
	for i := range many {
		put(t, dir, filepath.Base(name(i)), content)
	}
	store, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	size := func() int64 {
		n, err := log.Size()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	empty := size()
	h := open(t, dir, log)
	<-h.ready
	if cost := (size() - empty) / many; h.log.Last() != many || cost > 500 {
		t.Errorf("%d songs are %d events of %d bytes each", many, h.log.Last(), cost)
	}
	if n := h.said.count("the songs folder has changed"); n > 1 {
		t.Errorf("that is said %d times", n)
	}

	events := uint64(many)
	cost := func(what string, n uint64, change func()) {
		t.Helper()
		before := size()
		change()
		events += n
		for deadline := time.Now().Add(patience); h.log.Last() < events; {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d events, want %d", what, h.log.Last(), events)
			}
			h.looksDone(1)
		}
		h.looksDone(2)
		if grown := size() - before; h.log.Last() != events || grown > 10_000 {
			t.Errorf("%s: %d events, want %d; it cost %d bytes", what, h.log.Last(), events, grown)
		}
	}
	cost("nothing", 0, func() {})
	cost("a few are saved", few, func() {
		for i := range few {
			touch(t, name(i*80), time.Now().Add(-time.Minute))
		}
	})
	cost("a few are deleted", few, func() {
		for i := range few {
			if err := os.Remove(name(i * 80)); err != nil {
				t.Fatal(err)
			}
		}
	})
	cost("the folder is away", 1, func() {
		if err := os.Rename(dir, dir+" away"); err != nil {
			t.Fatal(err)
		}
	})
	cost("and back", 1, func() {
		if err := os.Rename(dir+" away", dir); err != nil {
			t.Fatal(err)
		}
	})
}

// If a folder is full of files that are no music, few lines say so.
func TestCatalog_ManyLeftOut(t *testing.T) {
	dir := t.TempDir()
	for i := range 200 {
		put(t, dir, fmt.Sprintf("%03d.mp3", i), []byte("this is no music"))
	}
	h := open(t, dir, nil)
	<-h.ready
	h.looksDone(2)
	if n := h.said.count("left out"); n != mostWarnings+1 {
		t.Errorf("%d lines speak of what is left out, want %d:\n%s", n, mostWarnings+1, h.said)
	}
}
