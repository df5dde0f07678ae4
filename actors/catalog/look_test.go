package catalog

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors/catalog/library"
	"conga/actors/internal/mp3"
	"conga/messages"
)

const settle = 300 * time.Millisecond

// watcher looks at a folder again and again, at times of its own, and keeps the state.
type watcher struct {
	t       *testing.T
	dir     string
	now     time.Time
	known   map[string]file
	state   library.State
	reports []*messages.ReportSongs // of the last look, those that said something
	saw     sighting
	first   bool
	makes   bool
	moved   *Elsewhere
}

func newWatcher(t *testing.T, dir string) *watcher {
	return &watcher{t: t, dir: dir, now: time.Now().Truncate(time.Microsecond)}
}

// look looks when so much time has passed.
func (w *watcher) look(after time.Duration) {
	w.now, w.reports = w.now.Add(after), nil
	ctx := context.Background()
	if w.t != nil {
		ctx = w.t.Context()
	}
	at := folder{dir: w.dir, settle: settle, first: w.first, makes: w.makes, folders: w.saw.folders, unseen: w.saw.unseen, elsewhere: w.moved}
	w.saw = look(ctx, at, w.known, w.now, func(r *messages.ReportSongs) {
		if proto.Size(r) > 0 {
			w.reports = append(w.reports, r)
		}
		for _, event := range w.state.Decide(r) {
			w.state = w.state.Apply(event)
		}
	})
	w.known = w.saw.files
}

// write writes the first n bytes of a file, as whoever uploads it would at this moment.
func (w *watcher) write(name string, content []byte, n int) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, content[:n], 0o644); err != nil {
		w.t.Fatal(err)
	}
	touch(w.t, path, w.now)
}

// bare is the song without the encoder's table.
func bare(t *testing.T, name string) []byte {
	t.Helper()
	var all []byte
	for r := mp3.NewReader(bytes.NewReader(song(t, name))); ; {
		frame, _, err := r.Next()
		if err != nil {
			return all
		}
		all = append(all, frame...)
	}
}

// A song arrives over a slow line. It is offered once, when it is whole, however long the line pauses.
func TestLook_SlowUpload(t *testing.T) {
	for _, c := range []struct {
		name   string
		file   []byte
		pauses []time.Duration
		rest   time.Duration // how long it must rest at its end
	}{
		{"with a table", song(t, "bach.mp3"), []time.Duration{time.Second, 3 * time.Second, 20 * time.Second, 90 * time.Second}, settle},
		{"without a table", bare(t, "bach.mp3"), []time.Duration{time.Second, 3 * time.Second, 10 * time.Second}, 15 * time.Second},
	} {
		for _, pause := range c.pauses {
			t.Run(fmt.Sprint(c.name, " ", pause), func(t *testing.T) {
				w := newWatcher(t, t.TempDir())
				for at := 40 << 10; at < len(c.file); at += 40 << 10 {
					w.write("new.mp3", c.file, at)
					w.look(0)
					for left := min(pause, 4*time.Second); left > 0; left -= 300 * time.Millisecond { // longer pauses come later
						w.look(min(left, 300*time.Millisecond))
					}
					if at > 40<<10 && pause > 4*time.Second {
						w.look(pause - 4*time.Second)
					}
					if w.state.Songs.Len() > 0 {
						t.Fatalf("it is offered with %d of %d bytes", at, len(c.file))
					}
				}
				w.write("new.mp3", c.file, len(c.file))
				for _, step := range []time.Duration{0, c.rest - time.Millisecond} {
					if w.look(step); w.state.Songs.Len() > 0 {
						t.Fatal("it is offered before it has rested")
					}
				}
				w.look(time.Millisecond)
				if got := w.state.Find("new.mp3"); got.GetFrames() != 1510 || w.saw.rests != 0 {
					t.Errorf("at its end it is %v", got)
				}
			})
		}
	}
}

