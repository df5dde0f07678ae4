package catalog

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

// id3 makes an ID3v2.3 tag; what it claims is right unless claims says otherwise.
func id3(claims int, frames ...string) []byte {
	body := strings.Join(frames, "")
	if claims == 0 {
		claims = len(body)
	}
	return append([]byte{'I', 'D', '3', 3, 0, 0, byte(claims >> 21 & 127), byte(claims >> 14 & 127), byte(claims >> 7 & 127), byte(claims & 127)}, body...)
}

func textFrame(name, text string) string {
	n := len(text) + 1
	return name + string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 0, 0, 0}) + text
}

func id3v1(title, artist string) []byte {
	b := make([]byte, 128)
	copy(b, "TAG")
	copy(b[3:33], title)
	copy(b[33:63], artist)
	return b
}

var titles = []struct {
	name          string
	file          []byte
	title, artist string
}{
	{"ID3v2", id3(0, textFrame("TIT2", "Prelude"), textFrame("TPE1", "Bach")), "Prelude", "Bach"},
	{"no tag", bytes.Repeat([]byte("x"), 500), "", ""},
	{"empty", nil, "", ""},
	{"ID3v1", append(make([]byte, 500), id3v1("Canon", "Pachelbel")...), "Canon", "Pachelbel"},
	{"lines", id3(0, textFrame("TIT2", " a\nb\x00c\t\x1b[2Jd ")), "a bc [2Jd", ""},
	{"too long", id3(0, textFrame("TIT2", strings.Repeat("a", 5000))), strings.Repeat("a", maxTitle), ""},
	{"claims 256 MiB", id3(1<<28-1, "TIT2\x0f\xff\xff\xff\x00\x00\x00abc"), "", ""},
	{"behind a picture", id3(0, textFrame("APIC", "image/png\x00\x03\x00"+strings.Repeat("p", 100_000)), textFrame("TIT2", "Ode")), "Ode", ""},
}

func TestReadTitle(t *testing.T) {
	for _, c := range titles {
		t.Run(c.name, func(t *testing.T) {
			title, artist := readTitle(bytes.NewReader(c.file), int64(len(c.file)))
			if title != c.title || artist != c.artist {
				t.Errorf("got %q, %q; want %q, %q", title, artist, c.title, c.artist)
			}
		})
	}
}

func FuzzReadTitle(f *testing.F) {
	for _, c := range titles {
		f.Add(c.file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		title, artist := readTitle(bytes.NewReader(file), int64(len(file)))
		for _, s := range []string{title, artist} {
			if len(s) > maxTitle || !utf8.ValidString(s) || strings.ContainsFunc(s, notText) {
				t.Errorf("got %q", s)
			}
		}
	})
}

// The tag library takes a time that grows with the square of a tag's frames: of a tag with too
// many it sees nothing, and of one whose frames cannot be counted from outside only the
// beginning.
func TestReadTitle_ManyFrames(t *testing.T) {
	many := func(version, flags byte, frame string) []byte {
		tag := id3(0, strings.Repeat(frame, 200_000))
		tag[3], tag[5] = version, flags
		return tag
	}
	for _, c := range []struct {
		name string
		file []byte
		most int64
	}{
		{"ID3v2.2", many(2, 0, "TXX\x00\x00\x02\x03k"), 0},
		{"ID3v2.3", many(3, 0, "TXXX\x00\x00\x00\x02\x00\x00\x03k"), 0},
		{"ID3v2.4", many(4, 0, "TXXX\x00\x00\x00\x02\x00\x00\x03k"), 0},
		{"unsynchronised", many(3, 0x80, "TXXX\x00\x00\x00\x02\x00\x00\x03k"), maxOddTag},
		{"an extended header", many(3, 0x40, "TXXX\x00\x00\x00\x02\x00\x00\x03k"), maxOddTag},
		{"a size of more than seven bits", many(4, 0, "TXXX\x80\x00\x00\x02\x00\x00\x03k"), maxOddTag},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := worthReading(bytes.NewReader(c.file), int64(len(c.file))); got != c.most {
				t.Errorf("the library sees %d of %d bytes, want %d", got, len(c.file), c.most)
			}
		})
	}
}
