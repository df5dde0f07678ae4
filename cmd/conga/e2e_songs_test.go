package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// songsDir is the music of the repository.
const songsDir = "../../songs"

// cut is a short song: frames of a real one, so that songs change within seconds.
type cut struct {
	from  string // a file in songsDir
	first int    // its first frame, behind the Info frame
	n     int    // how many
}

// frames are the bytes of the cut, as a listener must get them.
func (c cut) frames(t testing.TB) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(songsDir, c.from))
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
	at += frameSize(t, file[at:]) // Info: no music
	for range c.first {
		at += frameSize(t, file[at:])
	}
	begin := at
	for range c.n {
		at += frameSize(t, file[at:])
	}
	return file[begin:at]
}

// frameSize is that of the MPEG-1 layer III frame at the start of b.
func frameSize(t testing.TB, b []byte) int {
	t.Helper()
	if len(b) < 4 || binary.BigEndian.Uint16(b)&0xfffe != 0xfffa {
		t.Fatal("no frame of MPEG-1 layer III")
	}
	kbps := []int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}[b[2]>>4]
	rate := []int{44100, 48000, 32000}[b[2]>>2&3]
	return 144_000*kbps/rate + int(b[2]>>1&1)
}

// cutSongs makes a songs folder.
func cutSongs(t testing.TB, songs map[string]cut) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, c := range songs {
		if err := os.WriteFile(filepath.Join(dir, name), c.frames(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shortSongs last two seconds each, at two sample rates.
var shortSongs = map[string]cut{
	"air.mp3":   {from: "bach.mp3", first: 100, n: 75},
	"canon.mp3": {from: "pachelbel.mp3", first: 500, n: 80},
	"joy.mp3":   {from: "beethoven.mp3", first: 60, n: 85},
}

// longSongs last as long as any test here.
func longSongs(t testing.TB, names ...string) (dir string) {
	t.Helper()
	songs := map[string]cut{}
	for i, name := range names {
		songs[name] = cut{from: "bach.mp3", first: i, n: 1500}
	}
	return cutSongs(t, songs)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
