package player

import (
	"errors"
	"fmt"

	"conga/actors/internal/mp3"
)

// frame is one validated MPEG-1 layer III frame.
type frame struct {
	bytes    []byte // header, CRC if any, side information, main data
	side     int    // where the side information begins
	main     int    // where the main data begins
	borrowed int    // bytes of main data that lie in the frames before
}

// errFrame marks bytes that are no frame of the song.
var errFrame = errors.New("no mp3 frame of the song")

// firstFrame checks the frame that b begins with: its header, the song's sample rate, and
// that all of it is there. It stands between a stranger's bytes and go-mp3, which
// takes on more than it can decode.
func firstFrame(b []byte, sampleRate int) (frame, error) {
	h, err := mp3.ParseHeader(b)
	switch {
	case err != nil:
		return frame{}, errors.Join(errFrame, err)
	case h.SampleRate != sampleRate:
		return frame{}, fmt.Errorf("sample rate %d in a song of %d: %w", h.SampleRate, sampleRate, errFrame)
	case h.Size > len(b):
		return frame{}, fmt.Errorf("%d bytes of a frame of %d: %w", len(b), h.Size, errFrame)
	}
	side, length := 4, 32
	if b[1]&1 == 0 {
		side += 2 // CRC; go-mp3 believes the header, so do we
	}
	if h.Channels == 1 {
		length = 17
	}
	return frame{
		bytes:    b[:h.Size],
		side:     side,
		main:     side + length,
		borrowed: int(b[side])<<1 | int(b[side+1])>>7,
	}, nil
}

// silenced is the frame without sound: its side information says that nothing is coded,
// its main data stays for the frames after it, together with `keep` bytes before it.
func (f frame) silenced(keep int) []byte {
	b := append([]byte(nil), f.bytes...)
	clear(b[f.side:f.main])
	b[f.side], b[f.side+1] = byte(keep>>1), byte(keep<<7)
	return b
}
