package catalog

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"conga/actors/catalog/library"
)

func TestCatalog_TheHousesSongs(t *testing.T) {
	h := open(t, "../../songs", nil)
	h.expect("added bach.mp3", "added beethoven.mp3", "added pachelbel.mp3")
	if got := h.songs(); !slices.Equal(got, []string{"bach.mp3", "beethoven.mp3", "pachelbel.mp3"}) {
		t.Errorf("got %v", got)
	}
	view := h.view()
	state, ok := view.State.(library.State)
	if !ok || view.Actor != Actor || view.Seq != 3 || state.Songs.Len() != 3 {
		t.Fatalf("got %+v", view)
	}
	bach := *state.Songs.At(0)
	bach.ModifiedUnixUs = 0 // that of a fresh clone is anything
	want := library.Song{
		Name: "bach.mp3", Title: "Prelude in C major, BWV 846", Artist: "Johann Sebastian Bach", DurationMs: 39444, SampleRate: 44100,
		Frames: 1510, AudioBytes: 631118, FileBytes: 631851, Sum: "7cf6fc4d9c8f1fc55ae6060cbc6ee84d2aa8429fcbfe4a24d292935cb810c988",
	}
	if bach != want {
		t.Errorf("got %+v, want %+v", bach, want)
	}
}

func TestCatalog_ComesAndGoes(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir, nil)
	h.looksDone(2)
	if n := h.said.count("no songs in the songs folder"); n != 1 {
		t.Errorf("said %d times that there is no song, want once:\n%s", n, h.said)
	}
	drop(t, dir, "new.mp3", song(t, "bach.mp3"), time.Now())
	h.expect("added new.mp3")
	if err := os.Rename(filepath.Join(dir, "new.mp3"), filepath.Join(dir, "renamed.MP3")); err != nil {
		t.Fatal(err)
	}
	h.expect("removed new.mp3", "added renamed.MP3")
	put(t, dir, "renamed.MP3", song(t, "pachelbel.mp3"))
	h.expect("added renamed.MP3")
	if err := os.Remove(filepath.Join(dir, "renamed.MP3")); err != nil {
		t.Fatal(err)
	}
	h.expect("away") // an unplugged disk leaves an empty folder, too
	if got := h.songs(); len(got) != 0 {
		t.Errorf("it is empty and has %v", got)
	}
	drop(t, dir, "other.mp3", song(t, "bach.mp3"), time.Now().Add(-time.Hour))
	h.expect("back", "removed renamed.MP3", "added other.mp3")
	h.looksDone(1)
	if n := h.said.count("the songs folder is empty; its songs and the requests for them wait for it (--songs DIR names another)"); n != 1 {
		t.Errorf("said %d times that it is empty, want once:\n%s", n, h.said)
	}
}

func TestCatalog_LeavesOut(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "empty.mp3", nil)
	put(t, dir, "text.mp3", []byte("this is no music"))
	put(t, dir, "line\nbreak.mp3", song(t, "bach.mp3"))
	put(t, dir, "latin\xe91.mp3", song(t, "bach.mp3"))
	put(t, dir, ".hidden.mp3", song(t, "bach.mp3"))
	put(t, dir, "cover.jpg", []byte("jpg"))
	put(t, dir, "Bach, Prelude.mp3", song(t, "bach.mp3"))
	if err := os.Mkdir(filepath.Join(dir, "folder.mp3"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link.mp3")); err != nil {
		t.Fatal(err)
	}
	h := open(t, dir, nil)
	rejected := []string{"empty.mp3", `latin\xe91.mp3`, `line\nbreak.mp3`, "link.mp3", "text.mp3"}
	h.expect("added Bach, Prelude.mp3")
	for _, name := range rejected {
		h.expect("rejected " + name)
	}
	h.looksDone(2)
	if n := h.said.count("file left out"); n != len(rejected) {
		t.Errorf("%d warnings, want one for each of %d files:\n%s", n, len(rejected), h.said)
	}
	for _, reason := range []string{"it is empty", "UTF-8", "line break", "no such file", "there is no mp3 music (MPEG-1 layer III) in it"} {
		if h.said.count(reason) != 1 {
			t.Errorf("no warning speaks of %q:\n%s", reason, h.said)
		}
	}
	if got := h.songs(); !slices.Equal(got, []string{"Bach, Prelude.mp3"}) {
		t.Errorf("got %v", got)
	}
	if h.said.count("the songs folder has songs\" folder="+dir+" songs=1") != 1 || h.said.count("has changed") != 0 {
		t.Errorf("a folder that is looked at first has changed, or it is not said what it has:\n%s", h.said)
	}
	if last := h.log.Last(); last != 6 {
		t.Errorf("the log has %d events, want 6", last)
	}
}

// At first the folder does not exist. Later it is taken away and put back. The songs stay known, and none is read
// again.
func TestCatalog_FolderGoneAndBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "songs")
	h := open(t, dir, nil)
	h.looksDone(2)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "bach.mp3", song(t, "bach.mp3"))
	put(t, dir, "pachelbel.mp3", song(t, "pachelbel.mp3"))
	h.expect("added bach.mp3", "added pachelbel.mp3")
	for range 2 {
		if err := os.Rename(dir, dir+" away"); err != nil {
			t.Fatal(err)
		}
		h.expect("away")
		if err := os.Rename(dir+" away", dir); err != nil {
			t.Fatal(err)
		}
		h.expect("back")
		if got := h.songs(); !slices.Equal(got, []string{"bach.mp3", "pachelbel.mp3"}) {
			t.Errorf("it is back with %v", got)
		}
	}
	h.looksDone(1)
	if n := h.said.count("songs folder cannot be read: no such file"); n != 3 {
		t.Errorf("said %d times that the folder is missing, want once each time:\n%s", n, h.said)
	}
}

