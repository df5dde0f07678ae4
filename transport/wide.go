package transport

import (
	"bufio"
	"bytes"
	"io"
	"sync"
)

// wideBuffer is what is read at once while a node catches up: some seconds of music.
const wideBuffer = 64 << 10

var wideReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, wideBuffer) }}

// wide is a reader with a small buffer. As long as more comes than that takes, it borrows a large one: few connections
// need that at a time.
type wide struct {
	*bufio.Reader
	from brim
	own  *bufio.Reader // while another is borrowed
}

// brim notes whether the last read took all that it had room for.
type brim struct {
	io.Reader
	full bool
}

func (b *brim) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.full = n == len(p)
	return n, err
}

func newWide(from io.Reader, usual int) *wide {
	w := &wide{from: brim{Reader: from}}
	w.Reader = bufio.NewReaderSize(&w.from, usual)
	return w
}

// fit chooses the buffer for the next frame.
func (w *wide) fit() {
	switch {
	case w.own == nil && w.from.full:
		come, _ := w.Peek(w.Buffered())
		w.own, w.Reader = w.Reader, wideReaders.Get().(*bufio.Reader)
		w.Reset(io.MultiReader(bytes.NewReader(come), &w.from))
	case w.own != nil && w.Buffered() == 0 && !w.from.full:
		w.narrow()
	}
}

// narrow gives a borrowed buffer back, with what is in it.
func (w *wide) narrow() {
	if w.own == nil {
		return
	}
	w.Reset(nil)
	wideReaders.Put(w.Reader)
	w.Reader, w.own = w.own, nil
	w.Reset(&w.from)
}
