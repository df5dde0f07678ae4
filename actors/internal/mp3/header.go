package mp3

import (
	"errors"
	"fmt"
	"time"

	"conga/messages"
)

const (
	// MaxFrame is the longest frame there is: 320 kbit/s at 32 kHz, padded.
	MaxFrame = 1441
	// MaxChunk is how many frames a chunk from a peer may have; it bounds what one
	// message can make a decoder do.
	MaxChunk = 16
	// headerSize is what ParseHeader needs.
	headerSize = 4
)

// ErrFormat marks bytes that are no MPEG-1 layer III, the only music conga plays.
var ErrFormat = errors.New("not MPEG-1 layer III")

// LowRateError is the ErrFormat of an mp3 of MPEG-2 or 2.5, at this many hertz.
type LowRateError int

func (e LowRateError) Error() string { return fmt.Sprintf("%d Hz: %v", int(e), ErrFormat) }

// Is makes it an ErrFormat.
func (LowRateError) Is(target error) bool { return target == ErrFormat }

// Header is what the first four bytes of a frame say. Its zero value is no header.
type Header struct {
	Size       int // bytes of the whole frame, header included, at most MaxFrame
	SampleRate int // hertz: 32000, 44100 or 48000
	Bitrate    int // bits a second: 32000 to 320000
	Channels   int // 1 or 2

	protected bool // says that two CRC bytes follow, which some encoders then forget
}

// Duration is how long the frame sounds, rounded down to nanoseconds. For many
// frames take messages.FrameOffset, which does not add up the rounding.
func (h Header) Duration() time.Duration {
	return messages.FrameOffset(1, int32(h.SampleRate))
}

var (
	bitrates = [16]int{1: 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320} // kbit/s
	rates    = [4]int{44100, 48000, 32000}
)

// ParseHeader reads the header that b begins with; b may be longer. Every error is
// an ErrFormat and says what b is instead, as far as can be told.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < headerSize {
		return Header{}, fmt.Errorf("%d bytes are no frame header: %w", len(b), ErrFormat)
	}
	if b[0] != 0xFF || b[1]&0xE0 != 0xE0 {
		return Header{}, fmt.Errorf("no frame begins with %x: %w", b[:headerSize], ErrFormat)
	}
	if version := b[1] >> 3 & 3; version != 3 {
		reason := ErrFormat
		if rate := rates[b[2]>>2&3] / [3]int{4, 1, 2}[version]; rate > 0 && version != 1 && b[1]>>1&3 == 1 {
			reason = LowRateError(rate)
		}
		return Header{}, fmt.Errorf("MPEG-%s: %w", [3]string{"2.5", "reserved", "2"}[version], reason)
	}
	if layer := b[1] >> 1 & 3; layer != 1 {
		return Header{}, fmt.Errorf("layer %s: %w", [4]string{"reserved", "", "II", "I"}[layer], ErrFormat)
	}
	index := b[2] >> 4
	if index == 0 {
		return Header{}, fmt.Errorf("free format, whose frames have no stated size: %w", ErrFormat)
	}
	h := Header{
		Bitrate:    bitrates[index] * 1000,
		SampleRate: rates[b[2]>>2&3],
		Channels:   2,
		protected:  b[1]&1 == 0,
	}
	if h.Bitrate == 0 || h.SampleRate == 0 || b[3]&3 == 2 {
		return Header{}, fmt.Errorf("reserved bitrate, sample rate or emphasis in %x: %w", b[:headerSize], ErrFormat)
	}
	if b[3]>>6 == 3 {
		h.Channels = 1
	}
	h.Size = messages.SamplesPerFrame/8*h.Bitrate/h.SampleRate + int(b[2]>>1&1)
	return h, nil
}

// Frame is one whole frame, header included.
type Frame []byte

// CheckChunk returns how many frames there are in what a peer sent as music. b must consist of 1 to
// MaxChunk whole frames of one sample rate and nothing else; every error is an ErrFormat that names
// the byte. b is neither kept nor changed.
//
// Only the headers are checked: a decoder may still fail on what lies between them.
func CheckChunk(b []byte) (frames int, err error) {
	rate := 0
	for at := 0; at == 0 || at < len(b); frames++ {
		h, err := ParseHeader(b[at:])
		switch {
		case err != nil:
			return 0, fmt.Errorf("byte %d: %w", at, err)
		case frames == MaxChunk:
			return 0, fmt.Errorf("byte %d: more than %d frames in a chunk: %w", at, MaxChunk, ErrFormat)
		case rate != 0 && h.SampleRate != rate:
			return 0, fmt.Errorf("byte %d: sample rate turns from %d to %d: %w", at, rate, h.SampleRate, ErrFormat)
		case len(b)-at < h.Size:
			return 0, fmt.Errorf("byte %d: %d of a frame's %d bytes: %w", at, len(b)-at, h.Size, ErrFormat)
		}
		rate = h.SampleRate
		at += h.Size
	}
	return frames, nil
}
