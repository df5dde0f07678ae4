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

import "math"

// noPosition is the first scale factor that does not name a position.
const noPosition = 7

// shares says for each position how much of a line the left and the right side get.
var shares [noPosition][2]float32

func init() {
	for pos := range shares {
		ratio := math.Tan(float64(pos) * math.Pi / 12)
		shares[pos] = [2]float32{float32(ratio / (1 + ratio)), float32(1 / (1 + ratio))}
	}
	shares[noPosition-1] = [2]float32{1, 0} // the ratio is infinite
}

// stereo turns the two channels into left and right. The lines are in the order of the main data.
func stereo(left, right *granule, h header) {
	switch {
	case h.intensity:
		intensity(left, right, h)
	case h.midSide:
		midSide(left.lines[:], right.lines[:])
	}
}

func midSide(left, right []float32) {
	const invSqrt2 = math.Sqrt2 / 2
	for i, mid := range left {
		side := right[i]
		left[i], right[i] = (mid+side)*invSqrt2, (mid-side)*invSqrt2
	}
}

// intensity divides the left channel's lines between the sides, from where the right channel's own lines end (in short
// blocks, where those of each window end). There the right channel's scale factors are positions. The highest
// band takes the position of the band below.
func intensity(left, right *granule, h header) {
	var bands [39]band
	n := 0
	for b := range right.bands(h) {
		bands[n] = b
		n++
	}
	var own [3]bool // the right channel has lines of its own in the window, here or above
	for n--; n >= 0; n-- {
		b := bands[n]
		l, r := left.lines[b.from:b.to], right.lines[b.from:b.to]
		window := max(0, b.window)
		if b.window == long { // below short blocks, any of their windows counts
			own[0] = own[0] || own[1] || own[2]
		}
		own[window] = own[window] || sounds(r)
		position := noPosition
		if !own[window] {
			position = right.position(b)
		}
		switch {
		case position < noPosition:
			for i, line := range l {
				l[i], r[i] = line*shares[position][0], line*shares[position][1]
			}
		case h.midSide:
			midSide(l, r)
		}
	}
}

// position is where the sound of a band comes from: 0 is right, 6 is left.
func (g *granule) position(b band) int {
	if b.window == long {
		return g.scalefacL[min(b.sfb, 20)]
	}
	return g.scalefacS[min(b.sfb, 11)][b.window]
}

func sounds(lines []float32) bool {
	for _, line := range lines {
		if line != 0 {
			return true
		}
	}
	return false
}
