package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"conga/actors/catalog/library"
	"conga/messages"
)

// brings is a catalog's state that takes songs, without an actor.
type brings struct {
	mu    sync.Mutex
	state library.State
	err   error // of the log
}

func (b *brings) known(context.Context) (library.State, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, nil
}

func (b *brings) bring(_ context.Context, cmd *messages.BringSong) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	for _, event := range b.state.Decide(cmd) {
		b.state = b.state.Apply(event)
	}
	return nil
}

// plenty is a disk with much room, whatever the test's disk has.
func plenty(string) (int64, error) { return 1 << 40, nil }

func uploadsIn(dir string, b *brings, change ...func(*UploadsConfig)) *Uploads {
	cfg := UploadsConfig{Dir: dir, Largest: 1 << 20, Most: 1 << 30, Known: b.known, Bring: b.bring, Free: plenty}
	for _, c := range change {
		c(&cfg)
	}
	return NewUploads(cfg)
}

// take brings content under the name.
func take(u *Uploads, name string, content []byte) (*messages.Song, error) {
	return u.Take(context.Background(), Upload{Name: name, Bytes: int64(len(content)), By: "amy", Person: "amy-1", AtUs: 7}, bytes.NewReader(content))
}

// fault is the fault in Take's refusal.
func fault(t interface{ Fatalf(string, ...any) }, err error) messages.UploadFault {
	refused, is := errors.AsType[*messages.UploadRefused](err)
	if !is {
		t.Fatalf("it says %v", err)
	}
	return refused.Fault
}

// music is a short song; others have other bytes.
func music(t testing.TB, variant int) []byte {
	t.Helper()
	whole := song(t, "bach.mp3")
	return whole[:40_000+2000*variant]
}

// filesIn are the files in the folder and below, with their contents; none is unfinished.
func filesIn(t interface{ Fatal(...any) }, dir string) map[string]string {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(rel)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A brought song can be requested at once, and the log says who brought it. No look reports it again. When its file is
// removed the song is gone, also after a restart.
func TestUploads_Catalog(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "bach.mp3", song(t, "bach.mp3"))
	h := open(t, dir, nil)
	h.expect("added bach.mp3")
	u := NewUploads(UploadsConfig{
		Dir: dir, Largest: 1 << 20, Most: 1 << 30, Free: plenty,
		Known: func(context.Context) (library.State, error) { return h.view().State.(library.State), nil },
		Bring: func(_ context.Context, cmd *messages.BringSong) error {
			_, err := h.system.Root.RequestFuture(h.pid, cmd, patience).Result()
			return err
		},
	})
	got, err := take(u, "../Music/Air.MP3", music(t, 0))
	if err != nil || got.GetName() != "uploads/Air.mp3" || got.GetFrames() == 0 {
		t.Fatalf("%v, %v", got, err)
	}
	if songs := h.songs(); len(songs) != 2 || songs[1] != "uploads/Air.mp3" {
		t.Errorf("the songs are %q", songs)
	}
	h.expect("added uploads/Air.mp3", "*messages.SongBrought")
	brought, is := h.view().State.(library.State).Brought.Find("uploads/Air.mp3")
	if !is || brought.By != "amy" || brought.Person != "amy-1" || len(brought.Sum) != 64 || brought.AtUs != 7 {
		t.Errorf("it was brought by %+v", brought)
	}
	h.looksDone(2)
	if err := os.Remove(filepath.Join(dir, "uploads", "Air.mp3")); err != nil {
		t.Fatal(err)
	}
	h.expect("removed uploads/Air.mp3") // and nothing in between
	if n := h.view().State.(library.State).Brought.Len(); n != 0 {
		t.Errorf("%d songs count as brought", n)
	}
	again := open(t, dir, h.log)
	again.looksDone(1)
	if songs := again.songs(); len(songs) != 1 {
		t.Errorf("after a restart the songs are %q", songs)
	}
}

