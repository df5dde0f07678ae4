// Package mp3 splits songs into the frames that travel: whole MPEG-1 layer III
// frames, unchanged, without tags and without the encoder's Xing/Info/VBRI frame.
//
// It trusts nothing. Neither a file nor a peer can make it allocate more than its
// buffer of 32 KiB, panic, or search without end. Tags are skipped wherever they
// stand, so that a picture inside one is never taken for music. After garbage, and
// at the start, a frame counts only if a second frame that fits follows it. Version,
// layer and sample rate stay the same in a song.
//
// A Reader belongs to one goroutine.
package mp3

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"conga/messages"
)

const (
	bufferSize = 32 << 10
	// maxGarbage is how far a Reader searches for the next frame. Covers and lyrics in foreign
	// tags have some MB, holes of a download more. It bounds the search in files that are
	// no music at all; music that was found before it still counts.
	maxGarbage = 16 << 20
)

// Reader reads the frames of one song.
type Reader struct {
	buf    *bufio.Reader
	offset int64 // of buf's next byte in the stream

	song   Header // the first frame; zero before it is found
	locked bool   // a frame ends just here, so the next header needs no second
	given  int    // bytes of the frame given out last, still in buf
	err    error  // the end, once it is reached

	frames   int64
	skipped  int64 // bytes that were neither music nor tags
	pieces   int64 // stretches of frames that follow each other
	promised int64 // frames, by the encoder's table; 0: it says nothing
	gain     float64
	peak     float64
	cut      bool // the beginning of another frame follows the last one
}

// NewReader returns a Reader of the song that src holds.
func NewReader(src io.Reader) *Reader {
	return &Reader{buf: bufio.NewReaderSize(src, bufferSize)}
}

// Next returns the next frame. The frame is valid only until the next call of a
// method of r; to keep it, copy it.
//
// After the last whole frame it returns io.EOF. It drops the rest of a frame that was cut off, and
// everything after more than 16 MiB of garbage in one piece or after a change of the sample
// rate. Every other error names the byte at which it stopped: an ErrFormat for a stream
// without music, or the source's own error. An error is final.
func (r *Reader) Next() (Frame, Header, error) {
	h, err := r.advance()
	if err != nil {
		return nil, Header{}, err
	}
	frame, err := r.buf.Peek(h.Size)
	return frame, h, err
}

// advance goes to the next frame, which is then whole in buf.
func (r *Reader) advance() (Header, error) {
	if r.err == nil {
		r.err = r.discard(r.given)
		r.given = 0
	}
	for r.err == nil {
		var h Header
		if h, r.err = r.find(); r.err != nil {
			break
		}
		first := r.song == Header{}
		if !r.locked {
			r.pieces++
		}
		r.song, r.locked, r.cut = h, true, false
		if frame, _ := r.buf.Peek(h.Size); isInfo(frame, h, first) {
			if first {
				r.promised = promised(frame, h)
				r.gain, r.peak = loudness(frame, h)
			}
			r.err = r.discard(h.Size)
			continue
		}
		r.frames++
		r.given = h.Size
		return h, nil
	}
	return Header{}, r.err
}

// find goes over tags and garbage to the next header that it believes.
func (r *Reader) find() (Header, error) {
	start, garbage := r.offset, 0
	var reason error // why the first bytes outside tags are no music
	for {
		b, err := r.peek(tagHeader)
		if err != nil {
			return Header{}, err
		}
		if len(b) == 0 {
			return Header{}, r.end(reason)
		}
		// The three letters of an ID3v1 are too few to be believed inside garbage.
		if size := tagSize(b); size > 0 && (garbage == 0 || b[0] != 'T') {
			at := r.offset
			err := r.discard(size)
			if errors.Is(err, io.EOF) {
				return Header{}, r.end(fmt.Errorf("the tag at byte %d says %d bytes: %w", at, size, ErrFormat))
			}
			if err != nil {
				return Header{}, err
			}
			r.locked = false
			continue
		}
		h, err := ParseHeader(b)
		if err == nil {
			if ok, err := r.believe(h, garbage == 0); ok || err != nil {
				return h, err
			}
			err = fmt.Errorf("a frame header and no second frame: %w", ErrFormat)
		} else if r.locked && len(b) < headerSize && b[0] == 0xFF {
			r.cut = true
		}
		if reason == nil {
			reason = err
		}
		if garbage == maxGarbage {
			if r.song != (Header{}) {
				return Header{}, io.EOF
			}
			return Header{}, fmt.Errorf("byte %d: no music in %d bytes from here: %w", start, garbage, reason)
		}
		n := min(r.dull(), maxGarbage-garbage)
		if err := r.discard(n); err != nil {
			return Header{}, err
		}
		garbage += n
		r.skipped += int64(n)
		r.locked = false
	}
}

