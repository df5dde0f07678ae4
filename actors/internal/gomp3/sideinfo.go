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

// side is what the side information says of the whole frame.
type side struct {
	mainDataBegin int       // bytes of main data that lie in the frames before
	scfsi         [2][4]int // for each channel: which scale factors the second granule has from the first
}

// granule is half a frame in one channel.
type granule struct {
	part23Length      int // bits of scale factors and lines
	bigValues         int
	globalGain        int
	scalefacCompress  int
	switched          bool // another window than the usual one
	blockType         int
	mixed             bool
	tables            [3]int
	subblockGain      [3]int
	region0, region1  int
	preflag           int
	scalefacScale     int
	count1TableSelect int

	scalefacL [22]int
	scalefacS [13][3]int
	lines     [samplesPerGranule]float32
	count1    int // the first line of those that are all zero
}

// short says whether the granule has short blocks, if mixed above the first two subbands.
func (g *granule) short() bool { return g.switched && g.blockType == 2 }

// readSide reads the side information into d.granules.
func (d *Decoder) readSide(s *bits, h header) (info side) {
	info.mainDataBegin = s.bits(9)
	if h.channels == 1 {
		s.bits(5) // private
	} else {
		s.bits(3)
	}
	for ch := range h.channels {
		for band := range info.scfsi[ch] {
			info.scfsi[ch][band] = s.bits(1)
		}
	}
	for gr := range d.granules {
		for ch := range h.channels {
			d.granules[gr][ch].readSide(s)
		}
	}
	return info
}

func (g *granule) readSide(s *bits) {
	g.part23Length = s.bits(12)
	g.bigValues = s.bits(9)
	g.globalGain = s.bits(8)
	g.scalefacCompress = s.bits(4)
	g.switched = s.bits(1) == 1
	if g.switched {
		g.blockType = s.bits(2)
		g.mixed = s.bits(1) == 1
		for region := range 2 {
			g.tables[region] = s.bits(5)
		}
		for window := range g.subblockGain {
			g.subblockGain[window] = s.bits(3)
		}
		g.region0 = 7 // where lines turn to the next table; short blocks have their own rule
		g.region1 = 20 - g.region0
	} else {
		for region := range g.tables {
			g.tables[region] = s.bits(5)
		}
		g.region0 = s.bits(4)
		g.region1 = s.bits(3)
	}
	g.preflag = s.bits(1)
	g.scalefacScale = s.bits(1)
	g.count1TableSelect = s.bits(1)
}
