package transcode

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"conga/actors/internal/mp3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// needFFmpeg skips a test if ffmpeg is not installed. In CI it must be.
func needFFmpeg(t testing.TB) {
	t.Helper()
	if find() != "" {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("ffmpeg is not installed")
	}
	t.Skip("ffmpeg is not installed here: apt install ffmpeg")
}

// sound makes a file of a tone, of the kind of its extension.
func sound(t testing.TB, path string, seconds int, args ...string) {
	t.Helper()
	args = append([]string{"-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=440:sample_rate=44100:duration=%d", seconds)}, args...)
	if out, err := exec.Command("ffmpeg", append(args, "file:"+path)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %q: %v: %s", args, err, out)
	}
}

func cache(t testing.TB, most int64) *Cache {
	t.Helper()
	c, err := Open(filepath.Join(t.TempDir(), "converted"), most)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// files lists the cache's folder.
func files(t testing.TB, c *Cache) []string {
	t.Helper()
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Music of every kind, sample rate and number of channels becomes an mp3 of the same length that conga plays.
func TestCache_Make_Kinds(t *testing.T) {
	needFFmpeg(t)
	dir, c := t.TempDir(), cache(t, 1<<30)
	for name, kind := range map[string]struct {
		args []string
		rate int
	}{
		"a.flac":               {nil, 44100},
		"high.flac":            {[]string{"-ar", "96000"}, 48000},
		"mono.ogg":             {[]string{"-ac", "1", "-c:a", "libvorbis"}, 44100},
		"opus.opus":            {[]string{"-c:a", "libopus"}, 48000},
		"a.m4a":                {[]string{"-c:a", "aac"}, 44100},
		"a.aac":                {[]string{"-c:a", "aac"}, 44100},
		"a.wav":                {[]string{"-ac", "6"}, 44100},
		"a.aiff":               {nil, 44100},
		"a.wma":                {nil, 44100},
		"mpeg2.mp3":            {[]string{"-ar", "22050", "-c:a", "libmp3lame"}, 44100},
		"mpeg25.mp3":           {[]string{"-ar", "8000", "-c:a", "libmp3lame"}, 44100},
		"-y.flac":              {nil, 44100}, // looks like an option
		"concat:a|b.flac":      {nil, 44100}, // looks like a protocol
		"100%d $(x) 'é\".flac": {nil, 44100},
	} {
		path := filepath.Join(dir, name)
		sound(t, path, 3, kind.args...)
		made, err := c.Make(t.Context(), path, "A title", "", true)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f, err := c.Open(made)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		info, err := mp3.ReadInfo(f)
		if err != nil || info.SampleRate != kind.rate || info.Duration < 2900*time.Millisecond || info.Duration > 3300*time.Millisecond {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		head := make([]byte, 400)
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(f, head); err != nil || !bytes.Contains(head, []byte("TIT2")) {
			t.Errorf("%s has no title: %q, %v", name, head[:100], err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, name := range files(t, c) {
		if _, is := parse(name); !is {
			t.Errorf("%s was left behind", name)
		}
	}
}

// The same content is converted once, whatever the file is called and however often the program starts. A damaged file
// is noticed and made anew.
func TestCache_Make_Once(t *testing.T) {
	needFFmpeg(t)
	dir, c := t.TempDir(), cache(t, 1<<30)
	one, other := filepath.Join(dir, "one.flac"), filepath.Join(dir, "other.flac")
	sound(t, one, 1)
	content, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, content, 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := c.Make(t.Context(), one, "", "", false)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.dir, made.file())
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, underway+"left.mp3"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = Open(c.dir, 1<<30); err != nil {
		t.Fatal(err)
	}
	again, err := c.Make(t.Context(), other, "", "", false)
	after, statErr := os.Stat(path)
	if err != nil || statErr != nil || again != made || !os.SameFile(before, after) || len(files(t, c)) != 1 {
		t.Errorf("it was made again: %v, %v, %v", again, err, files(t, c))
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(made); !errors.Is(err, ErrDamaged) {
		t.Errorf("a damaged file: %v", err)
	}
	if _, err := c.Open(made); !errors.Is(err, ErrGone) {
		t.Errorf("then: %v", err)
	}
	if again, err = c.Make(t.Context(), one, "", "", false); err != nil || again.Of != made.Of {
		t.Errorf("anew: %v, %v", again, err)
	}
	f, err := c.Open(again)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}

// A file without music is refused in plain words, and leaves nothing in the folder. A playlist that is named like a song
// does not make ffmpeg read other files.
func TestCache_Make_NoMusic(t *testing.T) {
	needFFmpeg(t)
	dir, c := t.TempDir(), cache(t, 1<<30)
	secret := filepath.Join(dir, "secret.flac")
	sound(t, secret, 1)
	m4a := filepath.Join(dir, "whole.m4a")
	sound(t, m4a, 2)
	whole, err := os.ReadFile(m4a)
	if err != nil {
		t.Fatal(err)
	}
	video := filepath.Join(dir, "video.m4a")
	if out, err := exec.Command("ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "color=size=32x32:duration=1", "-f", "mp4", "file:"+video).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	picture, err := os.ReadFile(video)
	if err != nil {
		t.Fatal(err)
	}
	for name, c2 := range map[string]struct {
		content []byte
		want    string
	}{
		"text.flac":                    {[]byte("this is no music"), "no music"},
		"empty.flac":                   {nil, "no music"},
		"hls.flac":                     {[]byte("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:" + secret + "\n#EXT-X-ENDLIST\n"), "no music"},
		"list.ogg":                     {[]byte("ffconcat version 1.0\nfile 'secret.flac'\n"), "no music"},
		"half.m4a":                     {whole[:len(whole)/2], ""},
		"video.m4a":                    {picture, "there is no music in it"},
		"No space left on device.flac": {[]byte("fLaC"), "no music"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c2.content, 0o600); err != nil {
			t.Fatal(err)
		}
		made, err := c.Make(t.Context(), path, "", "", true)
		if err == nil || errors.Is(err, ErrTrouble) || errors.Is(err, ErrFull) || !strings.Contains(err.Error(), c2.want) || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, %v; want %q", name, made, err, c2.want)
		}
	}
	if left := files(t, c); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A conversion that is called off ends at once, with its ffmpeg, and leaves nothing behind. What is wrong with the
// machine is not reported as the file's fault.
func TestCache_Make_Stops(t *testing.T) {
	needFFmpeg(t)
	dir, c := t.TempDir(), cache(t, 1<<30)
	long := filepath.Join(dir, "long.flac")
	sound(t, long, 400, "-compression_level", "0")
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() {
		_, err := c.Make(ctx, long, "", "", true)
		over <- err
	}()
	for deadline := time.Now().Add(time.Minute); len(files(t, c)) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("it does not begin")
		}
	}
	cancel()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Errorf("stopped, it says %v", err)
	}
	if left := files(t, c); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := c.Make(t.Context(), filepath.Join(dir, "gone.flac"), "", "", true); !errors.Is(err, ErrSource) {
		t.Errorf("without its file: %v", err)
	}
	if small := cache(t, 1000); true {
		short := filepath.Join(dir, "short.flac")
		sound(t, short, 2)
		if _, err := small.Make(t.Context(), short, "", "", true); err == nil || errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "--converted-max") || len(files(t, small)) > 0 {
			t.Errorf("larger than all that may be: %v, %v", err, files(t, small))
		}
	}
	if err := os.RemoveAll(c.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Make(t.Context(), long, "", "", true); !errors.Is(err, ErrTrouble) {
		t.Errorf("without its folder: %v", err)
	}
}

// The cache keeps to its size. For a song that nobody has asked for no other is removed; for a song that somebody waits
// for the ones used longest ago are removed, but none that plays.
func TestCache_Bounded(t *testing.T) {
	needFFmpeg(t)
	const seconds, size = 2, 2 * 24_000 // at 192 kbit/s, and a bit
	dir, c := t.TempDir(), cache(t, 3*size+size/2)
	var made []Made
	make := func(i int, wanted bool) error {
		path := filepath.Join(dir, fmt.Sprint(i, ".flac"))
		sound(t, path, seconds, "-metadata", fmt.Sprint("title=", i))
		m, err := c.Make(t.Context(), path, "", "", wanted)
		made = append(made, m)
		return err
	}
	for i := range 3 {
		if err := make(i, false); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(filepath.Join(c.dir, made[i].file()), at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := make(3, false); !errors.Is(err, ErrFull) {
		t.Errorf("nobody has asked for it: %v", err)
	}
	playing, err := c.Open(made[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(c.dir, made[1].file()), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := make(4, true); err != nil {
		t.Fatal(err)
	}
	if has, err := c.Has(); err != nil || has[made[0]] || !has[made[1]] || !has[made[2]] || !has[made[4]] {
		t.Errorf("it has %v, %v", has, err)
	}
	if err := playing.Close(); err != nil {
		t.Fatal(err)
	}
	if err := make(5, true); err != nil {
		t.Fatal(err)
	}
	if has, err := c.Has(); err != nil || has[made[1]] || len(has) != 3 {
		t.Errorf("it has %v, %v", has, err)
	}
}

// Evict removes the oldest first, nothing that is in use, and nothing without need. If it says that the bytes fit, they do.
func TestEvict_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var entries []Entry
		inUse := map[Made]bool{}
		for i := range rapid.IntRange(0, 12).Draw(t, "entries") {
			made := Made{Of: fmt.Sprint(i), Sum: "s"}
			entries = append(entries, Entry{made, rapid.Int64Range(0, 10).Draw(t, "bytes"), time.Unix(rapid.Int64Range(0, 5).Draw(t, "used"), 0)})
			inUse[made] = rapid.IntRange(0, 3).Draw(t, "in use") == 0
		}
		need, most := rapid.Int64Range(0, 20).Draw(t, "need"), rapid.Int64Range(0, 60).Draw(t, "most")
		gone, fits := Evict(entries, need, most, func(m Made) bool { return inUse[m] })
		removed := map[Made]bool{}
		for _, m := range gone {
			if inUse[m] || removed[m] {
				t.Fatalf("%v goes: %v, in use are %v", m, gone, inUse)
			}
			removed[m] = true
		}
		total, last := need, int64(0)
		for _, e := range entries {
			if !removed[e.Made] {
				total += e.Bytes
			}
		}
		for i, m := range gone {
			for _, e := range entries {
				if e.Made == m && i == len(gone)-1 {
					last = e.Bytes
				}
				for _, other := range entries {
					if e.Made == m && !removed[other.Made] && !inUse[other.Made] && other.Used.Before(e.Used) {
						t.Fatalf("%v goes and %v stays", e, other)
					}
				}
			}
		}
		if fits != (total <= most) {
			t.Fatalf("fits: %v, with %d of %d", fits, total, most)
		}
		if len(gone) > 0 && total+last <= most {
			t.Fatalf("%v need not go: %d of %d", gone[len(gone)-1], total+last, most)
		}
		if !fits && len(gone) < len(entries) {
			for _, e := range entries {
				if !removed[e.Made] && !inUse[e.Made] {
					t.Fatalf("%v could go", e)
				}
			}
		}
	})
}

func TestParse(t *testing.T) {
	sum := hex.EncodeToString(make([]byte, 32))
	for name, want := range map[string]bool{
		sum + "-" + sum + ".mp3": true, sum + ".mp3": false, "cover.jpg": false, sum + "-" + sum: false, sum + "--" + sum[1:] + ".mp3": false, underway + "1.mp3": false,
	} {
		if made, is := parse(name); is != want || is && made.file() != name {
			t.Errorf("%s: %v, %v", name, made, is)
		}
	}
}

// The end of what was said begins with a whole line, however it was written: no half of a path is left to be taken for an
// error.
func TestTail_Property_WholeLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var whole strings.Builder
		said := &tail{}
		for _, piece := range rapid.SliceOfN(rapid.StringMatching(`[a-z]{0,700}\n?`), 0, 30).Draw(t, "pieces") {
			whole.WriteString(piece)
			_, _ = said.Write([]byte(piece))
		}
		all, end := whole.String(), said.String()
		if len(end) > maxSaid || !strings.HasSuffix(all, end) {
			t.Fatalf("%q is not the end of %q", end, all)
		}
		if before := strings.TrimSuffix(all, end); before != "" && end != "" && !strings.HasSuffix(before, "\n") {
			t.Fatalf("it begins within a line: %q", end)
		}
		if len(all) <= maxSaid && end != all {
			t.Fatalf("%q of %q", end, all)
		}
	})
}
