package seed

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"conga/messages/plain"
)

// maxList is the longest list that is read from a server, in characters.
const maxList = 1 << 20

var errList = errors.New("not a list of the seed's kind")

// readMeasured reads "<n>##" and n characters.
func readMeasured(r *bufio.Reader) (string, error) {
	n, digits := 0, 0
	for {
		b, err := r.ReadByte()
		switch {
		case err != nil:
			return "", err
		case b == '#' && digits > 0:
			if b, err = r.ReadByte(); err != nil {
				return "", err
			}
			if b != '#' {
				return "", errList
			}
			return readCharacters(r, n)
		case b < '0' || b > '9' || digits == len(strconv.Itoa(maxList)):
			return "", errList
		}
		n = n*10 + int(b-'0')
		digits++
	}
}

func readCharacters(r *bufio.Reader, n int) (string, error) {
	if n > maxList {
		return "", fmt.Errorf("%d characters: %w", n, errList)
	}
	var text strings.Builder
	for range n {
		c, _, err := r.ReadRune()
		if err != nil {
			return "", err
		}
		text.WriteRune(c)
	}
	return text.String(), nil
}

// commaList returns the names in "a.mp3,b.mp3".
func commaList(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = plain.Text(name, maxListed); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// pythonList returns the strings in a list as Python prints it; none if text is no list. A
// string without an end counts as far as it goes.
func pythonList(text string) []string {
	var names []string
	rest := []rune(strings.TrimPrefix(strings.TrimSpace(text), "["))
	for len(rest) > 0 {
		quote := rest[0]
		rest = rest[1:]
		if quote != '\'' && quote != '"' {
			continue
		}
		var name string
		name, rest = pythonText(rest, quote)
		if name = plain.Text(name, maxListed); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// pythonText reads up to the quote.
func pythonText(text []rune, quote rune) (string, []rune) {
	var b strings.Builder
	for len(text) > 0 {
		c := text[0]
		text = text[1:]
		switch {
		case c == quote:
			return b.String(), text
		case c != '\\' || len(text) == 0:
			b.WriteRune(c)
			continue
		}
		c, text = text[0], text[1:]
		digits := map[rune]int{'x': 2, 'u': 4, 'U': 8}[c]
		if digits == 0 || len(text) < digits {
			b.WriteRune(c)
			continue
		}
		if n, err := strconv.ParseUint(string(text[:digits]), 16, 31); err == nil {
			b.WriteRune(rune(n))
		}
		text = text[digits:]
	}
	return b.String(), nil
}

// maxListed is the longest name that is taken from a list, in bytes.
const maxListed = 255
