package console

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Locale is the character encoding that the user's environment names.
type Locale int

const (
	// UnknownLocale: the environment names none. Then a terminal gets ASCII, and a program gets the output
	// unchanged.
	UnknownLocale Locale = iota
	// UTF8: all characters can be shown.
	UTF8
	// OtherLocale: another encoding than UTF-8, in which only ASCII is certain.
	OtherLocale
)

// LocaleOf reads the environment as setlocale does, and knows the terminals of macOS and Windows, which
// set no locale.
func LocaleOf(system string, getenv func(string) string) Locale {
	for _, key := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		value := strings.ToLower(getenv(key))
		switch {
		case value == "":
		case strings.Contains(value, "utf-8"), strings.Contains(value, "utf8"):
			return UTF8
		default:
			return OtherLocale
		}
	}
	if system == "darwin" || system == "windows" && getenv("WT_SESSION") != "" { // the old console has no glyphs for symbols
		return UTF8
	}
	return UnknownLocale
}

// signs are the symbols that conga uses, and their ASCII substitutes.
var signs = map[rune]string{
	'→': "->", '·': "-", '…': "...", '🔊': "(heard)", '♪': "*", '×': "x", '━': "=", '─': "-",
	'│': "|", '├': "|", '└': "`", '▸': ">", '↑': "Up", '↓': "Down",
	'“': `"`, '”': `"`, '„': `"`, '«': `"`, '»': `"`, '‘': "'", '’': "'", '–': "-", '—': "-", '\u00a0': " ",
}

// ASCII returns the text in ASCII: symbols by their substitutes, other letters as ?.
func ASCII(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch sign, known := signs[r]; {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case known:
			b.WriteString(sign)
		case unicode.In(r, unicode.Mn, unicode.Cf): // it belongs to the letter before
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

// NewASCIIWriter writes to w in ASCII. A character may come in pieces. It belongs to one goroutine.
func NewASCIIWriter(w io.Writer) io.Writer { return &asciiWriter{w: w} }

type asciiWriter struct {
	w    io.Writer
	left []byte // the beginning of a character
}

// Write is io.Writer's.
func (a *asciiWriter) Write(p []byte) (int, error) {
	text := append(a.left, p...)
	whole := len(text)
	for i := max(0, whole-utf8.UTFMax+1); i < whole; i++ {
		if utf8.RuneStart(text[i]) && !utf8.FullRune(text[i:]) {
			whole = i
		}
	}
	if _, err := io.WriteString(a.w, ASCII(string(text[:whole]))); err != nil {
		return 0, err
	}
	a.left = append([]byte(nil), text[whole:]...)
	return len(p), nil
}
