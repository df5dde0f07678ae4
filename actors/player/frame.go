package player

import (
	"errors"
	"fmt"
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

// maxFrameBytes is the longest frame there is: 320 kbit/s at 32 kHz, padded.
const maxFrameBytes = 1441

var bitrates = [15]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}

// firstFrame checks the frame that b begins with: version, layer, bitrate, the song's
// sample rate, and that all of it is there. It stands between a stranger's bytes and
// go-mp3, which takes on more than it can decode.
func firstFrame(b []byte, sampleRate int) (frame, error) {
	if len(b) < 4 {
		return frame{}, fmt.Errorf("%d bytes: %w", len(b), errFrame)
	}
	rate := [4]int{44100, 48000, 32000, 0}[b[2]>>2&3]
	bitrate := b[2] >> 4
	switch {
	case b[0] != 0xff || b[1]&0xfe != 0xfa: // sync, MPEG-1, layer III; the last bit is the CRC's
		return frame{}, fmt.Errorf("no MPEG-1 layer III header: %w", errFrame)
	case bitrate == 0 || bitrate == 15:
		return frame{}, fmt.Errorf("bitrate %d: %w", bitrate, errFrame)
	case rate != sampleRate:
		return frame{}, fmt.Errorf("sample rate %d in a song of %d: %w", rate, sampleRate, errFrame)
	case b[3]&3 == 2:
		return frame{}, fmt.Errorf("reserved emphasis: %w", errFrame)
	}
	size := 144*bitrates[bitrate]*1000/rate + int(b[2]>>1&1)
	if size > len(b) || size > maxFrameBytes {
		return frame{}, fmt.Errorf("%d bytes of a frame of %d: %w", len(b), size, errFrame)
	}
	side, length := 4, 32
	if b[1]&1 == 0 {
		side += 2 // CRC
	}
	if b[3]>>6 == 3 {
		length = 17 // mono
	}
	return frame{
		bytes:    b[:size],
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
