package seed

import (
	"conga/messages"
)

// chunk is sound whose place is known.
type chunk struct {
	place
	sound []byte
}

// locator finds the chunks in the messages of a stream: it reads their lengths, see place.
// What comes before the first place is dropped, and so is a chunk that breaks off. Its zero
// value is ready; it belongs to one goroutine.
type locator struct {
	last   place // of the chunk before
	known  bool  // last is set, and what comes now follows it
	open   bool  // a chunk has begun
	digits []int // its lengths so far; nil for a short one
	short  int   // frames of a short one
	sound  []byte
}

// songChange says that what follows is another song: a short chunk there follows nothing.
func (l *locator) songChange() {
	l.open, l.known, l.sound = false, false, nil
}

// add takes the next message of sound, which it does not keep. It returns the chunk that ends
// with it, if one does.
func (l *locator) add(piece []byte) (chunk, bool) {
	if l.open && l.digits != nil && len(l.digits) < placeDigits {
		if !l.digit(piece) {
			l.known, l.open = false, false
		}
	}
	switch {
	case l.open:
		l.sound = append(l.sound, piece...)
	case !l.begin(piece):
		return chunk{}, false
	}
	return l.end()
}

// digit takes the piece as a digit, if it can be one.
func (l *locator) digit(piece []byte) bool {
	if !isDigit(len(piece)) {
		return false
	}
	l.digits = append(l.digits, len(piece))
	if len(l.digits) < placeDigits {
		return true
	}
	at, ok := readPlace(l.digits)
	if ok {
		l.last = at
	}
	return ok
}

// begin takes the piece as the beginning of a chunk, if it can be one.
func (l *locator) begin(piece []byte) bool {
	l.digits, l.short = nil, 0
	switch frames := shortFrames(len(piece)); {
	case len(piece) == fullMark:
		l.digits = make([]int, 0, placeDigits)
	case frames > 0 && l.known:
		l.short = frames
	case len(piece) == pulse:
		return false
	default:
		l.known = false
		return false
	}
	l.open = true
	l.sound = append(make([]byte, 0, 4*messages.SoundFrame), piece...)
	return true
}

// end returns the chunk if it is whole.
func (l *locator) end() (chunk, bool) {
	at, size := l.last, l.short*messages.SoundFrame
	if l.short > 0 {
		at.number++
		at.index++
	} else {
		if len(l.digits) < placeDigits {
			return chunk{}, false
		}
		size = int(messages.FramesPerChunk(at.rate)) * messages.SoundFrame
	}
	switch {
	case len(l.sound) < size:
		return chunk{}, false
	case len(l.sound) > size: // pieces do not reach over a chunk's end
		l.known, l.open = false, false
		return chunk{}, false
	}
	c := chunk{at, l.sound}
	l.last, l.known, l.open, l.sound = at, true, false, nil
	return c, true
}
