package player

import (
	"encoding/binary"

	"conga/messages"
)

// Decoder turns the items of a broadcast into 16-bit samples, little-endian, left and right, for who
// passes them on as sound. It stands hostile frames as a player does, and belongs to one
// goroutine.
type Decoder struct{ decoder decoder }

// NewDecoder makes one. Its first item should stand some Preroll before what is to be heard.
func NewDecoder() *Decoder { return &Decoder{decoder{make: goMP3}} }

// Sound is the item's sound: whole frames, silence where it cannot be decoded, nothing for
// a song change.
func (d *Decoder) Sound(item *messages.Item) []byte {
	if item.Song == nil {
		return nil
	}
	chunk, _ := d.decoder.decode(item, item.PlayAt()) // what failed is silence
	if chunk == nil {
		return nil
	}
	sound := make([]byte, 0, 2*len(chunk.pcm))
	for _, sample := range chunk.pcm {
		sound = binary.LittleEndian.AppendUint16(sound, uint16(sample))
	}
	return sound
}
