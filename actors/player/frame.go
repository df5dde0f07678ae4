package player

import (
	"errors"
	"fmt"

	"conga/actors/internal/mp3"
)

// errFrame marks bytes that are not a frame of the song.
var errFrame = errors.New("no mp3 frame of the song")

// firstFrame returns the frame that b begins with, after checking its header, the sample rate, and that it is
// complete.
func firstFrame(b []byte, sampleRate int) ([]byte, error) {
	h, err := mp3.ParseHeader(b)
	switch {
	case err != nil:
		return nil, errors.Join(errFrame, err)
	case h.SampleRate != sampleRate:
		return nil, fmt.Errorf("sample rate %d in a song of %d: %w", h.SampleRate, sampleRate, errFrame)
	case h.Size > len(b):
		return nil, fmt.Errorf("%d bytes of a frame of %d: %w", len(b), h.Size, errFrame)
	}
	return b[:h.Size], nil
}
