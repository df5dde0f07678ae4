package console

import (
	"bytes"
	"testing"
)

func TestLocaleOf(t *testing.T) {
	for _, test := range []struct {
		name, system string
		env          map[string]string
		want         Locale
	}{
		{"usual", "linux", map[string]string{"LANG": "de_DE.UTF-8"}, UTF8},
		{"without a dash", "freebsd", map[string]string{"LANG": "en_US.utf8"}, UTF8},
		{"LC_ALL wins", "linux", map[string]string{"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, OtherLocale},
		{"LC_CTYPE before LANG", "linux", map[string]string{"LC_CTYPE": "C.UTF-8", "LANG": "C"}, UTF8},
		{"empty is not set", "linux", map[string]string{"LC_ALL": "", "LANG": "C.UTF-8"}, UTF8},
		{"Latin-1", "linux", map[string]string{"LANG": "de_DE.ISO-8859-1"}, OtherLocale},
		{"POSIX", "linux", map[string]string{"LC_ALL": "POSIX"}, OtherLocale},
		{"none", "linux", nil, UnknownLocale},
		{"none on a Mac", "darwin", nil, UTF8},
		{"the old console", "windows", nil, UnknownLocale},
		{"Windows Terminal", "windows", map[string]string{"WT_SESSION": "1"}, UTF8},
	} {
		if got := LocaleOf(test.system, func(key string) string { return test.env[key] }); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestASCII(t *testing.T) {
	const text = "♪ server → amy 🔊 · Für Elise … 漢字 silent 2× ├ └ │ ▸ \x1b[1m━─\x1b[m “x” e\u0301\n"
	const want = "* server -> amy (heard) - F?r Elise ... ?? silent 2x | ` | > \x1b[1m=-\x1b[m \"x\" e\n"
	if got := ASCII(text); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for size := 1; size < 6; size++ { // in pieces
		var out bytes.Buffer
		w := NewASCIIWriter(&out)
		for rest := []byte(text); len(rest) > 0; {
			n, err := w.Write(rest[:min(size, len(rest))])
			if err != nil || n == 0 {
				t.Fatal(n, err)
			}
			rest = rest[n:]
		}
		if out.String() != want {
			t.Errorf("in pieces of %d: %q", size, out.String())
		}
	}
}
