package plain

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

var cases = []struct{ name, said, shown string }{
	{"ascii", `PLAY "bach" & 3 <b> \x`, `PLAY "bach" & 3 <b> \x`},
	{"empty", "", ""},
	{"languages", "Dvořák Łódź Ωδή 長い歌 노래 לילה", "Dvořák Łódź Ωδή 長い歌 노래 לילה"},
	{"decomposed", "Cafe\u0301", "Cafe\u0301"},
	{"emoji", "🎵 👩🏽 ❤\ufe0f", "🎵 👩🏽 ❤\ufe0f"},
	{"a family", "👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"},
	{"a rainbow flag", "🏳\ufe0f\u200d🌈", "🏳\ufe0f\u200d🌈"},
	{"persian", "می\u200cخواهم", "می\u200cخواهم"},
	{"sinhala", "ශ්\u200dරී", "ශ්\u200dරී"},

	{"clears the screen", "\x1b[2J\x1b[31mred\x1b[0m", "[2J[31mred[0m"},
	{"sets the title", "\x1b]0;owned\x07x", "]0;ownedx"},
	{"8-bit control sequences", "\u009b31mx\u009d0;t\u009cy", "31mx0;ty"},
	{"the same as raw bytes", "\x9b31mx", "31mx"},
	{"overwrites its line", "evil\rgood", "evilgood"},
	{"backspaces", "evil\b\b\b\bgood\x7f", "evilgood"},
	{"lines of its own", "x\nready relay=1\r\ny\u2028z\u2029\u0085\v\fw", "x ready relay=1 y z    w"},
	{"tab", "a\tb", "a b"},
	{"reversed", "a\u202etxt.3pm\u202c\u2066\u2067\u2068\u2069\u202a\u202b\u202d\u200e\u200f\u061cb", "atxt.3pmb"},
	{"a name that looks like amy", "\ufeffa\u200bm\u2060\u200cy\u200d\u00ad\ufe0f\u034f\U000e0061", "amy"},
	{"fillers", "a\u3164\u115f\u1160\uffa0\u17b4\u180eb", "ab"},
	{"every kind of room", "\u00a0a\u3000b\u2003c\u2800d\u205f", "a b c d"},
	{"not UTF-8", "a\xff\xc3b\xed\xa0\x80\xf0\x9f", "ab"},
	{"replaced before", "a\ufffdb", "ab"},
	{"no characters", "a\ue000\U000f0000\uffff\u0378b", "ab"},
	{"tower of accents", "a" + strings.Repeat("\u0301", 99) + "b", "a" + strings.Repeat("\u0301", maxMarks) + "b"},
	{"accents on what stands before", " \u0301\u0301x", "x"},
	{"joiner at the end", "👨\u200d", "👨"},
	{"style at the start", "\ufe0fx", "x"},
	{"room at both ends", "  a  ", "a"},
}

func TestText(t *testing.T) {
	for _, test := range cases {
		if got := Text(test.said, 1000); got != test.shown {
			t.Errorf("%s: %q is shown as %q, want %q", test.name, test.said, got, test.shown)
		}
	}
}

func TestAlike(t *testing.T) {
	for _, said := range []string{"café", "cafe\u0301", "ca\u200dfe\u0301\ufe0f", " caf\u0065\u0301\u200b "} {
		if got := Alike(said, 100); got != "café" {
			t.Errorf("%q is %q", said, got)
		}
	}
}

func TestText_Limit(t *testing.T) {
	for _, test := range []struct {
		said  string
		limit int
		shown string
	}{
		{"abc", 3, "abc"},
		{"abcd", 3, "abc"},
		{"ab cd", 3, "ab"},
		{"aéé", 4, "aé"},
		{"👨\u200d👩", 8, "👨"},
		{"x", 0, ""},
		{strings.Repeat("\x1b", 100) + "x", 5, ""}, // nobody looks for the end of it
	} {
		if got := Text(test.said, test.limit); got != test.shown {
			t.Errorf("%q in %d bytes is %q, want %q", test.said, test.limit, got, test.shown)
		}
	}
}

// What a command prints goes through whole, but for what is not plain, however it is cut
// into writes.
func TestWriter(t *testing.T) {
	for _, test := range cases {
		for size := 1; size <= 7; size++ {
			var got bytes.Buffer
			w := NewWriter(&got)
			text := "one\n\n  two " + test.said + "\nthree\n"
			for rest := []byte(text); len(rest) > 0; {
				n, err := w.Write(rest[:min(size, len(rest))])
				if err != nil || n == 0 {
					t.Fatalf("wrote %d, %v", n, err)
				}
				rest = rest[n:]
			}
			if lines := strings.Split(got.String(), "\n"); lines[0] != "one" || lines[1] != "" || !strings.HasPrefix(lines[2], "  two ") || lines[len(lines)-2] != "three" {
				t.Errorf("%s: %q", test.name, got.String())
			}
			for _, line := range strings.Split(got.String(), "\n") {
				if line = "|" + line; strings.TrimRight(line, " ") != Text(line, 1000) {
					t.Errorf("%s: %q is not plain", test.name, line)
				}
			}
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, bytes.ErrTooLarge }

func TestWriter_Error(t *testing.T) {
	if _, err := NewWriter(failing{}).Write([]byte("x")); !errors.Is(err, bytes.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestJSON(t *testing.T) {
	for _, test := range cases {
		want := strings.ToValidUTF8(test.said, "\ufffd")
		raw := encode(t, map[string]string{"said": want, want: "said"})
		checkJSON(t, raw)
		var is map[string]string
		if err := json.Unmarshal(JSON(raw), &is); err != nil || is["said"] != want || is[want] != "said" {
			t.Errorf("%s: %s, %v", test.name, JSON(raw), err)
		}
	}
	if got := string(JSON([]byte("{\x1b[2J\r\u202e\xff}"))); got != `{[2J\u202e\ufffd}` {
		t.Errorf("what is no JSON is %q", got)
	}
}

func encode(t *testing.T, v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// checkJSON wants it to go through a Writer as it is.
func checkJSON(t *testing.T, raw []byte) {
	t.Helper()
	var out bytes.Buffer
	if _, err := NewWriter(&out).Write(JSON(raw)); err != nil || !bytes.Equal(out.Bytes(), JSON(raw)) {
		t.Errorf("a Writer makes %q of %q, %v", out.Bytes(), JSON(raw), err)
	}
}

func FuzzText(f *testing.F) {
	for _, test := range cases {
		f.Add(test.said, 64)
	}
	f.Fuzz(func(t *testing.T, said string, limit int) {
		limit &= 0xfff
		text := Text(said, limit)
		if !utf8.ValidString(text) || len(text) > limit || Text(text, limit) != text {
			t.Errorf("%q in %d bytes: %q, then %q", said, limit, text, Text(text, limit))
		}
		for _, r := range text {
			if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
				t.Errorf("%q: %q", said, text)
			}
		}
		var out bytes.Buffer
		w := NewWriter(&out)
		half := len(said) / 2
		w.Write([]byte(said[:half]))
		w.Write([]byte(said[half:]))
		for line := range strings.SplitSeq(out.String(), "\n") {
			if line = "|" + line; strings.TrimRight(line, " ") != Text(line, len(line)) {
				t.Errorf("%q is written as %q", said, line)
			}
		}
		valid := strings.ToValidUTF8(said, "\ufffd")
		raw := encode(t, valid)
		checkJSON(t, raw)
		var is string
		if err := json.Unmarshal(JSON(raw), &is); err != nil || is != valid {
			t.Errorf("%q as JSON is %q, %v", valid, is, err)
		}
	})
}
