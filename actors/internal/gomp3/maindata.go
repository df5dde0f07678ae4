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

import "fmt"

// bandsLong and bandsShort are where the scale factor bands begin, for 44.1, 48 and 32 kHz.
var (
	bandsLong = [3][23]int{
		{0, 4, 8, 12, 16, 20, 24, 30, 36, 44, 52, 62, 74, 90, 110, 134, 162, 196, 238, 288, 342, 418, 576},
		{0, 4, 8, 12, 16, 20, 24, 30, 36, 42, 50, 60, 72, 88, 106, 128, 156, 190, 230, 276, 330, 384, 576},
		{0, 4, 8, 12, 16, 20, 24, 30, 36, 44, 54, 66, 82, 102, 126, 156, 194, 240, 296, 364, 448, 550, 576},
	}
	bandsShort = [3][14]int{
		{0, 4, 8, 12, 16, 22, 30, 40, 52, 66, 84, 106, 136, 192},
		{0, 4, 8, 12, 16, 22, 28, 38, 50, 64, 80, 100, 126, 192},
		{0, 4, 8, 12, 16, 22, 30, 42, 58, 78, 104, 138, 180, 192},
	}
)

// scalefacSizes are the bits of a scale factor in the lower and in the higher bands.
var scalefacSizes = [16][2]int{
	{0, 0},
	{0, 1},
	{0, 2},
	{0, 3},
	{3, 0},
	{1, 1},
	{1, 2},
	{1, 3},
	{2, 1},
	{2, 2},
	{2, 3},
	{3, 1},
	{3, 2},
	{3, 3},
	{4, 2},
	{4, 3},
}

// scfsiBands are the long bands that one bit of scfsi stands for.
var scfsiBands = [5]int{0, 6, 11, 16, 21}

// readMain reads scale factors and lines into d.granules.
func (d *Decoder) readMain(m *bits, info side, h header) error {
	for gr := range d.granules {
		for ch := range h.channels {
			g := &d.granules[gr][ch]
			end := m.pos + g.part23Length
			g.readScalefactors(m)
			if !g.short() {
				g.readLongScalefactors(m, gr, &d.granules[0][ch], info.scfsi[ch])
			}
			if err := g.readLines(m, end, h); err != nil {
				return err
			}
			m.pos = end
		}
	}
	return nil
}

// readScalefactors reads those of short blocks, and of the long ones below them.
func (g *granule) readScalefactors(m *bits) {
	if !g.short() {
		return
	}
	sizes, first := scalefacSizes[g.scalefacCompress], 0
	if g.mixed {
		first = 3
		for sfb := range 8 {
			g.scalefacL[sfb] = m.bits(sizes[0])
		}
	}
	for sfb := first; sfb < 12; sfb++ {
		size := sizes[1]
		if sfb < 6 {
			size = sizes[0]
		}
		for win := range 3 {
			g.scalefacS[sfb][win] = m.bits(size)
		}
	}
}

// readLongScalefactors reads those of long blocks; a second granule may have some from the first.
func (g *granule) readLongScalefactors(m *bits, gr int, first *granule, scfsi [4]int) {
	sizes := scalefacSizes[g.scalefacCompress]
	for i := range scfsi {
		from, to := scfsiBands[i], scfsiBands[i+1]
		if gr == 1 && scfsi[i] == 1 {
			copy(g.scalefacL[from:to], first.scalefacL[from:to])
			continue
		}
		for sfb := from; sfb < to; sfb++ {
			g.scalefacL[sfb] = m.bits(sizes[i/2])
		}
	}
}

// readLines reads the Huffman words up to the bit `end`.
func (g *granule) readLines(m *bits, end int, h header) error {
	if g.part23Length == 0 {
		return nil
	}
	region1, region2 := 36, samplesPerGranule
	if !g.short() {
		long := &bandsLong[h.rate]
		region1, region2 = long[g.region0+1], long[min(g.region0+g.region1+2, len(long)-1)]
	}
	if 2*g.bigValues > samplesPerGranule {
		return fmt.Errorf("%d lines of big values: %w", 2*g.bigValues, ErrFrame)
	}
	at := 0
	for ; at < 2*g.bigValues; at += 2 {
		table := g.tables[2]
		switch {
		case at < region1:
			table = g.tables[0]
		case at < region2:
			table = g.tables[1]
		}
		x, y, _, _, err := decodeWord(m, table)
		if err != nil {
			return err
		}
		g.lines[at], g.lines[at+1] = float32(x), float32(y)
	}
	for at <= samplesPerGranule-4 && m.pos < end {
		x, y, v, w, err := decodeWord(m, 32+g.count1TableSelect)
		if err != nil {
			return err
		}
		g.lines[at], g.lines[at+1], g.lines[at+2], g.lines[at+3] = float32(v), float32(w), float32(x), float32(y)
		at += 4
	}
	if m.pos > end && at > 0 { // the last word is beyond this granule's end
		at -= 4
	}
	g.count1 = max(0, at)
	clear(g.lines[g.count1:])
	return nil
}
