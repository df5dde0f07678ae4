package mp3

import (
	"bytes"
	"encoding/binary"
	"math"
)

const (
	// tagHeader is what tagSize must see: the longest of the tags' headers, APE's.
	tagHeader = 32
	// maxTag is the longest tag that is believed, ID3v2's own limit.
	maxTag = 1<<28 + 20
)

// tagSize returns the size of the tag that b begins with, its header and footer
// included, or 0. It believes what the tag says, up to maxTag: skip it by
// discarding, never by allocating.
func tagSize(b []byte) int {
	switch {
	case len(b) >= 10 && string(b[:3]) == "ID3" && b[3] < 0xFF && b[4] < 0xFF && (b[6]|b[7]|b[8]|b[9]) < 0x80:
		size := 10 + (int(b[6])<<21 | int(b[7])<<14 | int(b[8])<<7 | int(b[9]))
		if b[5]&0x10 != 0 { // ID3v2.4's footer
			size += 10
		}
		return size
	case bytes.HasPrefix(b, []byte("TAG+")): // the enhanced tag in front of an ID3v1
		return 227
	case bytes.HasPrefix(b, []byte("TAG")):
		return 128
	case len(b) >= tagHeader && string(b[:8]) == "APETAGEX":
		const isHeader = 1 << 29 // else it is the footer, and the items lie before it
		size := uint64(tagHeader)
		if binary.LittleEndian.Uint32(b[20:])&isHeader != 0 {
			size += uint64(binary.LittleEndian.Uint32(b[12:]))
		}
		if size <= maxTag {
			return int(size)
		}
	}
	return 0
}

// isInfo says whether the frame is no music but an encoder's table of contents:
// Xing, Info or VBRI stands where the main data begins. Decoded, it would sound
// like 26 ms of silence or worse, and the song would be a frame too long.
//
// Some encoders say that CRC bytes follow and leave them out, so the place behind
// the side information is tried with and without them. In mid-stream, where a
// second file has been glued on, the side information must be empty too: there the
// four letters could be music.
func isInfo(frame Frame, h Header, first bool) bool {
	return infoMark(frame, h, first) > 0
}

// promised is the number of frames according to the encoder's table, 0 if it does not say.
func promised(frame Frame, h Header) int64 {
	at := infoMark(frame, h, true)
	if at == 0 {
		return 0
	}
	table := frame[at:]
	switch vbri := string(table[:4]) == "VBRI"; {
	case vbri && len(table) >= 18: // version, delay, quality, bytes, frames
		return int64(binary.BigEndian.Uint32(table[14:]))
	case !vbri && len(table) >= 12 && table[7]&1 != 0: // flags, frames
		return int64(binary.BigEndian.Uint32(table[8:]))
	}
	return 0
}

// loudness reads LAME's part of the table: how many decibels louder the song should be, and its largest sample,
// 1 being full scale; 0 if it does not say.
func loudness(frame Frame, h Header) (gain, peak float64) {
	const (
		frames, bytes, seek, quality = 1, 2, 4, 8 // flags: which fields are there
		lame                         = 9          // bytes of the encoder's name
		track                        = 1
	)
	at := infoMark(frame, h, true)
	if at == 0 || string(frame[at:at+4]) == "VBRI" || len(frame) < at+8 {
		return 0, 0
	}
	flags := frame[at+7]
	at += 8
	for _, field := range []struct{ flag, size int }{{frames, 4}, {bytes, 4}, {seek, 100}, {quality, 4}} {
		if int(flags)&field.flag != 0 {
			at += field.size
		}
	}
	if len(frame) < at+lame+10 || string(frame[at:at+4]) != "LAME" {
		return 0, 0
	}
	at += lame + 2 // revision, lowpass
	if p := float64(math.Float32frombits(binary.BigEndian.Uint32(frame[at:]))); p > 0 && p < 10 {
		peak = p
	}
	word := binary.BigEndian.Uint16(frame[at+4:])
	if word>>13 != track || word>>10&7 == 0 {
		return 0, peak
	}
	if gain = float64(word&0x1ff) / 10; word&0x200 != 0 {
		gain = -gain
	}
	return gain, peak
}

// infoMark is the place of the letters in the frame; 0: the frame is music.
func infoMark(frame Frame, h Header, first bool) int {
	side := 32
	if h.Channels == 1 {
		side = 17
	}
	for _, mark := range []struct {
		at    int
		words [2]string
	}{
		{headerSize + side, [2]string{"Xing", "Info"}},
		{headerSize + 2 + side, [2]string{"Xing", "Info"}},
		{headerSize + 32, [2]string{"VBRI"}},
		{headerSize + 2 + 32, [2]string{"VBRI"}},
	} {
		if len(frame) < mark.at+4 {
			continue
		}
		word := string(frame[mark.at : mark.at+4])
		if word != mark.words[0] && word != mark.words[1] {
			continue
		}
		// The last bytes before the mark: a CRC in front of them may be anything.
		empty := len(bytes.Trim(frame[mark.at-side:mark.at], "\x00")) == 0
		if first || empty {
			return mark.at
		}
	}
	return 0
}
