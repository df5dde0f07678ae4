package seed

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The requests, as they are sent: without an end. One send is one request, as a rule.
const (
	askSongs    = "SONGLIST"
	askRequests = "REQUESTLIST"
	askPlay     = "PLAY,"
	sayLeave    = "DC,"
)

var verbs = []string{askSongs, askRequests, askPlay, sayLeave}

const (
	// maxRequest is the longest request: the 2016 server takes no more in one piece.
	maxRequest = 1024
	// maxSentence is all that a seed client reads of the answer to PLAY, and firstRead what
	// it reads of a list before it believes the length.
	maxSentence = 100
	firstRead   = 10
)

// kindOf says what the bytes are that a peer has sent so far and that hold no newline.
type kindOf int

const (
	notSeed   kindOf = iota // no request of the seed's dialect, whatever may follow
	unfolding               // perhaps the beginning of one
	request                 // one, or several
)

// classify tells a seed client's first bytes from a person's line. The lines of the other
// dialect have an end, and its verbs are none of these.
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

// cut takes the first request off what has come, and nothing if it is none: then all of
// it is unreadable. Two requests in one packet are two; a wish ends where another request
// begins, unless whole says that it is a song's name as it stands.
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

// songList answers SONGLIST: the list as Python prints one.
func songList(names []string) []byte {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = pythonString(name)
	}
	return measured("[" + strings.Join(quoted, ", ") + "]")
}

// requestList answers REQUESTLIST.
func requestList(names []string) []byte {
	escaped := make([]string, len(names))
	for i, name := range names {
		escaped[i] = ascii(name, 0)
	}
	return measured(strings.Join(escaped, ","))
}

// measured is the list with its length before it, in characters, which are bytes here.
//
// A seed client reads firstRead bytes, and then waits for more if the length is more than
// two, whether or not it has it all: a short list gets spaces behind it, or the client
// would wait for ever.
func measured(list string) []byte {
	if short := firstRead - len("n##") + 1 - len(list); len(list) > 2 && short > 0 {
		list += strings.Repeat(" ", short)
	}
	return fmt.Appendf(nil, "%d##%s", len(list), list)
}

// pythonString is s as Python prints it inside a list, and ASCII only: a client that reads
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

// sentence is the answer to PLAY, as much of it as the client reads.
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

// shorten is at most n bytes of s, of whole characters.
func shorten(s string, n int) string {
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// listed are the names in the numbered lines of the other dialect's lists.
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
