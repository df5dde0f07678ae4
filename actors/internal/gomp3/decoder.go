// Copyright 2017 Hajime Hoshi
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
//     http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.

package gomp3

import (
	"errors"
	"fmt"
)

const (
	samplesPerGranule = 576
	bytesPerSample    = 4 // 16 bits of the left, 16 of the right
	// FrameSound is how many bytes of sound a frame has.
	FrameSound = 2 * samplesPerGranule * bytesPerSample
	// maxReservoir is how far back a frame's data may begin: as far as nine bits can say.
	maxReservoir = 511
)

// ErrFrame marks a frame that cannot be decoded. The next frame still uses what was decoded before.
var ErrFrame = errors.New("broken mp3 frame")

// Decoder decodes the frames of one song in their order. It belongs to one goroutine; its zero value is ready.
type Decoder struct {
	reservoir []byte // the end of the main data so far
	channels  [2]channel
	mono      bool          // the last frame was
	granules  [2][2]granule // of this frame, in each channel
	reordered [samplesPerGranule]float32
}

// channel is what one granule of a channel leaves for the next.
type channel struct {
	overlap [32][18]float32
	v       [1024]float32
}

// Decode writes FrameSound bytes to out: 16-bit little-endian samples, left and right. frame is one frame of MPEG-1
// layer III, all of it and nothing else. If the earlier frames that hold its main data are missing, the frame is silent.
func (d *Decoder) Decode(frame, out []byte) error {
	h, err := readHeader(frame)
	if err != nil {
		return err
	}
	d.granules = [2][2]granule{}
	side := d.readSide(&bits{vec: frame[h.side:]}, h)
	begin := len(d.reservoir) - side.mainDataBegin
	d.reservoir = append(d.reservoir, frame[h.side+h.sideSize():]...)
	if begin >= 0 {
		err = d.readMain(&bits{vec: d.reservoir[begin:]}, side, h)
	}
	d.reservoir = append(d.reservoir[:0], d.reservoir[max(0, len(d.reservoir)-maxReservoir):]...)
	if err != nil {
		return err
	}
	if d.mono && h.channels == 2 {
		d.channels[1] = d.channels[0]
	}
	d.mono = h.channels == 1
	for gr := range d.granules {
		d.synthesize(gr, h, out[gr*FrameSound/2:])
	}
	return nil
}

// synthesize turns a granule's numbers into sound.
func (d *Decoder) synthesize(gr int, h header, out []byte) {
	parts := d.granules[gr][:h.channels]
	for ch := range parts {
		parts[ch].requantize(h)
	}
	if h.channels == 2 {
		stereo(&parts[0], &parts[1], h)
	}
	for ch := range parts {
		part, channel := &parts[ch], &d.channels[ch]
		part.reorder(h, &d.reordered)
		part.antialias()
		channel.hybrid(part)
		part.invertFrequencies()
		channel.synthesize(&part.lines, out[2*ch:], h.channels == 1)
	}
}

// header is what decoding needs of the first four bytes.
type header struct {
	rate               int // index of the sample rate
	channels           int
	midSide, intensity bool
	side               int // where the side information begins
}

func readHeader(b []byte) (header, error) {
	if len(b) < 4 || b[0] != 0xFF || b[1]&0xFE != 0xFA || b[2]>>2&3 == 3 {
		return header{}, fmt.Errorf("no header of MPEG-1 layer III: %w", ErrFrame)
	}
	joint := b[3]>>6 == 1
	h := header{rate: int(b[2] >> 2 & 3), channels: 2, side: 4, midSide: joint && b[3]&0x20 != 0, intensity: joint && b[3]&0x10 != 0}
	if b[3]>>6 == 3 {
		h.channels = 1
	}
	if b[1]&1 == 0 {
		h.side += 2 // a CRC, which is not checked
	}
	if len(b) < h.side+h.sideSize() {
		return header{}, fmt.Errorf("%d bytes: %w", len(b), ErrFrame)
	}
	return h, nil
}

func (h header) sideSize() int {
	if h.channels == 1 {
		return 17
	}
	return 32
}
