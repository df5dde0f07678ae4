package mp3

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// frame makes a frame of 128 kbit/s whose body is full of fill.
func frame(rate int, fill byte) []byte {
	head := []byte{0xFF, 0xFB, 0x90, 0x64}
	if rate == 48000 {
		head[2] = 0x94
	}
	h, err := ParseHeader(head)
	if err != nil || h.SampleRate != rate {
		panic(fmt.Sprint(h, err))
	}
	return append(head, bytes.Repeat([]byte{fill}, h.Size-headerSize)...)
}

// music makes n frames that differ from each other.
func music(n int) []byte {
	var b []byte
	for i := range n {
		b = append(b, frame(44100, byte(i+1))...)
	}
	return b
}

// info makes an encoder's table of contents: mark at its place behind an otherwise empty header.
func info(mark string, at int) []byte {
	f := frame(44100, 0)
	copy(f[at:], mark)
	return f
}

func with(header []byte, change func(b []byte)) []byte { change(header); return header }

func id3v2(body []byte, claims int) []byte {
	head := []byte{'I', 'D', '3', 3, 0, 0, byte(claims >> 21 & 127), byte(claims >> 14 & 127), byte(claims >> 7 & 127), byte(claims & 127)}
	return append(head, body...)
}

func id3v1() []byte { return append([]byte("TAG"), make([]byte, 125)...) }

