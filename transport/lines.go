package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// maxReply is the longest line, in bytes, that a listener takes from its server: an
// Answer may hold a whole list.
const maxReply = 1 << 20

var (
	// ErrLineTooLong: the line exceeds the greatest length.
	ErrLineTooLong = errors.New("line too long")
	// ErrNotText: the line holds control characters or is not UTF-8.
	ErrNotText = errors.New("line is not plain text")
	// ErrUnknownVerb: the line does not begin with a word of the native dialect.
	ErrUnknownVerb = errors.New("unknown word")
	// ErrLine: a word of the native dialect is not followed by its message.
	ErrLine = errors.New("malformed line")
)

// verbs are the native dialect's words: the messages' names in upper case.
var verbs = func() map[string]proto.Message {
	known := make(map[string]proto.Message)
	for _, m := range []proto.Message{
		&messages.Hello{}, &messages.Welcome{}, &messages.Refused{},
		&messages.Ask{}, &messages.Answer{},
		&messages.Neighbours{}, &messages.Playing{},
		&messages.ClockPing{}, &messages.ClockPong{}, &messages.SpeakUp{},
		&messages.PeerLost{}, &messages.LeaveChain{}, &messages.Reconnected{}, &messages.ReportSilent{},
	} {
		known[verb(m)] = m
	}
	return known
}()

func verb(m proto.Message) string {
	return strings.ToUpper(string(m.ProtoReflect().Descriptor().Name()))
}

// ReadLine reads one line without its end, "\n" or "\r\n". If the line does not fit into r's
// buffer, it returns the beginning and ErrLineTooLong. A last line without an end is a line;
// the next call returns io.EOF. A line that is not text is returned with ErrNotText, and the
// next one can be read.
func ReadLine(r *bufio.Reader) (string, error) {
	raw, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return string(raw), ErrLineTooLong
	case errors.Is(err, io.EOF) && len(raw) > 0: // the end comes with the next call
	case err != nil:
		return "", err
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	if !isText(line) {
		return line, ErrNotText
	}
	return line, nil
}

// lineReader reads the lines of one connection. While it waits for a line it has room for one byte; then it borrows a
// buffer. A server has thousands of connections, and nearly all of them are silent at any moment; a listener's is, too.
type lineReader struct {
	from  io.Reader
	buf   *bufio.Reader // nil: none is borrowed
	first [1]byte
	ahead bool // first is to be read before from
}

var lineBuffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, messages.MaxLine) }}

// readLine is ReadLine.
func (l *lineReader) readLine() (string, error) { return l.read(ReadLine) }

// read reads a line with one, which reads lines from a buffer of messages.MaxLine bytes.
func (l *lineReader) read(one func(*bufio.Reader) (string, error)) (string, error) {
	if l.buf == nil {
		if _, err := io.ReadFull(l.from, l.first[:]); err != nil {
			return "", err
		}
		l.ahead = true
		l.buf = lineBuffers.Get().(*bufio.Reader)
		l.buf.Reset(l)
	}
	line, err := one(l.buf)
	if l.buf.Buffered() == 0 {
		l.buf.Reset(nil)
		lineBuffers.Put(l.buf)
		l.buf = nil
	}
	return line, err
}

// Read is for buf.
func (l *lineReader) Read(p []byte) (int, error) {
	if l.ahead {
		l.ahead = false
		return copy(p, l.first[:]), nil
	}
	return l.from.Read(p)
}

func isText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\t' {
			return false
		}
	}
	return true
}

// ParseLine reads "VERB {json}" (protobuf's JSON). It drops fields that this version does not
// know. The error is ErrUnknownVerb or ErrLine.
func ParseLine(line string) (proto.Message, error) {
	word, body, _ := strings.Cut(line, " ")
	empty, ok := verbs[word]
	if !ok {
		return nil, ErrUnknownVerb
	}
	m := empty.ProtoReflect().New().Interface()
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: 16}).Unmarshal([]byte(body), m); err != nil {
		return nil, fmt.Errorf("%s: %w", word, ErrLine)
	}
	return m, nil
}

// usualLine is how long most lines are at most: a ping, or its answer.
const usualLine = 192

// AppendLine appends "VERB {json}\n" to dst. The error is ErrUnknownVerb if the message has no word.
func AppendLine(dst []byte, m proto.Message) ([]byte, error) {
	word := verb(m)
	if _, ok := verbs[word]; !ok {
		return dst, fmt.Errorf("%s: %w", word, ErrUnknownVerb)
	}
	line := append(append(slices.Grow(dst, usualLine), word...), ' ')
	line, err := protojson.MarshalOptions{}.MarshalAppend(line, m) // one line: newlines in strings are escaped
	if err != nil {
		return dst, fmt.Errorf("encode %s: %w", word, err)
	}
	return append(line, '\n'), nil
}
