package messages

import (
	"encoding/binary"
	"fmt"
)

// SoundFrame is what a frame of SamplesPerFrame becomes as sound: bytes.
const SoundFrame = SamplesPerFrame * 4

// maxSound is the longest chunk of sound: 16 frames, as of mp3.
const maxSound = 16 * SoundFrame

// NewSound makes a chunk of sound, which is kept: up to 16 frames, whole ones but for a
// song's last.
func NewSound(number uint64, firstFrame int64, sound []byte) *Item {
	return &Item{Number: number, FirstFrame: firstFrame, Sound: sound, Payload: sound}
}

// Parts are the payloads that the item travels in: one, but for sound, which is too long.
// Each part of sound says uvarint number, uvarint first frame, uvarint bytes of the whole.
func (i *Item) Parts() [][]byte {
	if i.Sound == nil {
		return [][]byte{i.Payload}
	}
	head := binary.AppendUvarint(nil, i.Number)
	head = binary.AppendUvarint(head, uint64(i.FirstFrame))
	head = binary.AppendUvarint(head, uint64(len(i.Sound)))
	var parts [][]byte
	for rest := i.Sound; len(rest) > 0; {
		n := min(len(rest), MaxPayload-len(head))
		parts = append(parts, append(head[:len(head):len(head)], rest[:n]...))
		rest = rest[n:]
	}
	return parts
}

// Sounds puts the parts of one chunk of sound together again. Its zero value is ready; it
// belongs to one goroutine.
type Sounds struct {
	number, first, whole uint64
	sound                []byte
}

// Add takes the next part. It returns the item with its last part, nil before that. The parts
// of an item follow each other; every error is an ErrPayload.
func (s *Sounds) Add(part []byte) (*Item, error) {
	var head [3]uint64
	rest := part
	for i := range head {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			return nil, fmt.Errorf("part of sound without its numbers: %w", ErrPayload)
		}
		head[i], rest = v, rest[n:]
	}
	number, first, whole := head[0], head[1], head[2]
	if len(s.sound) > 0 && (number != s.number || first != s.first || whole != s.whole) {
		return nil, fmt.Errorf("sound %d breaks off: %w", s.number, ErrPayload)
	}
	switch {
	case number == 0 || first > maxFrames:
		return nil, fmt.Errorf("sound %d begins with frame %d: %w", number, first, ErrPayload)
	case whole == 0 || whole > maxSound || whole%4 != 0:
		return nil, fmt.Errorf("sound of %d bytes: %w", whole, ErrPayload)
	case len(rest) == 0 || uint64(len(s.sound)+len(rest)) > whole:
		return nil, fmt.Errorf("part of %d bytes of sound: %w", len(rest), ErrPayload)
	}
	if s.sound == nil {
		s.sound = make([]byte, 0, whole)
	}
	s.number, s.first, s.whole = number, first, whole
	s.sound = append(s.sound, rest...)
	if uint64(len(s.sound)) < whole {
		return nil, nil
	}
	item := NewSound(number, int64(first), s.sound)
	s.sound = nil
	return item, nil
}