func ape(items []byte, flags uint32) []byte {
	b := append([]byte("APETAGEX"), make([]byte, 24)...)
	binary.LittleEndian.PutUint32(b[8:], 2000)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(items)))
	binary.LittleEndian.PutUint32(b[20:], flags)
	return append(b, items...)
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// streams serves the table test and the fuzz seeds. frames are those of music(n) in order.
var streams = []struct {
	name   string
	stream []byte
	frames int
	err    string // part of the error at the end; empty: io.EOF
}{
	{"plain", music(3), 3, ""},
	{"empty", nil, 0, "byte 0: empty"},
	{"one frame", music(1), 0, "no second frame"},
	{"one byte", []byte{0xFF}, 0, "no music"},
	{"cut in a frame", music(4)[:3*417+100], 3, ""},
	{"cut in a header", music(4)[:3*417+2], 3, ""},
	{"text", bytes.Repeat([]byte("no song "), 100), 0, "no frame begins with 6e6f2073"},
	{"endless zeros", make([]byte, 2*maxGarbage), 0, "no music in 16777216 bytes from here"},
	{"MPEG-2", bytes.Repeat(with(frame(44100, 1), func(b []byte) { b[1] = 0xF3 }), 5), 0, "MPEG-2"},
	{"layer II", bytes.Repeat(with(frame(44100, 1), func(b []byte) { b[1] = 0xFD }), 5), 0, "layer II"},
	{"free format", bytes.Repeat(with(frame(44100, 1), func(b []byte) { b[2] = 0 }), 5), 0, "free format"},

	{"ID3v2", cat(id3v2(make([]byte, 300), 300), music(3)), 3, ""},
	{"picture with frames", cat(id3v2(bytes.Repeat(frame(48000, 9), 5), 5*384), music(3)), 3, ""},
	{"two ID3v2", cat(id3v2(make([]byte, 30), 30), id3v2(make([]byte, 30), 30), music(3)), 3, ""},
	{"ID3v2 with footer", cat(with(id3v2(make([]byte, 30), 20), func(b []byte) { b[5] = 0x10 }), music(3)), 3, ""},
	{"ID3v2 behind two", cat(music(2), id3v2(make([]byte, 500), 500), music(4)[2*417:]), 4, ""},
	{"ID3v2 at the end", cat(music(3), id3v2(make([]byte, 500), 500)), 3, ""},
	{"ID3v2 of 256 MiB", cat(id3v2(nil, 1<<28-1), music(3)), 0, "the tag at byte 0 says 268435465 bytes"},
	{"ID3v2 of 256 MiB behind", cat(music(3), id3v2(nil, 1<<28-1), music(3)), 3, ""},
	{"only a tag", id3v2(make([]byte, 30), 30), 0, "tags and no music"},
	{"ID3v1", cat(music(3), id3v1()), 3, ""},
	{"TAG+ and ID3v1", cat(music(3), []byte("TAG+"), make([]byte, 223), id3v1()), 3, ""},
	{"glued behind ID3v1", cat(music(2), id3v1(), music(4)[2*417:]), 4, ""},
	{"APE with header", cat(music(3), ape(bytes.Repeat(frame(44100, 9), 4), 1<<29|1<<31), id3v1()), 3, ""},
	{"APE in front", cat(ape(make([]byte, 200), 1<<29|1<<31), music(3)), 3, ""},
	{"APE that lies", cat(music(3), with(ape(nil, 1<<29), func(b []byte) { copy(b[12:], "\xff\xff\xff\xff") })), 3, ""},

	{"Info", cat(info("Info", 36), music(3)), 3, ""},
	{"Xing, mono", cat(with(info("Xing", 21), func(b []byte) { b[3] |= 0xC0 }), music(3)), 3, ""},
	{"VBRI", cat(info("VBRI", 36), music(3)), 3, ""},
	{"Info with CRC", cat(with(info("Info", 38), func(b []byte) { b[1] = 0xFA }), music(3)), 3, ""},
	{"Info without its CRC", cat(with(info("Info", 36), func(b []byte) { b[1] = 0xFA }), music(3)), 3, ""},
	{"Info, then one frame", cat(info("Info", 36), music(1)), 1, ""},
	{"Info glued in", cat(music(2), info("Info", 36), music(4)[2*417:]), 4, ""},
	{"only Info", cat(info("Info", 36), id3v1()), 0, "no second frame"},

	{"garbage in front", cat(bytes.Repeat([]byte{0xFF}, 5000), music(3)), 3, ""},
	{"false header in front", cat(frame(44100, 9)[:100], music(3)), 3, ""},
	{"garbage between", cat(music(2), bytes.Repeat([]byte("x"), 9999), music(4)[2*417:]), 4, ""},
	{"garbage behind", cat(music(3), bytes.Repeat([]byte{0xFF}, 5000)), 3, ""},
	{"TAG inside garbage", cat(music(2), []byte("xTAG"), music(4)[2*417:]), 4, ""},
	{"last frame behind garbage", cat(music(2), []byte("xxxx"), music(3)[2*417:]), 3, ""},
	{"too much garbage", cat(music(2), bytes.Repeat([]byte("x"), maxGarbage+1), music(4)[2*417:]), 2, ""},
	{"a cover behind", cat(music(3), bytes.Repeat([]byte("cover"), 500_000)), 3, ""},
	{"a hole in the middle", cat(music(2), make([]byte, 1_300_000), music(4)[2*417:]), 4, ""},
	{"zeros in front", cat(make([]byte, 1_300_000), music(3)), 3, ""},
	{"rate changes", cat(music(2), frame(48000, 3), frame(48000, 4)), 2, ""},
	{"one frame of another rate", cat(music(2), frame(48000, 9), music(4)[2*417:]), 4, ""},
}

func TestReader(t *testing.T) {
	for _, c := range streams {
		t.Run(c.name, func(t *testing.T) {
			for _, src := range []io.Reader{
				bytes.NewReader(c.stream),
				iotest.DataErrReader(bytes.NewReader(c.stream)),
				iotest.HalfReader(bytes.NewReader(c.stream)),
			} {
				r := NewReader(src)
				var got []byte
				err := error(nil)
				for n := 0; err == nil; n++ {
					var f Frame
					var h Header
					if f, h, err = r.Next(); err == nil && len(f) != h.Size {
						t.Fatalf("frame %d has %d bytes, its header says %d", n, len(f), h.Size)
					}
					got = append(got, f...)
				}
				if !bytes.Equal(got, music(c.frames)) {
					t.Errorf("got %d bytes, want the %d frames unchanged", len(got), c.frames)
				}
				checkEnd(t, err, c.err)
				if _, _, again := r.Next(); !errors.Is(again, err) {
					t.Errorf("then %v, want the same end again", again)
				}
			}
		})
	}
}

