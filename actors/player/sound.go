package player

import "conga/messages"

// Decoder turns the items of a broadcast into samples, left and right, for a room that sends
// sound (transport/seed). It survives hostile frames as a player does, and belongs to one goroutine.
type Decoder struct{ decoder decoder }

// NewDecoder makes one. Its first item should stand some Preroll before what is to be heard.
func NewDecoder() *Decoder { return &Decoder{decoder{make: goMP3, levels: true}} }

// Samples is what the item sounds like: whole frames, silence where it cannot be decoded,
// nothing for a song change.
func (d *Decoder) Samples(item *messages.Item) []int16 {
	if item.Song == nil {
		return nil
	}
	chunk, _ := d.decoder.decode(item, item.PlayAt()) // what failed is silence
	if chunk == nil {
		return nil
	}
	return chunk.pcm
}