// A refused file leaves nothing behind, and the refusal says why.
func TestUploads_Refused(t *testing.T) {
	other := song(t, "beethoven.mp3")
	for name, test := range map[string]struct {
		file   string
		body   io.Reader
		size   int
		before func(dir string, b *brings)
		fault  messages.UploadFault
		says   string
	}{
		"no music":        {file: "a.mp3", body: strings.NewReader(strings.Repeat("x", 5000)), size: 5000, fault: messages.UploadUnfit, says: "cannot be played"},
		"a web page":      {file: "a.mp3", body: strings.NewReader("<!doctype html><p>hello"), size: 23, fault: messages.UploadUnfit, says: "web page"},
		"empty":           {file: "a.mp3", body: strings.NewReader(""), size: 0, fault: messages.UploadUnfit, says: "empty"},
		"of no size":      {file: "a.mp3", body: bytes.NewReader(other), size: -1, fault: messages.UploadUnfit, says: "empty"},
		"no music's name": {file: "a.exe", body: bytes.NewReader(other), size: len(other), fault: messages.UploadUnfit, says: "rename it"},
		"too large":       {file: "a.mp3", body: bytes.NewReader(other), size: 1<<20 + 1, fault: messages.UploadTooLarge, says: "at most 1 MB"},
		"it ends early":   {file: "a.mp3", body: bytes.NewReader(other[:20_000]), size: 20_001, fault: messages.UploadCut, says: "try again"},
		"the line breaks": {file: "a.mp3", body: io.MultiReader(bytes.NewReader(other[:20_000]), iotest.ErrReader(errors.New("reset"))), size: 30_000, fault: messages.UploadCut, says: "try again"},
		"the folder is gone": {
			file: "a.mp3", body: bytes.NewReader(other), size: len(other), fault: messages.UploadAway, says: "away",
			before: func(dir string, _ *brings) { _ = os.RemoveAll(dir) },
		},
		"the folder is empty and was not": {
			file: "a.mp3", body: bytes.NewReader(other), size: len(other), fault: messages.UploadAway, says: "away",
			before: func(_ string, b *brings) {
				b.state = b.state.Apply(&messages.SongAdded{Song: &messages.Song{Name: "x.mp3"}})
			},
		},
		"the catalog misses the folder": {
			file: "a.mp3", body: bytes.NewReader(other), size: len(other), fault: messages.UploadAway, says: "its disk sleeps",
			before: func(_ string, b *brings) { b.state = b.state.Apply(&messages.SongsAway{Reason: "its disk sleeps"}) },
		},
		"the log cannot be written": {
			file: "a.mp3", body: bytes.NewReader(other), size: len(other), fault: messages.UploadAway, says: "busy",
			before: func(_ string, b *brings) { b.err = errors.New("no") },
		},
		"a file stands where the folder was": {
			file: "a.mp3", body: bytes.NewReader(other), size: len(other), fault: messages.UploadAway, says: "cannot keep it",
			before: func(dir string, _ *brings) { _ = os.WriteFile(filepath.Join(dir, "uploads"), nil, 0o600) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, b := filepath.Join(t.TempDir(), "songs"), &brings{}
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if test.before != nil {
				test.before(dir, b)
			}
			u := uploadsIn(dir, b)
			_, err := u.Take(t.Context(), Upload{Name: test.file, Bytes: int64(test.size)}, test.body)
			if got := fault(t, err); got != test.fault || !strings.Contains(err.Error(), test.says) {
				t.Errorf("fault %d: %v", got, err)
			}
			if _, err := os.Stat(dir); err == nil {
				for name := range filesIn(t, dir) {
					if name != "uploads" {
						t.Errorf("left: %s", name)
					}
				}
			}
			if u.waiting != 0 || u.files != 0 {
				t.Errorf("%d bytes of %d files still count", u.waiting, u.files)
			}
		})
	}
}

