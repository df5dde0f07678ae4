package player

import (
	"encoding/binary"
	"math"
)

// volume is the listener's volume. It changes gradually over a block, because a step would click.
type volume struct{ now, wanted gain }

// gain is subtracted from a factor of 1, so that the zero value leaves the song as it is.
type gain float64

// apply changes the samples of a block.
func (v *volume) apply(p []byte) {
	if v.now == 0 && v.wanted == 0 {
		return
	}
	frames := len(p) / bytesPerFrame
	for i := range frames {
		factor := 1 - float64(v.now+(v.wanted-v.now)*gain(i)/gain(frames))
		for at := i * bytesPerFrame; at < (i+1)*bytesPerFrame; at += 2 {
			sample := float64(int16(binary.LittleEndian.Uint16(p[at:])))
			binary.LittleEndian.PutUint16(p[at:], uint16(int16(math.Round(sample*factor))))
		}
	}
	v.now = v.wanted
}

// setGain carries out SetGain. It does not change a recording.
func (d *deck) setGain(g float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keeps {
		return
	}
	d.volume.wanted = gain(1 - min(1, max(0, g)))
}

// loudness keeps the levels of the blocks that the output has got, until they are heard.
type loudness struct {
	blocks []loud // oldest first
	now    [2]float64
}

type loud struct {
	frame int64 // that the block begins with
	peaks [2]float64
}

const (
	// maxLoud bounds the blocks if an output is far behind: some 10 s.
	maxLoud = 1024
	// fading is the share of a peak that is left after 10 ms: a meter that only jumps cannot be read.
	fading = 0.93
)

// add measures a block that begins with this frame.
func (l *loudness) add(p []byte, frame int64) {
	b := loud{frame: frame}
	for at := 0; at+1 < len(p); at += 2 {
		side := at / 2 % 2
		sample := math.Abs(float64(int16(binary.LittleEndian.Uint16(p[at:])))) / 32768
		b.peaks[side] = max(b.peaks[side], sample)
	}
	l.blocks = append(l.blocks, b)
	l.blocks = l.blocks[max(0, len(l.blocks)-maxLoud):]
}

// listen moves on to what is heard now.
func (l *loudness) listen(heard func(frame int64) bool) {
	for len(l.blocks) > 0 && heard(l.blocks[0].frame) {
		for side := range l.now {
			l.now[side] = max(l.blocks[0].peaks[side], l.now[side]*fading)
		}
		l.blocks = l.blocks[1:]
	}
}
