package mp3

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// headers serves the table test and the fuzz seeds.
var headers = []struct {
	name  string
	bytes []byte
	want  Header
	err   string // part of the error; empty: none
}{
	{"128k 44.1k joint", []byte{0xFF, 0xFB, 0x90, 0x64}, Header{Size: 417, SampleRate: 44100, Bitrate: 128000, Channels: 2}, ""},
	{"padded", []byte{0xFF, 0xFB, 0x92, 0x64}, Header{Size: 418, SampleRate: 44100, Bitrate: 128000, Channels: 2}, ""},
	{"longest", []byte{0xFF, 0xFB, 0xEA, 0x00}, Header{Size: MaxFrame, SampleRate: 32000, Bitrate: 320000, Channels: 2}, ""},
	{"shortest, mono", []byte{0xFF, 0xFB, 0x14, 0xC0}, Header{Size: 96, SampleRate: 48000, Bitrate: 32000, Channels: 1}, ""},
	{"with CRC", []byte{0xFF, 0xFA, 0x90, 0x64}, Header{Size: 417, SampleRate: 44100, Bitrate: 128000, Channels: 2, protected: true}, ""},
	{"MPEG-2", []byte{0xFF, 0xF3, 0x90, 0x64}, Header{}, "MPEG-2: 22050 Hz: not"},
	{"MPEG-2.5", []byte{0xFF, 0xE3, 0x90, 0x64}, Header{}, "MPEG-2.5: 11025 Hz: not"},
	{"reserved version", []byte{0xFF, 0xEB, 0x90, 0x64}, Header{}, "MPEG-reserved"},
	{"layer II", []byte{0xFF, 0xFD, 0x90, 0x64}, Header{}, "layer II:"},
	{"layer I", []byte{0xFF, 0xFF, 0x90, 0x64}, Header{}, "layer I:"},
	{"AAC", []byte{0xFF, 0xF1, 0x50, 0x80}, Header{}, "MPEG-2"},
	{"free format", []byte{0xFF, 0xFB, 0x00, 0x64}, Header{}, "free format"},
	{"bitrate 15", []byte{0xFF, 0xFB, 0xF0, 0x64}, Header{}, "reserved"},
	{"rate 3", []byte{0xFF, 0xFB, 0x9C, 0x64}, Header{}, "reserved"},
	{"emphasis 2", []byte{0xFF, 0xFB, 0x90, 0x66}, Header{}, "reserved"},
	{"no sync", []byte("RIFF"), Header{}, "no frame begins with 52494646"},
	{"short", []byte{0xFF, 0xFB, 0x90}, Header{}, "3 bytes"},
	{"empty", nil, Header{}, "0 bytes"},
}

func TestParseHeader(t *testing.T) {
	for _, c := range headers {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseHeader(c.bytes)
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if (err == nil) != (c.err == "") {
				t.Fatalf("got error %v, want %q", err, c.err)
			}
			if err != nil && (!errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got error %v, want an ErrFormat with %q", err, c.err)
			}
		})
	}
}

func TestHeader_Duration(t *testing.T) {
	if got := (Header{SampleRate: 48000}).Duration(); got != 24*time.Millisecond {
		t.Errorf("a frame at 48 kHz lasts %v, want 24ms", got)
	}
}

func TestCheckChunk(t *testing.T) {
	one, slow := frame(44100, 1), frame(48000, 2)
	for _, c := range []struct {
		name  string
		chunk []byte
		want  int
		err   string
	}{
		{"one", one, 1, ""},
		{"as many as may be", bytes.Repeat(one, MaxChunk), MaxChunk, ""},
		{"one more", bytes.Repeat(one, MaxChunk+1), 0, "more than 16"},
		{"empty", nil, 0, "byte 0: 0 bytes"},
		{"half", one[:200], 0, "200 of a frame's 417"},
		{"one and a half", append(bytes.Clone(one), one[:3]...), 0, "byte 417: 3 bytes"},
		{"garbage behind", append(bytes.Clone(one), "TAG!"...), 0, "byte 417"},
		{"two rates", append(bytes.Clone(one), slow...), 0, "turns from 44100 to 48000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			frames, err := CheckChunk(c.chunk)
			if frames != c.want || (err == nil) != (c.err == "") {
				t.Fatalf("got %d frames, %v", frames, err)
			}
			if err != nil && (!errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got error %v, want %q", err, c.err)
			}
		})
	}
}

func FuzzParseHeader(f *testing.F) {
	for _, c := range headers {
		f.Add(c.bytes)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			if h != (Header{}) || !errors.Is(err, ErrFormat) {
				t.Errorf("got %+v, %v", h, err)
			}
			return
		}
		if h.Size < 96 || h.Size > MaxFrame || h.Duration() < 24*time.Millisecond || h.Duration() > 36*time.Millisecond {
			t.Errorf("%x is %+v", b, h)
		}
	})
}

func FuzzCheckChunk(f *testing.F) {
	f.Add(bytes.Repeat(frame(44100, 1), 4))
	f.Add(append(frame(44100, 1), frame(48000, 2)...))
	for _, c := range headers {
		f.Add(c.bytes)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, err := CheckChunk(b)
		if err != nil {
			return
		}
		rest := b
		for range frames {
			h, err := ParseHeader(rest)
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[h.Size:]
		}
		if frames == 0 || frames > MaxChunk || len(rest) > 0 {
			t.Errorf("%d frames of %d bytes are not the chunk", frames, len(b))
		}
	})
}