// The folder is bounded in bytes, in files, and by the disk's free room. Files under way count.
func TestUploads_Room(t *testing.T) {
	dir, b, free := t.TempDir(), &brings{}, int64(1<<40)
	u := uploadsIn(dir, b, func(cfg *UploadsConfig) {
		cfg.Most, cfg.Free = 100_000, func(string) (int64, error) { return free, nil }
	})
	if _, err := take(u, "a.mp3", music(t, 0)); err != nil {
		t.Fatal(err)
	}
	body, feed := io.Pipe()
	under := make(chan error)
	go func() {
		_, err := u.Take(context.Background(), Upload{Name: "b.mp3", Bytes: 42_000}, body)
		under <- err
	}()
	if _, err := feed.Write(music(t, 1)[:1]); err != nil { // it is under way
		t.Fatal(err)
	}
	_, err := take(u, "c.mp3", music(t, 2))
	if fault(t, err) != messages.UploadNoRoom || !strings.Contains(err.Error(), "--uploads-max") {
		t.Errorf("more than all: %v", err)
	}
	if err := feed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-under; fault(t, err) != messages.UploadCut {
		t.Error(err)
	}
	free = keepsFree + 41_000
	if _, err := take(u, "d.mp3", music(t, 1)); fault(t, err) != messages.UploadNoRoom || !strings.Contains(err.Error(), "disk") {
		t.Errorf("on a disk that is nearly full: %v", err)
	}
	free = keepsFree + 43_000
	if err := u.May(t.Context(), "d.mp3", 42_000); err != nil {
		t.Error(err)
	}
	if _, err := take(u, "d.mp3", music(t, 1)); err != nil {
		t.Error(err)
	}
	for i := range mostUploads - 2 {
		if err := os.WriteFile(filepath.Join(dir, "uploads", fmt.Sprintf("tiny %d.mp3", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	u.there.at = time.Time{} // time to count them
	if _, err := take(u, "e.mp3", music(t, 0)[:10_000]); fault(t, err) != messages.UploadNoRoom {
		t.Errorf("with %d files: %v", mostUploads, err)
	}
}

// If the disk fills up while a file comes, nothing of the file is left.
func TestUploads_DiskFillsUp(t *testing.T) {
	looks := 0
	dir := t.TempDir()
	u := uploadsIn(dir, &brings{}, func(cfg *UploadsConfig) {
		cfg.Largest = 2 * piece
		cfg.Free = func(string) (int64, error) {
			if looks++; looks > 1 { // others write, too
				return keepsFree - 1, nil
			}
			return 1 << 40, nil
		}
	})
	if _, err := take(u, "a.mp3", make([]byte, piece+1)); fault(t, err) != messages.UploadNoRoom {
		t.Error(err)
	}
	if left := filesIn(t, dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// If the content is there already, under any name, the refusal names that song.
func TestUploads_SameContent(t *testing.T) {
	dir, b := t.TempDir(), &brings{}
	put(t, dir, "mine.mp3", music(t, 3))
	b.state = b.state.Apply(&messages.SongAdded{Song: &messages.Song{Name: "mine.mp3", FileBytes: int64(len(music(t, 3)))}})
	u := uploadsIn(dir, b)
	if _, err := take(u, "a.mp3", music(t, 0)); err != nil {
		t.Fatal(err)
	}
	for content, name := range map[int]string{0: "uploads/a.mp3", 3: "mine.mp3"} {
		_, err := take(u, "other.mp3", music(t, content))
		if fault(t, err) != messages.UploadKnown || !strings.Contains(err.Error(), "PLAY "+name+" asks") {
			t.Errorf("%s again: %v", name, err)
		}
	}
	almost := bytes.Clone(music(t, 3))
	almost[len(almost)-1] ^= 1
	if _, err := take(u, "almost.mp3", almost); err != nil {
		t.Error(err)
	}
	if len(filesIn(t, dir)) != 3 {
		t.Errorf("there are %v", filesIn(t, dir))
	}
}

// The next start removes the unfinished files of a crash, and nothing else.
func TestUploads_Crash(t *testing.T) {
	dir := t.TempDir()
	at := filepath.Join(dir, "uploads", ".incoming")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"upload-XYZ.part", "somebody's"} {
		put(t, at, name, music(t, 0))
	}
	put(t, dir, "bach.mp3", song(t, "bach.mp3"))
	h := open(t, dir, nil)
	h.looksDone(1)
	if songs := h.songs(); len(songs) != 1 {
		t.Errorf("the songs are %q", songs)
	}
	uploadsIn(dir, &brings{})
	if left, err := os.ReadDir(at); err != nil || len(left) != 1 || left[0].Name() != "somebody's" {
		t.Errorf("left: %v, %v", left, err)
	}
}

// Music of other kinds is taken if it can be converted and ffmpeg finds music in it.
func TestUploads_Other(t *testing.T) {
	from, dir, b := t.TempDir(), t.TempDir(), &brings{}
	tone(t, from, "a.flac", 400)
	content, err := os.ReadFile(filepath.Join(from, "a.flac"))
	if err != nil {
		t.Fatal(err)
	}
	converted := converter(t, t.TempDir())
	u := uploadsIn(dir, b, func(cfg *UploadsConfig) { cfg.Converted = converted })
	got, err := take(u, "a.flac", content)
	if err != nil || got.GetForm() != messages.Song_FORM_OTHER || got.GetTitle() != "A Tone" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := take(u, "b.flac", []byte("this is no music at all")); fault(t, err) != messages.UploadUnfit {
		t.Error(err)
	}
	if _, err := take(u, "c.wav", append([]byte("RIFF\x24\x00\x00\x00WAVE"), make([]byte, 500)...)); fault(t, err) != messages.UploadUnfit {
		t.Error(err)
	}
	if left := filesIn(t, dir); len(left) != 1 {
		t.Errorf("there are %d files", len(left))
	}
}

// However many files are brought, under any names, at once or one after the other, with bodies that end early, on a file
// system without links: no existing file changes, and each taken file is there whole, under its own name.
func TestUploads_Property_NothingIsReplaced(t *testing.T) {
	whole := song(t, "bach.mp3")
	names := []string{"air.mp3", "Air.mp3", "AIR.MP3", "air (2).mp3", "../air.mp3", "caf\u00e9.mp3", "cafe\u0301.mp3", ".air.mp3", "con.mp3"}
	all, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		dir := filepath.Join(all, strconv.Itoa(runs))
		if err := os.MkdirAll(filepath.Join(dir, "uploads"), 0o755); err != nil {
			t.Fatal(err)
		}
		there := map[string]string{}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"air.mp3", "air (2).mp3", "Air (3).mp3", "café.mp3"}), 0, 4, rapid.ID).Draw(t, "operator's") {
			there["uploads/"+name] = name + " is the operator's"
			if err := os.WriteFile(filepath.Join(dir, "uploads", name), []byte(there["uploads/"+name]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		own := moveNew
		if rapid.Bool().Draw(t, "without links") {
			own = func(root *os.Root, from, to string) error { return renameNew(root, from, to, errors.ErrUnsupported) }
		}
		if runtime.GOOS != "linux" {
			own = moveNew
		}
		intruder := map[string]bool{} // another program puts such files there at the last moment
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"air.mp3", "air (3).mp3", "_con.mp3"}), 0, 3, rapid.ID).Draw(t, "intruder's") {
			intruder[name] = true
		}
		intrudes := func(root *os.Root, from, to string) error { // one at a time
			if intruder[to] {
				delete(intruder, to)
				there["uploads/"+to] = to + " is the intruder's"
				if err := root.WriteFile(to, []byte(there["uploads/"+to]), 0o600); err != nil {
					return err
				}
			}
			return own(root, from, to)
		}
		u := uploadsIn(dir, &brings{}, func(cfg *UploadsConfig) { cfg.Own = intrudes })
		type result struct {
			content string
			song    *messages.Song
		}
		var mu sync.Mutex
		var taken []result
		for range rapid.IntRange(1, 3).Draw(t, "rounds") {
			var round sync.WaitGroup
			for range rapid.IntRange(1, 4).Draw(t, "at once") {
				name := rapid.SampledFrom(names).Draw(t, "name")
				size := 20_000 + 1000*rapid.IntRange(0, 6).Draw(t, "content")
				comes := size
				if rapid.IntRange(0, 4).Draw(t, "cut") == 0 {
					comes -= 1 + rapid.IntRange(0, size-1).Draw(t, "missing")
				}
				round.Go(func() {
					song, err := u.Take(context.Background(), Upload{Name: name, Bytes: int64(size)}, bytes.NewReader(whole[:comes]))
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						taken = append(taken, result{string(whole[:size]), song})
					} else if comes == size && fault(t, err) != messages.UploadKnown {
						t.Errorf("%s was not taken: %v", name, err)
					}
				})
			}
			round.Wait()
		}
		for _, one := range taken {
			if _, twice := there[one.song.GetName()]; twice {
				t.Fatalf("two are called %s", one.song.GetName())
			}
			there[one.song.GetName()] = one.content
		}
		files := filesIn(t, dir)
		if len(files) != len(there) {
			t.Fatalf("%d files, want %d", len(files), len(there))
		}
		alike := map[string]bool{}
		for name, content := range there {
			if files[name] != content {
				t.Fatalf("%s has changed", name)
			}
			if alike[looksLike(name)] {
				t.Fatalf("%s looks like another", name)
			}
			alike[looksLike(name)] = true
		}
	})
}
