package catalog

import (
	"bytes"
	"io"
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

// coded is a text frame in another encoding than Latin-1.
func coded(name string, encoding byte, text string) string {
	frame := []byte(textFrame(name, text))
	frame[10] = encoding
	return string(frame)
}

// version4 makes an ID3v2.4 tag of one that is short enough to read alike.
func version4(tag []byte) []byte {
	tag[3] = 4
	return tag
}

func flagged(flags byte, tag []byte) []byte {
	tag[5] = flags
	return tag
}

func version2(name, text string) []byte {
	tag := id3(0, name+string([]byte{0, 0, byte(len(text) + 1), 0})+text)
	tag[3] = 2
	return tag
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
	{"lines", id3(0, textFrame("TIT2", " a\nb\x00c\t\x1b[2Jd ")), "a b / c [2Jd", ""},
	{"too long", id3(0, textFrame("TIT2", strings.Repeat("a", 5000))), strings.Repeat("a", maxTitle), ""},
	{"claims 256 MiB", id3(1<<28-1, "TIT2\x0f\xff\xff\xff\x00\x00\x00abc"), "", ""},
	{"ID3v1 in Latin-1", append(make([]byte, 500), id3v1("F\xfcr Elise", "Bj\xf6rk \x96 x")...), "Für Elise", "Björk – x"},
	{"ID3v1 in UTF-8", append(make([]byte, 500), id3v1("Für Elise", "Björk")...), "Für Elise", "Björk"},
	{"an empty ID3v2 and an ID3v1", append(id3(0, textFrame("TSSE", "Lavf58")), id3v1("Title", "Artist")...), "Title", "Artist"},
	{"artist in ID3v2, title in ID3v1", append(id3(0, textFrame("TPE1", "Bach")), id3v1("Air", "Bac")...), "Air", "Bach"},
	{"two values", version4(id3(0, textFrame("TPE1", "A\xe9\x00B\xdf"))), "", "Aé / Bß"},
	{"two values in UTF-8", version4(id3(0, coded("TPE1", 3, "Aé\x00Bß\x00"))), "", "Aé / Bß"},
	{"three values in UTF-16", id3(0, coded("TPE1", 1, "\xff\xfeA\x00\x00\x00B\x00\x00\x00\x00\x01\x00\x00")), "", "A / B / Ā"},
	{"two values in UTF-16 of the other order", id3(0, coded("TIT2", 2, "\x00A\x00\x00\x01\x00\x00\x00")), "A / Ā", ""},
	{"unsynchronised, behind a picture", flagged(0x80, id3(0, strings.ReplaceAll(textFrame("APIC", strings.Repeat("\xff\xe0", 50_000)), "\xff", "\xff\x00"), textFrame("TIT2", "Ode"))), "Ode", ""},
	{"an old iTunes' size in ID3v2.4", version4(id3(0, textFrame("COMM", strings.Repeat("c", 199)), textFrame("TIT2", "Ode"))), "Ode", ""},
	{"ID3v2.2", version2("TT2", "Ode"), "Ode", ""},
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

// The tag library's time grows with the square of a tag's frames, so it sees only the frames that are wanted. Title
// and artist before too many frames still count.
func TestReadTitle_ManyFrames(t *testing.T) {
	many := func(version, flags byte, first, frame string) []byte {
		tag := id3(0, first+strings.Repeat(frame, 200_000))
		tag[3], tag[5] = version, flags
		return tag
	}
	title := textFrame("TIT2", "Ode")
	for _, c := range []struct {
		name  string
		file  []byte
		most  int64
		title string
	}{
		{"ID3v2.2", many(2, 0, "TT2\x00\x00\x04\x00Ode", "TXX\x00\x00\x02\x03k"), 100, "Ode"},
		{"ID3v2.3", many(3, 0, title, "TXXX\x00\x00\x00\x02\x00\x00\x03k"), 100, "Ode"},
		{"ID3v2.4", many(4, 0, title, "TXXX\x00\x00\x00\x02\x00\x00\x03k"), 100, "Ode"},
		{"a thousand titles", many(3, 0, "", title), maxText + 100, "Ode"},
		{"unsynchronised", many(3, 0x80, title, "TXXX\x00\x00\x00\x02\x00\x00\x03k"), 100, "Ode"},
		{"an extended header", many(3, 0x40, "\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00"+title, "TXXX\x00\x00\x00\x02\x00\x00\x03k"), 100, "Ode"},
		{"a size of more than seven bits", many(4, 0, title, "TXXX\x80\x00\x00\x02\x00\x00\x03k"), 100, "Ode"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sees, err := io.Copy(io.Discard, wanted(bytes.NewReader(c.file), int64(len(c.file))))
			if err != nil || sees > c.most {
				t.Errorf("the library sees %d of %d bytes, want at most %d (%v)", sees, len(c.file), c.most, err)
			}
			if got, _ := readTitle(bytes.NewReader(c.file), int64(len(c.file))); got != c.title {
				t.Errorf("the title is %q, want %q", got, c.title)
			}
		})
	}
}
