package transport

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

var typedCases = []struct{ name, said, text string }{
	{"lines", "SONGS\nPLAY 1\r\n", "SONGS\nPLAY 1\n"},
	{"telnet's greeting", "\xff\xfd\x03\xff\xfb\x18\xff\xfb\x1fSONGS\r\n", "SONGS\n"},
	{"telnet's line end", "SONGS\r\x00PLAY 1\r\x00", "SONGS\nPLAY 1\n"},
	{"a window's size", "\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0SONGS\r\n", "SONGS\n"},
	{"a subnegotiation with the byte itself", "\xff\xfa\x18\x00\xff\xffSONGS\xff\xf0PLAY 1\n", "PLAY 1\n"},
	{"amid a line", "SO\xff\xf1NGS\r\n", "SONGS\n"},
	{"interrupt", "\xff\xf4\xff\xfd\x06SONGS\r\n", "SONGS\n"},
	{"no command", "PLAY \xff\n", "PLAY \xff\n"},
	{"the byte itself", "PLAY \xff\xff\n", "PLAY \xff\n"},
	{"a lone CR", "a\rb\r\r\n", "a\rb\r\n"},
	{"a zero byte", "a\x00b\n", "a\x00b\n"},
	{"umlauts", "PLAY für Élise\r\n", "PLAY für Élise\n"},
	{"cut off", "SONGS\n\xff\xfa\x18", "SONGS\n"},
}

func TestTyped(t *testing.T) {
	for _, c := range typedCases {
		for way, r := range map[string]io.Reader{"at once": strings.NewReader(c.said), "byte by byte": iotest.OneByteReader(strings.NewReader(c.said))} {
			got, err := io.ReadAll(&typed{r: bufio.NewReader(r)})
			if err != nil || string(got) != c.text {
				t.Errorf("%s, %s: %q, %v; want %q", c.name, way, got, err, c.text)
			}
		}
	}
}

// However the bytes come, they are the same text, and no more than they were.
func FuzzTyped(f *testing.F) {
	for _, c := range typedCases {
		f.Add([]byte(c.said))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		whole, err := io.ReadAll(&typed{r: bufio.NewReader(bytes.NewReader(said))})
		pieces, err2 := io.ReadAll(&typed{r: bufio.NewReader(iotest.OneByteReader(bytes.NewReader(said)))})
		if err != nil || err2 != nil || !bytes.Equal(whole, pieces) || len(whole) > len(said) {
			t.Errorf("%q is %q at once (%v), %q byte by byte (%v)", said, whole, err, pieces, err2)
		}
	})
}

// Programs that say something before their user does.
func TestRequests_FirstLine(t *testing.T) {
	for name, said := range map[string]string{
		"a mark":                   "\ufeffREQUESTS\n",
		"a mark and CR LF":         "\ufeffREQUESTS\r\n",
		"telnet":                   "\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfb\x27\xff\xfd\x01\xff\xfb\x03\xff\xfd\x03REQUESTS\r\n",
		"telnet, letter by letter": "\xff\xfd\x03REQUESTS\r\x00",
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			openRequests(t, l, nil)
			c := dial(t, l)
			send(t, c, []byte(said))
			want := sayNoWishes + "\n\n"
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
