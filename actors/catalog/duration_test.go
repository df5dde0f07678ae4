package catalog

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// withDuration are kinds of music whose containers say how long they are, as ffmpeg makes them.
var withDuration = map[string][]string{
	"a.flac": nil, "a.wav": nil, "a.opus": {"-c:a", "libopus"}, "a.ogg": {"-c:a", "libvorbis"},
	"end.m4a": {"-c:a", "aac"}, "begin.m4a": {"-c:a", "aac", "-movflags", "faststart"},
}

func TestOtherDuration(t *testing.T) {
	dir := t.TempDir()
	for name, args := range withDuration {
		tone(t, dir, name, 400, args...)
		whole, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := otherDuration(reader(whole), int64(len(whole))); got < 1990*time.Millisecond || got > 2060*time.Millisecond {
			t.Errorf("%s of two seconds: %v", name, got)
		}
	}
	tagged := append([]byte("ID3\x04\x00\x00\x00\x00\x01\x00"), make([]byte, 128)...)
	flac, err := os.ReadFile(filepath.Join(dir, "a.flac"))
	if err != nil {
		t.Fatal(err)
	}
	tagged = append(tagged, flac...)
	if got := otherDuration(reader(tagged), int64(len(tagged))); got.Round(100*time.Millisecond) != 2*time.Second {
		t.Errorf("a flac behind an ID3 tag: %v", got)
	}
	for _, none := range []string{"", "fLaC", "RIFF....WAVE", "OggS", "....ftyp", "this is no music at all, but long enough"} {
		if got := otherDuration(reader(none), int64(len(none))); got != 0 {
			t.Errorf("%q: %v", none, got)
		}
	}
}

// A hostile file costs few reads and little memory, and its duration is a possible one.
func TestOtherDuration_Property_Bounded(t *testing.T) {
	dir := t.TempDir()
	for name, args := range withDuration {
		tone(t, dir, name, 400, args...)
		whole, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			b := slices.Clone(whole[:rapid.IntRange(0, len(whole)).Draw(t, "length")])
			for range rapid.IntRange(0, 8).Draw(t, "changes") {
				if len(b) > 0 {
					b[rapid.IntRange(0, min(len(b), 400)-1).Draw(t, "at")] = rapid.SampledFrom([]byte{0, 1, 0x7f, 0xff}).Draw(t, "byte")
				}
			}
			size := rapid.SampledFrom([]int64{int64(len(b)), 1 << 40}).Draw(t, "size") // it may be cut meanwhile
			file := &meter{reader: reader(b)}
			if d := otherDuration(file, size); d < 0 || d > maxDuration {
				t.Fatalf("it lasts %v", d)
			}
			if file.asked > 2*maxPage+1000+24*maxParts || file.reads > 2*maxParts {
				t.Fatalf("%d reads ask for %d bytes", file.reads, file.asked)
			}
		})
	}
}

// meter counts what is read.
type meter struct {
	reader
	reads, asked int
}

func (m *meter) ReadAt(b []byte, at int64) (int, error) {
	m.reads++
	m.asked += len(b)
	if at < 0 {
		return 0, io.EOF
	}
	return m.reader.ReadAt(b, at)
}
