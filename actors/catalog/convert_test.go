package catalog

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"conga/actors/catalog/library"
	"conga/actors/internal/mp3"
	"conga/actors/internal/transcode"
	"conga/messages"
)

// tone makes a file of the kind that its name says, with a title and an artist; frequency makes it another one. Where there
// is no ffmpeg, the test is left out; where CI runs, there must be one.
func tone(t testing.TB, dir, name string, frequency int, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil && os.Getenv("CI") != "" {
		t.Fatal(err)
	} else if err != nil {
		t.Skip("ffmpeg is not installed here: apt install ffmpeg")
	}
	at := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	all := slices.Concat([]string{"-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=%d:duration=2", frequency)}, args,
		[]string{"-metadata", "title=A Tone", "-metadata", "artist=Some One", "file:" + at})
	if out, err := exec.Command("ffmpeg", all...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %q: %v: %s", all, err, out)
	}
	touch(t, at, time.Now().Add(-time.Hour))
}

func converter(t testing.TB, dir string) *transcode.Cache {
	t.Helper()
	c, err := transcode.Open(dir, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Music of other kinds is known at once, with its title and artist; then it is converted, and plays as long as it is.
func TestCatalog_Converts(t *testing.T) {
	dir := t.TempDir()
	tone(t, dir, "Album/a.flac", 400)
	tone(t, dir, "Album/b.m4a", 410, "-c:a", "aac")
	tone(t, dir, "Album/c.ogg", 420, "-c:a", "libvorbis")
	tone(t, dir, "Album/d.mp3", 430, "-ar", "22050", "-c:a", "libmp3lame")
	tone(t, dir, "Album/e.opus", 440, "-c:a", "libopus")
	put(t, dir, "bach.mp3", song(t, "bach.mp3"))
	put(t, dir, "broken.flac", []byte("this is no music"))
	others := []string{"Album/a.flac", "Album/b.m4a", "Album/c.ogg", "Album/d.mp3", "Album/e.opus"}
	cache := converter(t, t.TempDir())
	h := openAs(t, Config{Dir: dir, Poll: 20 * time.Millisecond, Converted: cache}, nil)
	for _, name := range others {
		h.expect("to convert " + name)
	}
	h.expect("added bach.mp3", "to convert broken.flac")
	state := h.view().State.(library.State)
	for _, name := range others {
		if song := state.Find(name); song.GetTitle() != "A Tone" || song.GetArtist() != "Some One" {
			t.Errorf("%s is %v", name, song)
		}
	}
	for _, name := range others {
		h.expect("converted " + name)
	}
	h.expect("removed broken.flac", "rejected broken.flac")
	state = h.view().State.(library.State)
	for _, name := range others {
		song := state.Find(name)
		f, err := cache.Open(transcode.Made{Of: song.GetMadeOf(), Sum: song.GetMadeSum()})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		info, err := mp3.ReadInfo(f)
		if err != nil || info.Frames != song.GetFrames() || int32(info.SampleRate) != song.GetSampleRate() || song.GetTitle() != "A Tone" {
			t.Errorf("%s is %v, and has %+v, %v", name, song, info, err)
		}
		if d := time.Duration(song.GetDurationUs()) * time.Microsecond; d < 1900*time.Millisecond || d > 2300*time.Millisecond {
			t.Errorf("%s is %v long", name, d)
		}
		_ = f.Close()
	}
	h.looksDone(2)
	if n := h.said.count("broken.flac"); n != 1 {
		t.Errorf("%d lines speak of the broken file:\n%s", n, h.said)
	}
}

// What ffmpeg has refused is not tried again when the program starts again, only when the file has changed. Each start names it.
func TestCatalog_RefusedByFFmpeg(t *testing.T) {
	dir := t.TempDir()
	tone(t, dir, "a.flac", 400)
	put(t, dir, "broken.flac", []byte("this is no music"))
	cfg := Config{Dir: dir, Poll: 20 * time.Millisecond, Converted: converter(t, t.TempDir())}
	first := openAs(t, cfg, nil)
	first.expect("to convert a.flac", "to convert broken.flac", "converted a.flac", "removed broken.flac", "rejected broken.flac")
	first.looksDone(2)
	if err := first.system.Root.StopFuture(first.pid).Wait(); err != nil {
		t.Fatal(err)
	}
	last := first.log.Last()
	second := openAs(t, cfg, first.log)
	second.looksDone(3)
	if got := second.log.Last(); got != last {
		t.Errorf("%d events more after another start", got-last)
	}
	if n := second.said.count("broken.flac"); n != 1 {
		t.Errorf("%d lines speak of the broken file:\n%s", n, second.said)
	}
	other := t.TempDir()
	tone(t, other, "whole.flac", 410)
	if err := os.Rename(filepath.Join(other, "whole.flac"), filepath.Join(dir, "broken.flac")); err != nil {
		t.Fatal(err)
	}
	second.expect("to convert broken.flac", "converted broken.flac")
}

// What somebody waits for is converted before all others, also when the program starts again; and what was converted
// is not converted again.
func TestCatalog_ConvertsWhatIsWanted(t *testing.T) {
	dir, converted := t.TempDir(), t.TempDir()
	var names []string
	for i := range 4 {
		names = append(names, fmt.Sprintf("%d.flac", i))
		tone(t, dir, names[i], 400+10*i)
	}
	first := open(t, dir, nil) // without ffmpeg
	for _, name := range names {
		first.expect("rejected " + name)
	}
	first.looksDone(1)
	if n := first.said.count("files that are not mp3 are left out, because ffmpeg is not installed"); n != 1 || first.said.count("file left out") != 0 {
		t.Errorf("said %d times that ffmpeg is missing:\n%s", n, first.said)
	}
	if err := first.system.Root.StopFuture(first.pid).Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := first.log.Append(first.log.Last(), "scheduler", nil,
		&messages.SongAdded{Song: &messages.Song{Name: "3.flac", Form: messages.Song_FORM_OTHER}},
		&messages.SongQueued{RequestId: "1", Song: "3.flac"}); err != nil {
		t.Fatal(err)
	}
	second := openAs(t, Config{Dir: dir, Poll: 20 * time.Millisecond, Converted: converter(t, converted)}, first.log)
	second.expect("to convert 0.flac", "to convert 1.flac", "to convert 2.flac", "to convert 3.flac", "converted 3.flac")
	second.expect("converted 0.flac", "converted 1.flac", "converted 2.flac")
	if err := second.system.Root.StopFuture(second.pid).Wait(); err != nil {
		t.Fatal(err)
	}
	last := second.log.Last()
	third := openAs(t, Config{Dir: dir, Poll: 20 * time.Millisecond, Converted: converter(t, converted)}, first.log)
	third.looksDone(3)
	if got := third.log.Last(); got != last {
		t.Errorf("%d events more after another start", got-last)
	}
	// Somebody clears the folder: all is made anew.
	entries, err := os.ReadDir(converted)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(converted, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		third.expect("to convert " + name)
	}
	for _, name := range names {
		third.expect("converted " + name)
	}
}

// A catalog that stops in the middle of a conversion leaves no ffmpeg behind.
func TestCatalog_StopsConverting(t *testing.T) {
	dir, converted := t.TempDir(), t.TempDir()
	tone(t, dir, "long.flac", 400, "-af", "aloop=loop=200:size=88200", "-compression_level", "0")
	h := openAs(t, Config{Dir: dir, Poll: 20 * time.Millisecond, Converted: converter(t, converted)}, nil)
	h.expect("to convert long.flac")
	for deadline := time.Now().Add(patience); h.view().Live.(live).Converts == ""; {
		if time.Now().After(deadline) {
			t.Fatal("it does not convert")
		}
	}
	if err := h.system.Root.StopFuture(h.pid).Wait(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(converted); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// Tags are read of hostile files, too: however one is cut or bent, that takes no memory and no time to speak of, and no panic.
func TestOtherTag_Hostile(t *testing.T) {
	dir := t.TempDir()
	for name, args := range map[string][]string{"a.flac": nil, "a.m4a": {"-c:a", "aac"}, "a.ogg": {"-c:a", "libvorbis"}, "a.opus": {"-c:a", "libopus"}} {
		tone(t, dir, name, 400, args...)
		whole, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			b := slices.Clone(whole[:rapid.IntRange(0, len(whole)).Draw(t, "length")])
			for range rapid.IntRange(0, 8).Draw(t, "changes") {
				if len(b) > 0 {
					b[rapid.IntRange(0, min(len(b), 2000)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
				}
			}
			title, artist := otherTag(reader(b), &messages.Song{})
			if len(title) > maxTitle || len(artist) > maxTitle {
				t.Fatalf("%q by %q", title, artist)
			}
		})
	}
}

type reader []byte

func (r reader) ReadAt(b []byte, at int64) (int, error) {
	if at >= int64(len(r)) {
		return 0, io.EOF
	}
	n := copy(b, r[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
