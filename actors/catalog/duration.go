package catalog

import (
	"bytes"
	"encoding/binary"
	"io"
	"time"
)

const (
	// maxParts is how many chunks or boxes of a container are looked at. Real files have some tens at most.
	maxParts = 256
	// maxDuration is the longest that is believed: no converted song is longer.
	maxDuration = 12 * time.Hour
	// maxPage is how long a page of ogg is at most, in bytes.
	maxPage = 27 + 255 + 255*255
)

// otherDuration is how long music lasts that is no mp3, as its container says; 0 if that does not say it in a few reads. So
// it is known when a song will be over before it is converted.
func otherDuration(file io.ReaderAt, size int64) time.Duration {
	head := at(file, 0, 12)
	start := int64(0)
	if bytes.HasPrefix(head, []byte("ID3")) { // before a flac, too
		long := at(file, 6, 4)
		if len(long) < 4 {
			return 0
		}
		start = 10 + int64(long[0]&0x7f)<<21 + int64(long[1]&0x7f)<<14 + int64(long[2]&0x7f)<<7 + int64(long[3]&0x7f)
		head = at(file, start, 12)
	}
	if len(head) < 12 {
		return 0
	}
	var units, each uint64 // so many units, each of them so many in a second
	switch {
	case string(head[:4]) == "fLaC":
		units, each = flacLength(at(file, start+4, 4+34))
	case start > 0:
	case string(head[:4]) == "RIFF" && string(head[8:]) == "WAVE":
		units, each = wavLength(file)
	case string(head[:4]) == "OggS":
		units, each = oggLength(file, size)
	case string(head[4:8]) == "ftyp":
		units, each = mp4Length(file, size)
	}
	if each == 0 || units/each >= uint64(maxDuration/time.Second) {
		return 0
	}
	return time.Duration(float64(units) / float64(each) * float64(time.Second))
}

// at is what stands there, shorter if the file ends before.
func at(file io.ReaderAt, offset int64, n int) []byte {
	b := make([]byte, n)
	got, _ := file.ReadAt(b, offset) // what cannot be read is as good as not there
	return b[:got]
}

// flacLength reads the first block, which is STREAMINFO.
func flacLength(block []byte) (samples, rate uint64) {
	if len(block) < 4+34 || block[0]&0x7f != 0 {
		return 0, 0
	}
	packed := binary.BigEndian.Uint64(block[4+10:]) // rate:20, channels:3, bits:5, samples:36
	return packed & (1<<36 - 1), packed >> 44
}

// wavLength finds the bytes of the music, and how many are heard in a second.
func wavLength(file io.ReaderAt) (length, perSecond uint64) {
	offset := int64(12)
	for range maxParts {
		chunk := at(file, offset, 8+16)
		if len(chunk) < 8 {
			return 0, 0
		}
		long := binary.LittleEndian.Uint32(chunk[4:])
		switch kind := string(chunk[:4]); {
		case kind == "fmt " && len(chunk) == 8+16:
			perSecond = uint64(binary.LittleEndian.Uint32(chunk[8+8:]))
		case kind == "data" && long == 1<<32-1: // it was written as a stream
			return 0, 0
		case kind == "data":
			return uint64(long), perSecond
		}
		offset += 8 + int64(long) + int64(long&1)
	}
	return 0, 0
}

// oggLength takes the place of the last page, in the samples of the first stream.
func oggLength(file io.ReaderAt, size int64) (samples, rate uint64) {
	first := at(file, 0, 27+255+19)
	if len(first) < 27 {
		return 0, 0
	}
	packet := first[min(27+int(first[26]), len(first)):]
	var skipped uint64
	switch {
	case bytes.HasPrefix(packet, []byte("OpusHead")) && len(packet) >= 12:
		rate, skipped = 48000, uint64(binary.LittleEndian.Uint16(packet[10:]))
	case bytes.HasPrefix(packet, []byte("\x01vorbis")) && len(packet) >= 16:
		rate = uint64(binary.LittleEndian.Uint32(packet[12:]))
	default:
		return 0, 0
	}
	stream := first[14:18]
	end := at(file, max(0, size-2*maxPage), 2*maxPage)
	for page := bytes.LastIndex(end, []byte("OggS")); page >= 0; page = bytes.LastIndex(end[:page], []byte("OggS")) {
		if page+18 > len(end) || !bytes.Equal(end[page+14:page+18], stream) {
			continue
		}
		if place := binary.LittleEndian.Uint64(end[page+6:]); place != 1<<64-1 && place > skipped { // else no packet ends on it
			return place - skipped, rate
		}
	}
	return 0, 0
}

// mp4Length reads mvhd, which stands in moov, which may be the last of all.
func mp4Length(file io.ReaderAt, size int64) (units, perSecond uint64) {
	offset, end := int64(0), size
	for range maxParts {
		box := at(file, offset, 16)
		if len(box) < 8 || offset >= end {
			return 0, 0
		}
		head, long := int64(8), uint64(binary.BigEndian.Uint32(box))
		switch {
		case long == 1 && len(box) == 16:
			head, long = 16, binary.BigEndian.Uint64(box[8:])
		case long == 0: // to the end
			long = uint64(end - offset)
		}
		if long < uint64(head) || long > uint64(end-offset) {
			return 0, 0
		}
		switch string(box[4:8]) {
		case "moov":
			offset, end = offset+head, offset+int64(long)
			continue
		case "mvhd":
			body := at(file, offset+head, 32)
			switch {
			case len(body) == 32 && body[0] == 1:
				return binary.BigEndian.Uint64(body[24:]), uint64(binary.BigEndian.Uint32(body[20:]))
			case len(body) >= 20 && body[0] == 0:
				return uint64(binary.BigEndian.Uint32(body[16:])), uint64(binary.BigEndian.Uint32(body[12:]))
			}
			return 0, 0
		}
		offset += int64(long)
	}
	return 0, 0
}
