package player

import "conga/messages"

// Decoder turns the items of a broadcast into samples, left and right, for package transport/seed, which
// sends sound. It survives hostile frames as a player does, and belongs to one goroutine.
type Decoder struct{ decoder decoder }

// NewDecoder makes a Decoder. Its first item should be about Preroll before the first sound that is needed.
func NewDecoder() *Decoder { return &Decoder{decoder{make: goMP3, levels: true}} }

// Samples returns the item's sound: whole frames, silence for those that cannot be decoded, and
// nothing for a song change.
func (d *Decoder) Samples(item *messages.Item) []int16 {
	if item.Song == nil {
		return nil
	}
	chunk, _ := d.decoder.decode(item, item.PlayAt()) // frames with errors are silence
	if chunk == nil {
		return nil
	}
	return chunk.pcm
}