func checkEnd(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && !errors.Is(err, io.EOF):
		t.Errorf("got %v, want io.EOF", err)
	case want != "" && (!errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "byte ")):
		t.Errorf("got %v, want an ErrFormat with its byte and %q", err, want)
	}
}

func TestReader_SourceFails(t *testing.T) {
	broken := errors.New("the disk is on fire")
	r := NewReader(io.MultiReader(bytes.NewReader(music(2)), iotest.ErrReader(broken)))
	var err error
	for err == nil {
		_, _, err = r.Next()
	}
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "byte 834:") {
		t.Errorf("got %v, want byte 834 and the source's error", err)
	}
}

// Nothing is allocated because a tag claims a size: some libraries take 530 MB for these ten bytes.
func TestReader_ClaimedTagCostsNothing(t *testing.T) {
	stream := cat(id3v2(nil, 1<<28-1), music(3))
	result := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			_, _, _ = NewReader(bytes.NewReader(stream)).Next()
		}
	})
	if got := result.AllocedBytesPerOp(); got > 2*bufferSize {
		t.Errorf("allocated %d bytes, want the buffer's %d", got, bufferSize)
	}
}

func TestReadInfo(t *testing.T) {
	got, err := ReadInfo(bytes.NewReader(cat(id3v2(make([]byte, 99), 99), info("Info", 36), music(5), []byte("xx"))))
	want := Info{SampleRate: 44100, Frames: 5, AudioBytes: 5 * 417, Skipped: 2, Pieces: 1, Duration: 5 * 1152 * time.Second / 44100}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	_, err = ReadInfo(bytes.NewReader(cat(info("Info", 36), info("Info", 36))))
	checkEnd(t, err, "no music")
}

// The count of frames is the one that LAME wrote into each song's Info frame.
func TestReadInfo_Songs(t *testing.T) {
	for name, want := range map[string]Info{
		"bach.mp3":      {SampleRate: 44100, Frames: 1510, AudioBytes: 631118, Pieces: 1, Promised: 1510, Duration: 39444897959},
		"beethoven.mp3": {SampleRate: 48000, Frames: 1434, AudioBytes: 550656, Pieces: 1, Promised: 1434, Duration: 34416 * time.Millisecond},
		"pachelbel.mp3": {SampleRate: 44100, Frames: 1532, AudioBytes: 637649, Pieces: 1, Promised: 1532, Duration: 40019591836},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join("../../../songs", name))
			if err != nil {
				t.Fatal(err)
			}
			got, err := ReadInfo(bytes.NewReader(b))
			if err != nil || got != want {
				t.Errorf("got %+v, %v\nwant %+v", got, err, want)
			}
			// More tags around it do not change the music.
			var plain, tagged [sha256.Size]byte
			plain = hash(t, b)
			tagged = hash(t, cat(id3v2(bytes.Repeat(frame(48000, 9), 9), 9*384), b, ape(music(9), 1<<29|1<<31), id3v1()))
			if plain != tagged {
				t.Error("tags around the song change its frames")
			}
		})
	}
}

// An encoder's table that promises more, or a frame that is cut off, tells that a file is not whole yet.
func TestReadInfo_Unfinished(t *testing.T) {
	table := func(mark string, at int, behind string) []byte {
		f := info(mark, at)
		copy(f[at+4:], behind)
		return f
	}
	lame := table("Info", 36, "\x00\x00\x00\x0f\x00\x00\x00\x0a") // ten frames
	fraunhofer := table("VBRI", 36, "\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0a")
	for _, c := range []struct {
		name       string
		stream     []byte
		promised   int64
		pieces     int64
		unfinished bool
	}{
		{"no table", music(10), 0, 1, false},
		{"no table, cut in a frame", music(10)[:9*417+100], 0, 1, true},
		{"no table, cut in a header", music(10)[:9*417+2], 0, 1, true},
		{"a table, whole", cat(lame, music(10)), 10, 1, false},
		{"a table that counts itself", cat(lame, music(9)), 10, 1, false},
		{"a table, half", cat(lame, music(5)), 10, 1, true},
		{"a table, more than it says", cat(lame, music(20)), 10, 1, false},
		{"a table, cut in a frame", cat(lame, music(10)[:4*417+100]), 10, 1, true},
		{"VBRI, whole", cat(fraunhofer, music(10)), 10, 1, false},
		{"VBRI, half", cat(fraunhofer, music(5)), 10, 1, true},
		{"a table that says nothing", cat(table("Xing", 36, "\x00\x00\x00\x00"), music(5)), 0, 1, false},
		{"a hole", cat(music(5), make([]byte, 1000), music(10)[5*417:]), 0, 2, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ReadInfo(bytes.NewReader(c.stream))
			if err != nil || got.Promised != c.promised || got.Pieces != c.pieces || got.Unfinished != c.unfinished {
				t.Errorf("got %+v, %v; want %d promised, %d pieces, unfinished %v", got, err, c.promised, c.pieces, c.unfinished)
			}
		})
	}
}

