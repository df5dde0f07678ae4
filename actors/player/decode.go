package player

import (
	"encoding/binary"
	"errors"
	"fmt"

	"conga/actors/internal/gomp3"
	"conga/messages"
)

const (
	samples = messages.SamplesPerFrame
	// maxStrayUs is how far from now a chunk may be due. Beyond that its time must be wrong, and
	// waiting for it could mean hours of silence.
	maxStrayUs = 60_000_000
)

var (
	errPanicked    = errors.New("decoder panicked")
	errImplausible = errors.New("implausible chunk")
)

// frameDecoder decodes the frames of a song in their order, each to gomp3.FrameSound bytes.
type frameDecoder interface {
	Decode(frame, sound []byte) error
}

// newDecoder makes a decoder; it is goMP3, except in tests.
type newDecoder func() frameDecoder

func goMP3() frameDecoder { return &gomp3.Decoder{} }

// chunk is decoded sound, due as a whole.
type chunk struct {
	item   *messages.Item
	due    int64 // µs on the server's clock
	rate   int
	pcm    []int16 // left and right interleaved
	played int     // frames of pcm that are done
	placed bool    // it, or the rest of it if it came late, was put at its time
}

func (c *chunk) left() int { return len(c.pcm)/2 - c.played }

// at returns when the next frame of the chunk is due.
func (c *chunk) at() moment { return moment{c.due, int64(c.played), int64(c.rate)} }

// over is when its last frame has been heard, in µs on the server's clock.
func (c *chunk) over() int64 { return moment{c.due, int64(len(c.pcm) / 2), int64(c.rate)}.us() }

// decoder turns items into chunks. It belongs to one goroutine.
type decoder struct {
	make    newDecoder
	samples func(*messages.Item) []int16 // nil: chunks are mp3
	levels  bool                         // songs are heard about equally loud
	song    *messages.SongChange
	next    uint64 // the number that continues what was decoded; 0: nothing was

	mp3 frameDecoder // nil: the next frame gets a new decoder
	buf [gomp3.FrameSound]byte
}

// decode returns the item's sound, nil for a song change, and the first error in it. Frames that cannot be
// decoded become silence of the same length, so that there is a chunk even with an error, unless the whole
// item is implausible. now is the server's clock.
func (d *decoder) decode(item *messages.Item, now int64) (*chunk, error) {
	song := item.Song
	if !timed(item) {
		return nil, fmt.Errorf("item %d has no time: %w", item.Number, errImplausible)
	}
	if strays(item, now) {
		return nil, fmt.Errorf("item %d is due %d s from now: %w", item.Number, (item.PlayAt()-now)/1e6, errImplausible)
	}
	if d.song == nil || d.song.GetNumber() != song.GetNumber() || item.Number != d.next {
		d.mp3 = nil // a new decoder for each song, and after each gap
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
			d.mp3 = nil
			failed = errors.Join(failed, err)
			break
		}
		rest = rest[len(f):]
		if err := d.frame(f); err != nil {
			failed = errors.Join(failed, err)
		}
		for i := 0; i < len(d.buf); i += 2 {
			c.pcm = append(c.pcm, int16(binary.LittleEndian.Uint16(d.buf[i:])))
		}
	}
	c.pcm = c.pcm[:cap(c.pcm)] // cleared by make: silence
	if d.levels {
		scale(c.pcm, level(song))
	}
	if failed != nil {
		failed = fmt.Errorf("item %d: %w", item.Number, failed)
	}
	return c, failed
}

// timed reports whether the item has a play-out time.
func timed(item *messages.Item) bool {
	return item.Song != nil && kernels[int(item.Song.GetSampleRate())] != nil && item.FirstFrame >= 0
}

// strays reports whether the item's play-out time is implausible.
func strays(item *messages.Item, now int64) bool {
	due := item.PlayAt()
	return due < now-maxStrayUs || due > now+maxStrayUs
}

// expectedFrames returns how many frames the chunk has according to its song; at most 16.
func expectedFrames(item *messages.Item) int {
	n := max(1, min(16, int64(item.Song.GetFramesPerChunk())))
	if left := item.Song.GetFrames() - item.FirstFrame; left > 0 {
		n = min(n, left)
	}
	return int(n)
}

// frame decodes one frame into buf, which is silent after an error.
//
// After a gap, frames are silent until one has all the data that it needs from earlier frames (mp3's bit
// reservoir).
func (d *decoder) frame(f []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanicked, p)
		}
		if err != nil {
			clear(d.buf[:])
			d.mp3 = nil
		}
	}()
	if d.mp3 == nil {
		d.mp3 = d.make()
	}
	if err := d.mp3.Decode(f, d.buf[:]); err != nil {
		return fmt.Errorf("decode a frame: %w", err)
	}
	return nil
}