// A file that never becomes whole is offered as it is: sooner if no look has seen it grow.
func TestLook_NeverWhole(t *testing.T) {
	whole, plain := song(t, "bach.mp3"), bare(t, "bach.mp3")
	for _, c := range []struct {
		name string
		file []byte
		seen history
		rest time.Duration
	}{
		{"half.mp3", whole[:300_000], lay, 5 * time.Second},
		{"half.mp3", whole[:300_000], came, 5 * time.Second},
		{"half.mp3", whole[:300_000], grown, 2 * time.Minute},
		{"cut.mp3", plain[:300_001], lay, 5 * time.Second},
		{"cut.mp3", plain[:300_001], came, 5 * time.Second},
		{"cut.mp3", plain[:300_001], grown, 15 * time.Second},
		{"whole.mp3", plain, lay, settle},
		{"whole.mp3", plain, came, 5 * time.Second},
		{"whole.mp3", plain, grown, 15 * time.Second},
		{"whole.part.mp3", whole, lay, 2 * time.Minute},
		{"table.mp3", whole, lay, settle},
		{"table.mp3", whole, came, settle},
		{"table.mp3", whole, grown, settle},
	} {
		t.Run(fmt.Sprint(c.name, " ", c.seen), func(t *testing.T) {
			w := newWatcher(t, t.TempDir())
			w.first = c.seen == lay
			if c.seen == grown {
				w.write(c.name, c.file, 10_000)
				w.look(0)
				w.look(100 * time.Millisecond)
			}
			w.write(c.name, c.file, len(c.file))
			w.look(0)
			for rested := time.Duration(0); w.state.Songs.Len() == 0; {
				next := w.saw.next
				if next <= 0 || rested > time.Hour {
					t.Fatalf("nothing is to come: %+v", w.saw)
				}
				if rested += next; rested > c.rest {
					t.Fatalf("it is not offered after %v", rested-next)
				}
				w.look(next)
				if (w.state.Songs.Len() > 0) != (rested == c.rest) {
					t.Fatalf("offered after %v, want %v", rested, c.rest)
				}
			}
		})
	}
}

// While a song is saved with other tags, the old ones count. The new ones count as soon as the file rests.
func TestLook_Retagged(t *testing.T) {
	w := newWatcher(t, t.TempDir())
	put(t, w.dir, "bach.mp3", song(t, "bach.mp3"))
	w.look(0)
	for _, tagged := range [][]byte{
		append(id3(0, textFrame("TIT2", "Another")), bare(t, "bach.mp3")...),
		append(id3(0, textFrame("TIT2", "A third title, which needs more room")), bare(t, "bach.mp3")...),
	} {
		w.write("bach.mp3", tagged, len(tagged))
		before := w.state.Find("bach.mp3").GetTitle()
		if w.look(settle / 2); w.state.Find("bach.mp3").GetTitle() != before {
			t.Error("it was read while it was written")
		}
		if w.look(settle / 2); w.state.Find("bach.mp3").GetTitle() == before || w.state.Find("bach.mp3").GetFrames() != 1510 {
			t.Errorf("it is %v", w.state.Find("bach.mp3"))
		}
	}
}

func TestLook_OldFilesAreJudgedAtOnce(t *testing.T) {
	w := newWatcher(t, t.TempDir())
	put(t, w.dir, "bach.mp3", song(t, "bach.mp3"))
	put(t, w.dir, "half.mp3", song(t, "bach.mp3")[:300_000])
	if w.look(0); w.state.Songs.Len() != 2 || w.saw.next != 0 {
		t.Errorf("got %+v", w.saw)
	}
}

// Songs that the log knows are not read again, so that a folder of a terabyte opens at once.
func TestLook_KnownFilesAreNotRead(t *testing.T) {
	w := newWatcher(t, t.TempDir())
	put(t, w.dir, "bach.mp3", song(t, "bach.mp3"))
	w.look(0)
	path := filepath.Join(w.dir, "bach.mp3")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, info.Size()), 0o644); err != nil {
		t.Fatal(err)
	}
	touch(t, path, info.ModTime())
	w.known = remembered(w.state, false)
	if w.look(0); w.state.Songs.Len() != 1 || len(w.reports) > 0 {
		t.Errorf("it was read again: %v", w.reports)
	}
}

// A report grows with what has changed, not with the folder.
func TestLook_ReportsTheChange(t *testing.T) {
	w := newWatcher(t, t.TempDir())
	content := song(t, "bach.mp3")[:5000]
	for i := range 1000 {
		put(t, w.dir, fmt.Sprintf("%03d.mp3", i), content)
	}
	w.look(0)
	if n := len(w.reports); w.state.Songs.Len() != 1000 || n > 12 {
		t.Fatalf("%d songs in %d reports", w.state.Songs.Len(), n)
	}
	if w.look(time.Minute); len(w.reports) > 0 {
		t.Errorf("nothing has changed, and it reports %v", w.reports)
	}
	touch(t, filepath.Join(w.dir, "500.mp3"), w.now)
	if err := os.Remove(filepath.Join(w.dir, "501.mp3")); err != nil {
		t.Fatal(err)
	}
	w.look(10 * time.Second)
	if len(w.reports) != 1 || len(w.reports[0].GetSongs()) != 1 || !slices.Equal(w.reports[0].GetGone(), []string{"501.mp3"}) {
		t.Errorf("one was saved and one was deleted, and it reports %v", w.reports)
	}
}

// The music in a file plays, whatever other bytes the file has. Only a file that looks like music by chance is left
// out.
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
	w := newWatcher(t, dir)
	w.look(0)
	for name, frames := range map[string]int64{"half.mp3": 754, "hole.mp3": 1510, "zeros.mp3": 238, "cover.mp3": 1510, "after.mp3": 1510} {
		if got := w.state.Find(name).GetFrames(); got != frames {
			t.Errorf("%s has %d frames, want %d", name, got, frames)
		}
	}
	if _, refused := w.state.Rejected.Find("shreds.mp3"); !refused {
		t.Errorf("a file without music is a song: %v", w.state.Find("shreds.mp3"))
	}
}