// The disk is mounted after the server has started. The catalog still has the songs of the log.
func TestCatalog_MountedLater(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "bach.mp3", song(t, "bach.mp3"))
	first := open(t, dir, nil)
	first.expect("added bach.mp3")
	if err := first.system.Root.StopFuture(first.pid).Wait(); err != nil {
		t.Fatal(err)
	}
	later := filepath.Join(t.TempDir(), "mount point")
	second := open(t, later, first.log)
	second.expect("away")
	if err := os.Rename(dir, later); err != nil {
		t.Fatal(err)
	}
	second.expect("back")
	second.looksDone(2)
	if n := second.log.Last(); n != 3 {
		t.Errorf("the log has %d events, want 3", n)
	}
}

// Ready is called once, when all songs in the folder are known, also those that were written just now.
func TestCatalog_Ready(t *testing.T) {
	dir := t.TempDir()
	for i := range 100 {
		drop(t, dir, fmt.Sprintf("%02d.mp3", i), song(t, "bach.mp3")[:20_000], time.Now().Add(-time.Hour))
	}
	drop(t, dir, "new.mp3", song(t, "bach.mp3"), time.Now())
	h := open(t, dir, nil)
	<-h.ready
	if got := h.songs(); len(got) != 101 {
		t.Errorf("it is ready with %d songs of 101", len(got))
	}
	h.looksDone(2)
	if n := len(h.ready); n > 0 {
		t.Errorf("it is ready %d times more", n)
	}
}

// If a file is saved in place and only its time has changed, the catalog looks at it as soon as the system reports the
// change, however long the poll is.
func TestCatalog_Touched(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "bach.mp3", song(t, "bach.mp3"))
	h := openPolling(t, dir, nil, time.Hour)
	h.expect("added bach.mp3")
	<-h.ready
	if !h.view().Live.(live).Watched {
		t.Skip("this system tells nothing of changes")
	}
	touch(t, filepath.Join(dir, "bach.mp3"), time.Now())
	h.expect("added bach.mp3")
}

// More files than one batch has, and one that is not where it seems to be.
func TestCatalog_ManyFiles(t *testing.T) {
	dir := t.TempDir()
	short := song(t, "bach.mp3")[:20_000]
	var want []string
	for i := range 3*firstBatch + 3 {
		name := fmt.Sprintf("%03d.mp3", i)
		put(t, dir, name, short)
		want = append(want, name)
	}
	elsewhere := t.TempDir()
	put(t, elsewhere, "away", short)
	if err := os.Symlink(filepath.Join(elsewhere, "away"), filepath.Join(dir, "z.mp3")); err != nil {
		t.Fatal(err)
	}
	want = append(want, "z.mp3")
	h := open(t, dir, nil)
	for _, name := range want {
		h.expect("added " + name)
	}
	if got := h.songs(); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

// A second process on the same log logs only what has changed meanwhile.
func TestCatalog_NextProcess(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"bach.mp3", "beethoven.mp3", "pachelbel.mp3"} {
		put(t, dir, name, song(t, name))
	}
	put(t, dir, "broken.mp3", nil)
	first := open(t, dir, nil)
	first.expect("added bach.mp3", "added beethoven.mp3", "added pachelbel.mp3", "rejected broken.mp3")
	if err := first.system.Root.StopFuture(first.pid).Wait(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "bach.mp3")); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "pachelbel.mp3", song(t, "bach.mp3"))
	second := open(t, dir, first.log)
	second.expect("removed bach.mp3", "added pachelbel.mp3")
	second.looksDone(1)
	if n := second.said.count("broken.mp3"); n != 1 {
		t.Errorf("warned %d times of broken.mp3, want once a process:\n%s", n, second.said)
	}
}

type boom struct{}

// A catalog that panics starts again with all that it knew, and goes on looking.
func TestCatalog_Restart(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "bach.mp3", song(t, "bach.mp3"))
	h := open(t, dir, nil, actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(ctx actor.ReceiverContext, envelope *actor.MessageEnvelope) {
			if _, ok := envelope.Message.(boom); ok {
				panic("boom")
			}
			next(ctx, envelope)
		}
	}))
	h.expect("added bach.mp3")
	h.system.Root.Send(h.pid, boom{})
	if got := h.songs(); !slices.Equal(got, []string{"bach.mp3"}) {
		t.Errorf("after the restart it knows %v", got)
	}
	put(t, dir, "pachelbel.mp3", song(t, "pachelbel.mp3"))
	h.expect("added pachelbel.mp3")
}

// A catalog that cannot write the log does not answer: it fails, and its supervisor decides.
func TestCatalog_LogFails(t *testing.T) {
	dir := t.TempDir()
	failed := make(chan any, 100)
	h := open(t, dir, nil, actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(ctx actor.ReceiverContext, envelope *actor.MessageEnvelope) {
			defer func() {
				if reason := recover(); reason != nil {
					failed <- reason
					panic(reason)
				}
			}()
			next(ctx, envelope)
		}
	}))
	h.looksDone(1)
	if err := h.log.Close(); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "bach.mp3", song(t, "bach.mp3"))
	<-failed
	if last := h.log.Last(); last != 0 {
		t.Errorf("the log has %d events", last)
	}
}
