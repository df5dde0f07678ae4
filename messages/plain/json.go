package plain

import (
	"fmt"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON is the same JSON with those characters escaped that are not plain: it means what it
// meant, and a Writer lets all of it through. It may return raw itself. What is no JSON
// becomes plain, too.
func JSON(raw []byte) []byte {
	var dst []byte // nil: all is as it was
	marks := 0
	for i := 0; i < len(raw); {
		if c := raw[i]; ' ' <= c && c <= '~' { // most of all that is said
			if marks, i = 0, i+1; dst != nil {
				dst = append(dst, c)
			}
			continue
		}
		r, size := utf8.DecodeRune(raw[i:])
		if marks++; !unicode.In(r, unicode.Mn, unicode.Me) {
			marks = 0
		}
		if shown := !hidden(r) && !blank(r) && marks <= maxMarks || r == ' ' || r == '\n'; shown {
			if dst != nil {
				dst = append(dst, raw[i:i+size]...)
			}
		} else {
			if dst == nil {
				dst = append(make([]byte, 0, len(raw)+64), raw[:i]...)
			}
			dst = appendEscape(dst, r)
		}
		i += size
	}
	if dst == nil {
		return raw
	}
	return dst
}

func appendEscape(dst []byte, r rune) []byte {
	switch {
	case r < ' ': // room between values, or no JSON
		return dst
	case r > 0xffff:
		high, low := utf16.EncodeRune(r)
		return fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(dst, `\u%04x`, r)
}
