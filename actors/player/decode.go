package player

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	gomp3 "github.com/hajimehoshi/go-mp3"

	"conga/messages"
)

const (
	samples      = messages.SamplesPerFrame
	maxReservoir = 511 // bytes that nine bits can borrow
	// maxStrayUs is how far from now a chunk may be due: beyond it, its time is a lie, and
	// filling up to it would be hours of silence.
	maxStrayUs = 60_000_000
)

var (
	errPanicked    = errors.New("decoder panicked")
	errImplausible = errors.New("implausible chunk")
)

// newDecoder makes a decoder that reads frames from r; gomp3's, but for tests.
type newDecoder func(r io.Reader) (io.Reader, error)

// goMP3 hides all but Read of r, or it would be scanned for its length.
func goMP3(r io.Reader) (io.Reader, error) {
	return gomp3.NewDecoder(struct{ io.Reader }{r})
}

// chunk is decoded sound, due as a whole.
type chunk struct {
	item   *messages.Item
	due    int64 // µs on the server's clock
	rate   int
	pcm    []int16 // left and right interleaved
	played int     // frames of pcm that are done
	placed bool    // its beginning, or what was left of it, has met its time
}

func (c *chunk) left() int { return len(c.pcm)/2 - c.played }

// at is when the next frame of the chunk is due.
func (c *chunk) at() moment { return moment{c.due, int64(c.played), int64(c.rate)} }

// decoder turns items into chunks. It belongs to one goroutine.
type decoder struct {
	make    newDecoder
	samples func(*messages.Item) []int16 // nil: chunks are mp3
	song    *messages.SongChange
	next    uint64 // the number that continues what is decoded; 0: nothing is

	mp3       io.Reader // nil: the next frame begins anew
	feed      bytes.Reader
	reservoir int // bytes of main data that mp3 holds for later frames
	buf       [samples * bytesPerFrame]byte
}

// decode returns the item's sound, nil for a song change, and the first error in it. What cannot be
// decoded is silence of the same length, so a chunk with an error is a chunk all
// the same, unless it is implausible altogether. now is the server's clock.
func (d *decoder) decode(item *messages.Item, now int64) (*chunk, error) {
	song := item.Song
	if !timed(item) {
		return nil, fmt.Errorf("item %d has no time: %w", item.Number, errImplausible)
	}
	if strays(item, now) {
		return nil, fmt.Errorf("item %d is due %d s from now: %w", item.Number, (item.PlayAt()-now)/1e6, errImplausible)
	}
	if d.song == nil || d.song.GetNumber() != song.GetNumber() || item.Number != d.next {
		d.mp3, d.reservoir = nil, 0 // one decoder a song, and a fresh one after each gap
	}
	d.song, d.next = song, item.Number+1
	if item.Change != nil {
		return nil, nil
	}
	c := &chunk{item: item, due: item.PlayAt(), rate: int(song.GetSampleRate())}
	if d.samples != nil {
		c.pcm = d.samples(item)
		return c, nil
	}
	want := expectedFrames(item)
	c.pcm = make([]int16, 0, want*samples*2)
	var failed error
	rest := item.Frames
	for n := 0; n < want && len(rest) > 0; n++ {
		f, err := firstFrame(rest, c.rate)
		if err != nil { // where the next frame begins is unknown
			d.mp3, d.reservoir = nil, 0
			failed = errors.Join(failed, err)
			break
		}
		rest = rest[len(f.bytes):]
		if err := d.frame(f); err != nil {
			failed = errors.Join(failed, err)
		}
		for i := 0; i < len(d.buf); i += 2 {
			c.pcm = append(c.pcm, int16(binary.LittleEndian.Uint16(d.buf[i:])))
		}
	}
	c.pcm = c.pcm[:cap(c.pcm)] // cleared by make: silence
	if failed != nil {
		failed = fmt.Errorf("item %d: %w", item.Number, failed)
	}
	return c, failed
}

// timed reports whether the item has a play-out time.
func timed(item *messages.Item) bool {
	return item.Song != nil && kernels[int(item.Song.GetSampleRate())] != nil && item.FirstFrame >= 0
}

// strays reports whether the item is due at a time that cannot be true.
func strays(item *messages.Item, now int64) bool {
	due := item.PlayAt()
	return due < now-maxStrayUs || due > now+maxStrayUs
}

// expectedFrames is how many frames the chunk has, as its song says; at most 16.
func expectedFrames(item *messages.Item) int {
	n := max(1, min(16, int64(item.Song.GetFramesPerChunk())))
	if left := item.Song.GetFrames() - item.FirstFrame; left > 0 {
		n = min(n, left)
	}
	return int(n)
}

// frame decodes one frame into buf, which is silent after an error.
//
// A frame whose bit reservoir is missing, as after a gap, would be loud noise: it is
// given to the decoder silenced, so that it keeps the main data for the frames
// that follow; the first frame that has all it needs is heard.
func (d *decoder) frame(f frame) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanicked, p)
		}
		if err != nil {
			clear(d.buf[:])
			d.mp3, d.reservoir = nil, 0
		}
	}()
	b, borrowed := f.bytes, f.borrowed
	if borrowed > d.reservoir {
		borrowed = min(d.reservoir, maxReservoir)
		b = f.silenced(borrowed)
	}
	d.feed.Reset(b) // whatever the decoder left of the frame before is gone
	if d.mp3 == nil {
		if d.mp3, err = d.make(&d.feed); err != nil {
			return fmt.Errorf("begin to decode: %w", err)
		}
	}
	d.reservoir = borrowed + len(f.bytes) - f.main
	if _, err = io.ReadFull(d.mp3, d.buf[:]); err != nil {
		return fmt.Errorf("decode a frame: %w", err)
	}
	return nil
}
