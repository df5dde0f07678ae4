package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Playlists of other programs are read, from any folder and with paths of every kind. Lines that are no song are named.
func TestReadPlaylist(t *testing.T) {
	dir := t.TempDir()
	songs := filepath.Join(dir, "music")
	for _, name := range []string{"top.mp3", "Bach/Air é.mp3", "Bach/Preludes/01.flac", "lists/beside.mp3"} {
		path := filepath.Join(songs, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name, text     string
		songs, unknown []string
	}{
		{"a.m3u8", "\ufeff#EXTM3U\r\n#EXTINF:1,Air\r\nmusic/Bach/Air é.mp3\r\n\r\n  \r\ntop.mp3\n", []string{"Bach/Air é.mp3", "top.mp3"}, nil},
		{"b.m3u", "music\\Bach\\Air \xe9.mp3\n" + filepath.Join(songs, "top.mp3"), []string{"Bach/Air é.mp3", "top.mp3"}, nil},
		{"music/lists/c.m3u", "beside.mp3\n../top.mp3\nBach/Preludes/01.flac", []string{"lists/beside.mp3", "top.mp3", "Bach/Preludes/01.flac"}, nil},
		{"d.m3u", "top.mp3\nlater.mp3\n../../etc/passwd\nhttp://radio.example/x.mp3\n/etc/passwd\n", []string{"top.mp3", "later.mp3"}, []string{"later.mp3", "../../etc/passwd", "http://radio.example/x.mp3", "/etc/passwd"}},
	} {
		got, err := ReadPlaylist(write(c.name, c.text), songs, true)
		if err != nil || !slices.Equal(got.Songs, c.songs) || !slices.Equal(got.Unknown, c.unknown) || !got.Shuffle {
			t.Errorf("%s: %q, %q, %v", c.name, got.Songs, got.Unknown, err)
		}
	}
	for text, want := range map[string]string{
		"": "names no song", "top.mp3\n\x00": "is no text", "#EXTM3U\n": "names no song", "http://x/y.mp3\n": "names no song",
		strings.Repeat("top.mp3\n", maxEntries+1): "more than 5000 songs", strings.Repeat("#\n", maxPlaylist/2+1): "more than 4 MB",
	} {
		if _, err := ReadPlaylist(write("bad.m3u", text), songs, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
	if _, err := ReadPlaylist(filepath.Join(dir, "none.m3u"), songs, false); err == nil {
		t.Error("a file that is not there is read")
	}
}