// dull returns how many of the buffered bytes, at least the first, cannot be the
// beginning of a frame or of a tag that counts inside garbage.
func (r *Reader) dull() int {
	b, _ := r.buf.Peek(r.buf.Buffered()) // cannot fail
	for i := 1; i < len(b)-1; i++ {
		if b[i] == 0xFF && b[i+1]&0xFE == 0xFA || b[i] == 'I' && b[i+1] == 'D' || b[i] == 'A' && b[i+1] == 'P' {
			return i
		}
	}
	return max(1, len(b)-1) // the last byte may be the first of two
}

// believe says whether the header h, which buf begins with, is one of the song's
// frames, and the frame whole. near: no garbage lies before it.
func (r *Reader) believe(h Header, near bool) (bool, error) {
	known := r.song != Header{}
	same := !known || h.SampleRate == r.song.SampleRate
	if !same && !near {
		return false, nil
	}
	b, err := r.peek(h.Size + tagHeader)
	switch {
	case err != nil:
		return false, err
	case len(b) < h.Size: // cut off
		r.cut = r.cut || r.locked && same
		return false, nil
	case r.locked && same:
		return true, nil
	}
	rest := b[h.Size:]
	next, err := ParseHeader(rest)
	follows := err == nil && next.SampleRate == h.SampleRate
	if follows && !same { // another song: this one ends here
		return false, io.EOF
	}
	// The last frame before the end or before a tag has no second behind it.
	return same && (follows || known && (len(rest) == 0 || tagSize(rest) > 0)), nil
}

// end is the error at the stream's end. reason says why the bytes before it were no
// music; nil: there were none.
func (r *Reader) end(reason error) error {
	switch {
	case r.song != Header{}:
		return io.EOF
	case r.offset == 0:
		return fmt.Errorf("byte 0: empty: %w", ErrFormat)
	case reason == nil:
		return fmt.Errorf("byte %d: tags and no music: %w", r.offset, ErrFormat)
	}
	return fmt.Errorf("byte %d: no music up to the end: %w", r.offset, reason)
}

// peek returns the next n bytes, fewer at the stream's end.
func (r *Reader) peek(n int) ([]byte, error) {
	b, err := r.buf.Peek(n)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("byte %d: %w", r.offset+int64(len(b)), err)
	}
	return b, nil
}

// discard steps over n bytes; io.EOF if there are fewer.
func (r *Reader) discard(n int) error {
	n, err := r.buf.Discard(n)
	r.offset += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("byte %d: %w", r.offset, err)
	}
	return err
}

// Info is what a whole song adds up to. The Xing/Info/VBRI frame does not count.
type Info struct {
	SampleRate int
	Frames     int64
	AudioBytes int64 // of the frames
	Skipped    int64 // bytes that were neither frames nor tags: garbage, or a frame cut off
	Pieces     int64 // stretches of frames without garbage or tags between them
	Duration   time.Duration
	Unfinished bool  // the file looks as if its end were still to come: see Promised
	Promised   int64 // frames that the encoder's table says there are; 0: it says nothing

	// Gain is how many decibels louder the song should be, according to its encoder, and Peak is its largest sample, 1
	// being full scale; 0: the encoder does not say.
	Gain, Peak float64
}

// few is how many more frames a table may promise than there are: encoders differ in whether they
// count the table itself, and the frames that the encoder's delay fills.
const few = 2

// buffers are reused by ReadInfo, which a large folder calls thousands of times.
var buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferSize) }}

// ReadInfo reads a song to its end. A stream without a single frame is an ErrFormat.
func ReadInfo(src io.Reader) (Info, error) {
	buf := buffers.Get().(*bufio.Reader)
	defer buffers.Put(buf)
	defer buf.Reset(nil) // the next user must not see src's bytes, and the pool must not keep src alive
	buf.Reset(src)
	r := &Reader{buf: buf}
	var info Info
	for {
		h, err := r.advance()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Info{}, err
		}
		info.AudioBytes += int64(h.Size)
		info.SampleRate = h.SampleRate
	}
	if r.frames == 0 {
		return Info{}, fmt.Errorf("byte %d: an encoder's table of contents and no music: %w", r.offset, ErrFormat)
	}
	info.Frames, info.Skipped, info.Pieces, info.Promised = r.frames, r.skipped, r.pieces, r.promised
	info.Gain, info.Peak = r.gain, r.peak
	info.Unfinished = r.promised > r.frames+few || r.promised == 0 && r.cut
	info.Duration = messages.FrameOffset(r.frames, int32(info.SampleRate))
	return info, nil
}
