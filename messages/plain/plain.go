// Package plain makes what others say fit to be shown: names of listeners and songs, answers,
// reasons, logs, whoever they come from. What is left prints as it reads: it moves no
// cursor, reverses no writing, begins no line of its own and hides nothing. Letters of all
// languages and emoji stay.
//
// Words pass Text where they come into a node, with the limit of what they are. All that
// a command prints passes a Writer, whoever said it.
package plain

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxMarks is how many accents a letter may have: enough for every script, and too few to
// reach into other lines.
const maxMarks = 8

// Text is s as one line of plain text, at most limit bytes; what is too much is cut off
// its end. There are no spaces around it. Text of a Text is the same.
func Text(s string, limit int) string {
	var f filter
	b := make([]byte, 0, min(len(s), limit))
	for _, r := range s[:min(len(s), 4*limit)] {
		end := len(b)
		if b = f.add(b, r); len(b) > limit {
			b = b[:end]
			break
		}
		if len(b) == 1 && b[0] == ' ' { // a line does not begin with a space
			b, f = b[:0], filter{}
		}
	}
	return strings.TrimRight(string(b), " ")
}

// Alike is what all texts have in common that look like s: Text with its accents composed and nothing
// invisible in it. It is to compare by, not to be shown.
func Alike(s string, limit int) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		switch r {
		case zeroWidthNonJoiner, zeroWidthJoiner, textStyle, emojiStyle:
			return -1
		}
		return r
	}, Text(s, limit)))
}

// filter lets through what is plain, rune by rune, within one line.
type filter struct {
	before rune // the last one that it let through; 0: none in this line
	joiner rune // invisible; goes through if it joins what stands before and behind it
	marks  int  // accents on the last letter
}

const (
	zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	textStyle, emojiStyle               = '\ufe0e', '\ufe0f'
	brailleBlank                        = '\u2800'
)

// add appends to dst what is to be shown of r.
func (f *filter) add(dst []byte, r rune) []byte {
	switch {
	case ' ' <= r && r <= '~': // most of all that is printed
		*f = filter{before: r}
		return append(dst, byte(r))
	case r == zeroWidthNonJoiner || r == zeroWidthJoiner:
		f.joiner = r
		return dst
	case r == textStyle || r == emojiStyle:
		if !pictures(f.before) || f.before == textStyle || f.before == emojiStyle {
			return dst
		}
	case blank(r):
		r = ' '
	case hidden(r):
		return dst
	case unicode.Is(unicode.M, r): // one that has room of its own, too: it may be written as two, one of which has none
		if f.marks++; f.before == 0 || f.marks > maxMarks {
			return dst
		}
	}
	if !unicode.Is(unicode.M, r) {
		f.marks = 0
	}
	if f.joiner == zeroWidthJoiner && pictures(f.before) && pictures(r) || f.joiner != 0 && joins(f.before) && joins(r) {
		dst = utf8.AppendRune(dst, f.joiner)
	}
	f.before, f.joiner = r, 0
	return utf8.AppendRune(dst, r)
}

// blank says whether r is shown as nothing but room: there is one kind of it.
func blank(r rune) bool {
	return unicode.In(r, unicode.Zs, unicode.Zl, unicode.Zp) || r == brailleBlank || r == '\u0085' || '\t' <= r && r <= '\f'
}

// hidden says whether r is not shown by itself: control characters, marks of direction, what
// fills and what selects variants, and what is no character. So is what is no UTF-8.
func hidden(r rune) bool {
	return r == utf8.RuneError || !unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// pictures says whether r is an emoji or a part of one.
func pictures(r rune) bool {
	return r > '~' && unicode.In(r, unicode.So, unicode.Sm) || '\U0001f3fb' <= r && r <= '\U0001f3ff' || r == textStyle || r == emojiStyle
}

// joins says whether r is of a script whose letters change their form beside each other.
func joins(r rune) bool {
	return unicode.In(r, unicode.Arabic, unicode.Syriac, unicode.Mongolian, unicode.Nko, unicode.Devanagari, unicode.Bengali,
		unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam,
		unicode.Sinhala, unicode.Tibetan, unicode.Myanmar, unicode.Khmer) && unicode.In(r, unicode.L, unicode.M)
}
