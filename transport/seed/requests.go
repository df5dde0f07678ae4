package seed

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The requests, as they are sent: nothing marks their end. Usually one send is one request.
const (
	askSongs    = "SONGLIST"
	askRequests = "REQUESTLIST"
	askPlay     = "PLAY,"
	sayLeave    = "DC,"
)

var verbs = []string{askSongs, askRequests, askPlay, sayLeave}

const (
	// maxRequest is the longest request, in bytes: the server of 2016 takes no more in one read.
	maxRequest = 1024
	// maxSentence is how many bytes a client of 2016 reads of the answer to PLAY, and firstRead how
	// many of a list before it reads the rest.
	maxSentence = 100
	firstRead   = 10
)

// kindOf says what the first bytes of a peer are.
type kindOf int

const (
	notSeed   kindOf = iota // no request of a client of 2016, whatever may follow
	unfolding               // perhaps the beginning of one
	request                 // one, or several
)

// classify tells the first bytes of a client of 2016 from a line. Lines have an end, and begin with
// other words.
func classify(b []byte) kindOf {
	if bytes.IndexByte(b, '\n') >= 0 {
		return notSeed
	}
	for _, verb := range verbs {
		switch {
		case bytes.HasPrefix(b, []byte(verb)):
			return request
		case len(b) < len(verb) && strings.HasPrefix(verb, string(b)):
			return unfolding
		}
	}
	return notSeed
}

// asked is one request.
type asked struct {
	verb string // one of verbs
	wish string // of PLAY
	port int    // of DC, 0 if it says none
}

// cut splits the first request off b; ok is false if b begins with none, and is then unreadable.
// Several requests may come in one packet: a wish ends where another request begins, unless whole
// says that it is a song's name as it stands.
func cut(b []byte, whole func(wish string) bool) (first asked, rest []byte, ok bool) {
	b = bytes.TrimLeft(b, " \r\n\x00")
	for _, verb := range verbs {
		after, found := bytes.CutPrefix(b, []byte(verb))
		if !found {
			continue
		}
		switch verb {
		case askSongs, askRequests:
			return asked{verb: verb}, after, true
		case sayLeave: // nothing comes after it
			fields := strings.Split(strings.TrimSpace(string(after)), ",")
			port, _ := strconv.Atoi(fields[len(fields)-1])
			return asked{verb: verb, port: port}, nil, true
		}
		wish := strings.TrimSpace(string(after))
		end := len(after)
		for _, next := range verbs {
			if at := bytes.Index(after, []byte(next)); at > 0 && at < end {
				end = at
			}
		}
		if end == len(after) || whole(wish) {
			return asked{verb: askPlay, wish: wish}, nil, true
		}
		return asked{verb: askPlay, wish: strings.TrimSpace(string(after[:end]))}, after[end:], true
	}
	return asked{}, nil, false
}

// songList returns the answer to SONGLIST: the list as Python prints it.
func songList(names []string) []byte {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = pythonString(name)
	}
	return measured("[" + strings.Join(quoted, ", ") + "]")
}

// requestList returns the answer to REQUESTLIST.
func requestList(names []string) []byte {
	escaped := make([]string, len(names))
	for i, name := range names {
		escaped[i] = ascii(name, 0)
	}
	return measured(strings.Join(escaped, ","))
}

// measured returns the list preceded by its length in characters, which are bytes here.
//
// A client of 2016 reads firstRead bytes. If the length is more than two, it then waits for more,
// even if it has all. So a short list is padded with spaces, or the client would wait for ever.
func measured(list string) []byte {
	if short := firstRead - len("n##") + 1 - len(list); len(list) > 2 && short > 0 {
		list += strings.Repeat(" ", short)
	}
	return fmt.Appendf(nil, "%d##%s", len(list), list)
}

// pythonString returns s as Python prints it inside a list, in ASCII: a client that reads only
// a part of a list must not cut a character in two.
func pythonString(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	return string(quote) + ascii(s, quote) + string(quote)
}

func ascii(s string, quote byte) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case quote != 0 && (r == rune(quote) || r == '\\'):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

// sentence returns the answer to PLAY, shortened to what the client reads.
func sentence(lines []string) []byte {
	text := strings.Join(lines, " ")
	const start, end = "Song ", " has been requested!"
	if name, ok := strings.CutSuffix(text, end); ok && len(text) > maxSentence {
		text = shorten(name, maxSentence-len(end)) + end
	}
	if text == "" {
		text = "The server is busy, try again later"
	}
	return []byte(shorten(text, maxSentence))
}

// shorten returns at most n bytes of s, in whole characters.
func shorten(s string, n int) string {
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// listed returns the names in the numbered lines of a native list.
func listed(lines []string) []string {
	var names []string
	for i, line := range lines {
		number, name, ok := strings.Cut(line, ". ")
		if !ok || number != strconv.Itoa(i+1) {
			break // "No songs at this time"
		}
		names = append(names, name)
	}
	return names
}
