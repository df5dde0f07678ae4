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

var (
	powers43 [8207]float64 // of a line's number: 15 and thirteen more bits
	pretab   = [22]float64{11: 1, 1, 1, 1, 2, 2, 3, 3, 3, 2, 0}
)

func init() {
	for i := range powers43 {
		powers43[i] = math.Pow(float64(i), 4.0/3.0)
	}
}

// band is a scale factor band, in short blocks of one window, in the order of the main data.
type band struct {
	from, to int
	sfb      int
	window   int // long: -1
}

const long = -1

// bands calls yield for each band, the lowest first.
func (g *granule) bands(h header) func(yield func(band) bool) {
	return func(yield func(band) bool) {
		lengths, first := 22, 0
		if g.short() {
			if lengths = 0; g.mixed {
				lengths, first = 8, 3
			}
		}
		for sfb := range lengths {
			if !yield(band{bandsLong[h.rate][sfb], bandsLong[h.rate][sfb+1], sfb, long}) {
				return
			}
		}
		if !g.short() {
			return
		}
		for sfb := first; sfb < 13; sfb++ {
			from, width := 3*bandsShort[h.rate][sfb], bandsShort[h.rate][sfb+1]-bandsShort[h.rate][sfb]
			for window := range 3 {
				if !yield(band{from + window*width, from + (window+1)*width, sfb, window}) {
					return
				}
			}
		}
	}
}

// gain is what the lines of a band are multiplied with.
func (g *granule) gain(b band) float64 {
	scale := 0.5
	if g.scalefacScale != 0 {
		scale = 1.0
	}
	if b.window == long {
		return math.Pow(2.0, -(scale*(float64(g.scalefacL[b.sfb])+float64(g.preflag)*pretab[b.sfb]))+
			0.25*(float64(g.globalGain)-210))
	}
	return math.Pow(2.0, -(scale*float64(g.scalefacS[b.sfb][b.window]))+
		0.25*(float64(g.globalGain)-210.0-8.0*float64(g.subblockGain[b.window])))
}

// requantize turns the numbers of the lines into their values.
func (g *granule) requantize(h header) {
	for b := range g.bands(h) {
		if b.from >= g.count1 {
			return
		}
		gain := g.gain(b)
		for i, n := range g.lines[b.from:b.to] {
			if n < 0 {
				g.lines[b.from+i] = float32(gain * -powers43[int(-n)])
			} else {
				g.lines[b.from+i] = float32(gain * powers43[int(n)])
			}
		}
	}
}

// reorder puts the three windows' lines of one frequency next to each other. Until then the lines stand as in the
// main data, a window after the other in each band.
func (g *granule) reorder(h header, space *[samplesPerGranule]float32) {
	if !g.short() {
		return
	}
	*space = g.lines
	for b := range g.bands(h) {
		if b.window == long {
			continue
		}
		width := b.to - b.from
		first := b.from - b.window*width
		for i, line := range space[b.from:b.to] {
			g.lines[first+3*i+b.window] = line
		}
	}
}

var (
	cs = [8]float32{0.857493, 0.881742, 0.949629, 0.983315, 0.995518, 0.999161, 0.999899, 0.999993}
	ca = [8]float32{-0.514496, -0.471732, -0.313377, -0.181913, -0.094574, -0.040966, -0.014199, -0.003700}
)

// antialias removes what neighbouring subbands of long blocks have of each other.
func (g *granule) antialias() {
	subbands := 32
	if g.short() {
		if subbands = 1; g.mixed {
			subbands = 2
		}
	}
	for sb := 1; sb < subbands; sb++ {
		for i := range 8 {
			lower, upper := &g.lines[18*sb-1-i], &g.lines[18*sb+i]
			*lower, *upper = *lower*cs[i]-*upper*ca[i], *upper*cs[i]+*lower*ca[i]
		}
	}
}

// hybrid turns the lines of each subband into its samples.
func (c *channel) hybrid(g *granule) {
	for sb := range 32 {
		blockType := g.blockType
		if g.switched && g.mixed && sb < 2 {
			blockType = 0
		}
		lines := (*[18]float32)(g.lines[18*sb:])
		windowed := window(lines, blockType)
		for i := range 18 {
			lines[i] = windowed[i] + c.overlap[sb][i]
			c.overlap[sb][i] = windowed[i+18]
		}
	}
}

// invertFrequencies turns every second sample of every second subband around.
func (g *granule) invertFrequencies() {
	for sb := 1; sb < 32; sb += 2 {
		for i := 1; i < 18; i += 2 {
			g.lines[sb*18+i] = -g.lines[sb*18+i]
		}
	}
}
