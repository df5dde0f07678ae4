// Package congatest gives tests short songs, and builds the programs.
package congatest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Dir is the repository's folder of music.
var Dir = filepath.Join(house(), "songs")

// house is the folder of go.mod, above that of the test.
func house() string {
	for dir := "."; ; dir = filepath.Join(dir, "..") {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if whole, err := filepath.Abs(dir); err != nil || whole == filepath.Dir(whole) {
			panic("no go.mod above this test")
		}
	}
}

// Cut is a short song: frames of a real one, so that songs change within seconds.
type Cut struct {
	From  string // a file in Dir
	First int    // its first frame, counted after the Info frame
	N     int    // how many
}

// Frames are the bytes of the cut, as a listener must get them.
func (c Cut) Frames(t testing.TB) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(Dir, c.From))
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	if bytes.HasPrefix(file, []byte("ID3")) {
		size := 0
		for _, b := range file[6:10] { // seven bits each
			size = size<<7 | int(b)
		}
		at = 10 + size
	}
	at += FrameSize(t, file[at:]) // Info: no music
	for range c.First {
		at += FrameSize(t, file[at:])
	}
	begin := at
	for range c.N {
		at += FrameSize(t, file[at:])
	}
	return file[begin:at]
}

// FrameSize is the size of the MPEG-1 layer III frame at the start of b.
func FrameSize(t testing.TB, b []byte) int {
	t.Helper()
	if len(b) < 4 || binary.BigEndian.Uint16(b)&0xfffe != 0xfffa {
		t.Fatal("no frame of MPEG-1 layer III")
	}
	kbps := []int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}[b[2]>>4]
	rate := []int{44100, 48000, 32000}[b[2]>>2&3]
	return 144_000*kbps/rate + int(b[2]>>1&1)
}

// Songs makes a songs folder.
func Songs(t testing.TB, songs map[string]Cut) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, c := range songs {
		if err := os.WriteFile(filepath.Join(dir, name), c.Frames(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Short has songs of two seconds each, at two sample rates.
var Short = map[string]Cut{
	"air.mp3":   {From: "bach.mp3", First: 100, N: 75},
	"canon.mp3": {From: "pachelbel.mp3", First: 500, N: 80},
	"joy.mp3":   {From: "beethoven.mp3", First: 60, N: 85},
}

// Long makes a folder of songs that last longer than any test.
func Long(t testing.TB, names ...string) (dir string) {
	t.Helper()
	songs := map[string]Cut{}
	for i, name := range names {
		songs[name] = Cut{From: "bach.mp3", First: i, N: 1500}
	}
	return Songs(t, songs)
}

func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Tag is an ID3v2.3 tag with a title and an artist, in ASCII, and with fields of other names, as "FIELD=VALUE".
func Tag(title, artist string, fields ...string) []byte {
	var frames []byte
	texts := [][2]string{{"TIT2", title}, {"TPE1", artist}}
	for _, field := range fields {
		texts = append(texts, [2]string{"TXXX", strings.Replace(field, "=", "\x00", 1)})
	}
	for _, frame := range texts {
		text := "\x00" + frame[1] // Latin-1
		frames = append(frames, frame[0]...)
		frames = binary.BigEndian.AppendUint32(frames, uint32(len(text)))
		frames = append(append(frames, 0, 0), text...)
	}
	head := []byte("ID3\x03\x00\x00")
	for shift := 21; shift >= 0; shift -= 7 { // seven bits each
		head = append(head, byte(len(frames)>>shift&0x7f))
	}
	return append(head, frames...)
}