func hash(t *testing.T, b []byte) [sha256.Size]byte {
	t.Helper()
	h := sha256.New()
	r := NewReader(bytes.NewReader(b))
	for {
		f, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			return [sha256.Size]byte(h.Sum(nil))
		}
		if err != nil {
			t.Fatal(err)
		}
		h.Write(f)
	}
}

func FuzzReader(f *testing.F) {
	for _, c := range streams {
		if len(c.stream) < 1<<20 {
			f.Add(c.stream)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b))
		total, rate := 0, 0
		for {
			frame, h, err := r.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, ErrFormat) {
					t.Errorf("got %v", err)
				}
				break
			}
			again, err := ParseHeader(frame)
			if err != nil || again != h || len(frame) != h.Size || rate != 0 && h.SampleRate != rate {
				t.Fatalf("frame of %d bytes, %+v, %+v, %v", len(frame), h, again, err)
			}
			rate = h.SampleRate
			if total += len(frame); total > len(b) {
				t.Fatal("more music than bytes")
			}
		}
		if got, err := ReadInfo(bytes.NewReader(b)); err == nil && got.AudioBytes != int64(total) {
			t.Errorf("ReadInfo counts %d bytes, Next gave %d", got.AudioBytes, total)
		}
	})
}

func FuzzTagSize(f *testing.F) {
	f.Add(id3v2(make([]byte, 30), 30))
	f.Add(id3v1())
	f.Add(ape(nil, 1<<29))
	f.Fuzz(func(t *testing.T, b []byte) {
		if size := tagSize(b); size < 0 || size > maxTag {
			t.Errorf("%x: %d", b, size)
		}
	})
}

// LAME's loudness is read where its fields stand, which depends on the fields before them. If LAME does not say it, it is 0.
func TestReadInfo_Loudness(t *testing.T) {
	lame := func(flags byte, before int, gain uint16) []byte {
		f := info("Info", 36)
		f[36+7] = flags
		at := 36 + 8 + before
		copy(f[at:], "LAME3.100")
		binary.BigEndian.PutUint32(f[at+11:], math.Float32bits(0.75))
		binary.BigEndian.PutUint16(f[at+15:], gain)
		return f
	}
	const track, automatic, minus = 1 << 13, 3 << 10, 1 << 9
	for name, c := range map[string]struct {
		table      []byte
		gain, peak float64
	}{
		"all fields":   {lame(15, 112, track|automatic|minus|65), -6.5, 0.75},
		"no fields":    {lame(0, 0, track|automatic|13), 1.3, 0.75},
		"frames, seek": {lame(5, 104, track|automatic|minus|1), -0.1, 0.75},
		"of an album":  {lame(0, 0, 2<<13|automatic|13), 0, 0.75},
		"nobody's":     {lame(0, 0, track|13), 0, 0.75},
		"no LAME":      {info("Info", 36), 0, 0},
	} {
		got, err := ReadInfo(bytes.NewReader(cat(c.table, music(5))))
		if err != nil || got.Gain != c.gain || got.Peak != c.peak {
			t.Errorf("%s: %+v, %v; want %v, %v", name, got, err, c.gain, c.peak)
		}
	}
}
