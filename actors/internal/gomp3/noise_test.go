package gomp3

import "math/rand/v2"

// No free encoder makes intensity stereo, mixed blocks, or short blocks whose windows end at different lines. These
// frames are made by hand: every line is -1, 0 or 1 before it is scaled.

// writer writes a bit stream.
type writer struct {
	b []byte
	n int
}

func (w *writer) put(value, size int) {
	for i := size - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(value>>i&1) << (7 - w.n%8)
		w.n++
	}
}

// block says how the lines of a granule are windowed.
type block struct {
	kind  int // block_type: 0 long, 1 before short ones, 2 short, 3 after them
	mixed bool
}

var blocks = []block{{kind: 0}, {kind: 1}, {kind: 2}, {kind: 2, mixed: true}, {kind: 3}}

// What the header's mode extension says, in joint stereo.
const (
	plainStereo   = 0
	onlyIntensity = 1
	onlyMidSide   = 2
	bothOfThem    = 3
)

// noise is a frame of 192 kbit/s. The right channel's lines end at another place in each window; from there on its
// scale factors are positions, if the extension says so, and so are the other extension's silent bands.
func noise(r *rand.Rand, rate, extension int, b block) []byte {
	h := header{rate: rate}
	var side, data writer
	side.put(0, 9+3+8) // no reservoir, nothing private, no scale factors of the granule before
	for range 2 {
		for channel := range 2 {
			from := data.n
			part := granule{switched: b.kind != 0, blockType: b.kind, mixed: b.mixed}
			var bands []band
			for band := range part.bands(h) {
				bands = append(bands, band)
			}
			ends := func(i int) bool { // the right channel's lines end below band i
				return channel == 1 && i >= len(bands)/3+3*max(0, bands[i].window)
			}
			for i, band := range bands {
				if size := factorSize(band); size > 0 {
					factor := r.IntN(4)
					if ends(i) {
						factor = r.IntN(noPosition + 1)
					}
					data.put(factor, size)
				}
			}
			var lines []int
			for i, band := range bands {
				for range band.to - band.from {
					if ends(i) {
						lines = append(lines, 0)
					} else {
						lines = append(lines, r.IntN(3)-1)
					}
				}
			}
			putLines(&data, lines)
			side.put(data.n-from, 12)
			side.put(0, 9)   // no big values
			side.put(184, 8) // global_gain
			side.put(15, 4)  // scalefac_compress: factorSize
			if b.kind == 0 {
				side.put(0, 1+15+4+3) // no tables and regions of big values
			} else {
				side.put(1, 1)
				side.put(b.kind, 2)
				side.put(map[bool]int{true: 1}[b.mixed], 1)
				side.put(0, 10)
				for range 3 {
					side.put(r.IntN(2), 3) // subblock_gain
				}
			}
			side.put(r.IntN(2), 1) // preflag
			side.put(0, 1)         // scalefac_scale
			side.put(1, 1)         // count1table_select: what putLines writes
		}
	}
	joint := byte(0)
	if extension != plainStereo {
		joint = 1
	}
	frame := append([]byte{0xFF, 0xFB, 0xB0 | byte(rate)<<2, joint<<6 | byte(extension)<<4}, side.b...)
	frame = append(frame, data.b...)
	size := 144 * 192000 / []int{44100, 48000, 32000}[rate]
	return append(frame, make([]byte, size-len(frame))...) // panics if there is too much in it
}

// factorSize is a scale factor's bits with scalefac_compress 15. The highest band has none.
func factorSize(b band) int {
	switch {
	case b.window == long && b.sfb == 21, b.window != long && b.sfb == 12:
		return 0
	case b.window == long && b.sfb < 11, b.window != long && b.sfb < 6:
		return 4
	}
	return 3
}

// putLines writes lines in fours: each has a bit that is 0 where a line is not, then their signs.
func putLines(w *writer, lines []int) {
	for i := 0; i < len(lines); i += 4 {
		code, signs, n := 15, 0, 0
		for j, line := range lines[i : i+4] {
			if line != 0 {
				code &^= 8 >> j
				signs, n = signs<<1|(1-line)/2, n+1
			}
		}
		w.put(code, 4)
		w.put(signs, n)
	}
}

// noisyFrames has all kinds of stereo in all kinds of blocks.
func noisyFrames(rate int) [][]byte {
	r := rand.New(rand.NewPCG(12, uint64(rate)))
	var frames [][]byte
	for _, extension := range []int{plainStereo, onlyMidSide, onlyIntensity, bothOfThem, onlyMidSide, bothOfThem} {
		for _, b := range blocks {
			frames = append(frames, noise(r, rate, extension, b))
		}
	}
	return frames
}
