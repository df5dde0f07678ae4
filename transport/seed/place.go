package seed

import (
	"encoding/binary"
	"hash/crc32"

	"conga/messages"
)

// Where in the broadcast sound stands is written into the lengths of its messages. A chunk of
// as many frames as messages.FramesPerChunk begins with a message of fullMark bytes; the
// lengths of the next placeDigits messages are its place, seven bits each. Any other
// chunk begins with one whose length says its frames, and has the number after the last.
// Between chunks a message of pulse bytes says that its sender lives.
const (
	fullMark    = 64
	pulse       = 4
	placeDigits = 18
	digitBase   = 256 // bytes of a message that says 0
	digitStep   = 4   // whole samples, left and right
	maxShort    = 14  // frames that a short mark can say
)

// place is where a chunk of sound stands.
type place struct {
	number uint64 // of the chunk, below 1<<40
	index  uint64 // of the chunk in its song, from 0, below 1<<20
	playAt int64  // when its song is to be heard, µs on the server's clock, below 1<<52
	rate   int32  // samples a second
}

var placeRates = [4]int32{44100, 48000, 32000}

// first is the chunk's first frame.
func (p place) first() int64 { return int64(p.index) * int64(messages.FramesPerChunk(p.rate)) }

// song is the number of its song's change.
func (p place) song() uint64 { return p.number - 1 - p.index }

// sayable says whether the place fits into digits.
func (p place) sayable() bool {
	return p.number>>40 == 0 && p.number > p.index && p.index>>20 == 0 && p.playAt > 0 && p.playAt>>52 == 0 && p.rateCode() < 3
}

func (p place) rateCode() uint64 {
	for i, rate := range placeRates {
		if rate == p.rate && rate != 0 {
			return uint64(i)
		}
	}
	return 3
}

// check is a sum that a wrong guess of where digits begin does not meet.
func (p place) check() uint64 {
	b := binary.BigEndian.AppendUint64(nil, p.number)
	b = binary.BigEndian.AppendUint64(b, p.index)
	b = binary.BigEndian.AppendUint64(b, uint64(p.playAt))
	return uint64(crc32.ChecksumIEEE(append(b, byte(p.rateCode())))) & 0xFFF
}

// wide is a number of 126 bits.
type wide struct{ hi, lo uint64 }

func (w *wide) push(v uint64, bits int) {
	w.hi = w.hi<<bits | w.lo>>(64-bits)
	w.lo = w.lo<<bits | v
}

func (w *wide) pop(bits int) uint64 {
	v := w.lo & (1<<bits - 1)
	w.lo = w.lo>>bits | w.hi<<(64-bits)
	w.hi >>= bits
	return v
}

// digits are the lengths that say the place, which must be sayable.
func (p place) digits() (lengths [placeDigits]int) {
	var w wide
	w.push(p.number, 40)
	w.push(p.index, 20)
	w.push(uint64(p.playAt), 52)
	w.push(p.rateCode(), 2)
	w.push(p.check(), 12)
	for i := placeDigits - 1; i >= 0; i-- {
		lengths[i] = digitBase + digitStep*int(w.pop(7))
	}
	return lengths
}

// isDigit says whether a message of this length can be a digit.
func isDigit(length int) bool {
	return length >= digitBase && length < digitBase+128*digitStep && length%digitStep == 0
}

// readPlace is the place that the lengths say; false if they say none.
func readPlace(lengths []int) (place, bool) {
	if len(lengths) != placeDigits {
		return place{}, false
	}
	var w wide
	for _, length := range lengths {
		if !isDigit(length) {
			return place{}, false
		}
		w.push(uint64(length-digitBase)/digitStep, 7)
	}
	check := w.pop(12)
	p := place{rate: placeRates[w.pop(2)]}
	p.playAt = int64(w.pop(52))
	p.index = w.pop(20)
	p.number = w.pop(40)
	return p, p.sayable() && p.check() == check
}

// pieces are the lengths in which a chunk of sound goes out. One that is no whole frames says
// nothing of its place.
func pieces(size int, p place) []int {
	var lengths []int
	frames := size / messages.SoundFrame
	switch full := int(messages.FramesPerChunk(p.rate)); {
	case size == full*messages.SoundFrame && p.sayable():
		lengths = append(lengths, fullMark)
		for _, digit := range p.digits() {
			lengths = append(lengths, digit)
		}
	case size%messages.SoundFrame == 0 && frames <= maxShort:
		lengths = append(lengths, shortMark(frames))
	}
	for _, length := range lengths {
		size -= length
	}
	for ; size > maxPiece; size -= maxPiece {
		lengths = append(lengths, maxPiece)
	}
	return append(lengths, size)
}

// shortMark begins a chunk of so many frames that says no place.
func shortMark(frames int) int { return fullMark - 4*frames }

// shortFrames is the opposite; 0 if the length is no such mark.
func shortFrames(length int) int {
	frames := (fullMark - length) / 4
	if length%4 != 0 || frames < 1 || frames > maxShort {
		return 0
	}
	return frames
}
