package plain

import (
	"io"
	"sync"
	"unicode/utf8"
)

// Writer passes on what is plain of the lines that are written to it: what is left of a
// terminal's steering is harmless text. Any goroutine may write.
type Writer struct {
	mu     sync.Mutex
	to     io.Writer
	line   filter
	broken []byte // the first bytes of a character whose others are still to come
	buf    []byte
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

// Write takes all of p, or returns w's error.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := append(w.broken, p...)
	w.broken, w.buf = nil, w.buf[:0]
	for len(rest) > 0 {
		if !utf8.FullRune(rest) {
			w.broken = append(w.broken, rest...)
			break
		}
		r, size := utf8.DecodeRune(rest)
		rest = rest[size:]
		if r == '\n' {
			w.buf, w.line = append(w.buf, '\n'), filter{}
			continue
		}
		w.buf = w.line.add(w.buf, r)
	}
	if len(w.buf) == 0 {
		return len(p), nil
	}
	if _, err := w.to.Write(w.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}