// People who do not know what MPEG-2 is understand why a file is left out, and what to do.
func TestLook_Reasons(t *testing.T) {
	dir := t.TempDir()
	low := song(t, "bach.mp3")
	for at := 0; at+1 < len(low); at++ { // its frames as of MPEG-2; the tag before them stays
		if low[at] == 0xFF && low[at+1]&0xFE == 0xFA {
			low[at+1] &^= 0x08
		}
	}
	files := map[string]struct {
		content []byte
		want    string
	}{
		"low.mp3":  {low, "it has 22050 Hz, and conga plays 32, 44.1 and 48 kHz: ffmpeg -i FILE -ar 44100 NEW.mp3 makes a copy that plays"},
		"wav.mp3":  {append([]byte("RIFF\x00\x01\x00\x00WAVEfmt "), make([]byte, 9000)...), "it is a WAV file, not mp3: ffmpeg -i FILE NEW.mp3 makes one of it"},
		"flac.mp3": {[]byte("fLaC\x00\x00\x00\x22 and so on"), "it is a FLAC file, not mp3"},
		"m4a.mp3":  {[]byte("\x00\x00\x00\x20ftypM4A and so on"), "it is an MP4 file, not mp3"},
		"page.mp3": {[]byte("\n<!DOCTYPE html><p>404"), "it is a web page, not mp3"},
		"text.mp3": {[]byte("x"), "there is no mp3 music"},
	}
	for name, file := range files {
		put(t, dir, name, file.content)
	}
	w := newWatcher(t, dir)
	w.look(0)
	for name, file := range files {
		if refused, is := w.state.Rejected.Find(name); !is || !strings.HasPrefix(refused.Reason, file.want) {
			t.Errorf("%s: %q, want %q", name, refused.Reason, file.want)
		}
	}
}

func TestLook_Cancelled(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "bach.mp3", song(t, "bach.mp3"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	saw := look(ctx, folder{dir: dir, settle: settle, first: true}, nil, time.Now(), func(r *messages.ReportSongs) { t.Errorf("it reports %v", r) })
	if saw.files["bach.mp3"].verdict != unread {
		t.Errorf("it was read: %+v", saw)
	}
}

// Songs that cannot be seen now are not gone: none is removed if the folder is missing, unreadable, empty, a file, or
// full of links that lead nowhere. A song that is missing among others is gone.
func TestLook_Away(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bach.mp3", "pachelbel.mp3"} {
		put(t, disk, name, song(t, name))
	}
	w := newWatcher(t, disk)
	w.look(0)
	file, links, empty := filepath.Join(t.TempDir(), "file"), t.TempDir(), t.TempDir()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bach.mp3", "pachelbel.mp3"} {
		if err := os.Symlink(filepath.Join(empty, "unplugged", name), filepath.Join(links, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, dir := range map[string]string{"missing": filepath.Join(empty, "no"), "a file": file, "empty": empty, "links": links} {
		w.dir = dir
		if w.look(time.Second); w.saw.away == "" || len(w.reports) > 0 || w.state.Songs.Len() != 2 {
			t.Errorf("%s: %+v", name, w.saw)
		}
		w.dir = disk
		if w.look(time.Second); w.saw.away != "" || len(w.reports) > 0 || w.state.Songs.Len() != 2 {
			t.Errorf("%s, and back: %+v, %v", name, w.saw, w.reports)
		}
	}
	if err := os.Remove(filepath.Join(disk, "bach.mp3")); err != nil {
		t.Fatal(err)
	}
	if w.look(time.Second); w.saw.away != "" || w.state.Songs.Len() != 1 {
		t.Errorf("one of two was deleted: %+v", w.saw)
	}
	if none := newWatcher(t, empty); true {
		if none.look(0); none.saw.away != "" {
			t.Errorf("a folder that never had a song is away: %+v", none.saw)
		}
	}
}

// If all files of a folder but one vanish, the catalog reports them in batches, so that others can write to the log
// in between.
func TestLook_TellsManyInBatches(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "left.mp3", song(t, "bach.mp3"))
	known := map[string]file{}
	for i := range 3*lastBatch + 1 {
		known[fmt.Sprintf("%05d.mp3", i)] = file{verdict: told}
	}
	gone := 0
	look(t.Context(), folder{dir: dir}, known, time.Now(), func(report *messages.ReportSongs) {
		if n := len(report.GetGone()); n > lastBatch {
			t.Errorf("%d names in one batch", n)
		}
		gone += len(report.GetGone())
	})
	if gone != len(known) {
		t.Errorf("%d of %d are said to be gone", gone, len(known))
	}
}
