// Package broadcast makes what a server gives out, for tests of the rooms that receive it.
package broadcast

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"conga/actors/internal/seal"
	"conga/messages"
)

// Broadcast is what a server gives out: sealed items, numbered from 1.
type Broadcast struct {
	Key   ed25519.PublicKey
	Items []*messages.Item
	Songs []messages.SongSum
}

const (
	PerChunk = 4                     // frames
	Chunk    = 96 * time.Millisecond // of music
	// StartAt is when the first sample of Record's broadcast is heard, in unix microseconds.
	StartAt = int64(1_700_000_000_000_000)
)

// Key is the key made from seed; the server's is Key(1).
func Key(seed byte) ed25519.PrivateKey {
	b := make([]byte, ed25519.SeedSize)
	b[0] = seed
	return ed25519.NewKeyFromSeed(b)
}

// Record makes a broadcast of songs with so many chunks each, four frames of 24 ms a chunk.
func Record(chunks ...int) *Broadcast { return RecordAt(StartAt, chunks...) }

// RecordAt makes a broadcast whose first sample is heard at `at`.
func RecordAt(at int64, chunks ...int) *Broadcast { return RecordIn(3, at, chunks...) }

// RecordIn makes a broadcast of that epoch.
func RecordIn(epoch uint64, at int64, chunks ...int) *Broadcast {
	key := Key(1)
	b := &Broadcast{Key: key.Public().(ed25519.PublicKey)}
	for i, n := range chunks {
		change, err := messages.NewSongChange(&messages.SongChange{
			Number: uint64(len(b.Items)) + 1, Song: fmt.Sprintf("%d.mp3", i), SampleRate: 48000,
			FramesPerChunk: PerChunk, Frames: int64(n * PerChunk), PlayAtUnixUs: at,
		})
		if err != nil {
			panic(err)
		}
		song := []*messages.Item{change}
		sum := sha256.New()
		for c := range n {
			var frames []byte
			for f := range PerChunk {
				frame := make([]byte, 96) // MPEG-1 layer III, 32 kbit/s, 48 kHz, mono
				copy(frame, []byte{0xff, 0xfb, 0x14, 0xc0})
				copy(frame[40:], fmt.Sprintf("%d %d %d", i, c, f))
				frames = append(frames, frame...)
			}
			sum.Write(frames)
			item := messages.NewChunk(change.Number+uint64(c)+1, int64(c*PerChunk), frames)
			item.Song = change.Change
			song = append(song, item)
		}
		b.Items = append(b.Items, song...)
		b.Songs = append(b.Songs, messages.SongSum{
			Song: change.Change.GetSong(), First: change.Number + 1, Chunks: uint64(n),
			SHA256: hex.EncodeToString(sum.Sum(nil)),
		})
		for len(song) > 0 {
			group := song[:min(len(song), messages.SealItems)]
			seal.Sign(key, epoch, change, group)
			song = song[len(group):]
		}
		at += int64(n) * Chunk.Microseconds()
	}
	return b
}

// Item is the server's own item with that number.
func (b *Broadcast) Item(number uint64) *messages.Item { return b.Items[number-1] }

// Fresh is a copy of the item, parsed from its bytes as transport does.
func (b *Broadcast) Fresh(number uint64) *messages.Item {
	from := b.Item(number)
	item, err := messages.ParseItem(from.Kind(), append([]byte(nil), from.Payload...))
	if err != nil {
		panic(err)
	}
	return item
}

// Reader is what an honest upstream sends to one listener: before the items that need them, their seals
// and, if the listener begins in mid-song, the song change.
type Reader struct {
	B     *Broadcast
	Asked uint64 // 0: a newcomer
	At    uint64 // number of the next item
	seal  *messages.Seal
	begun bool
}

// Next returns the next item, with the seal and the song change that come before it, if any.
func (r *Reader) Next() (s *messages.Seal, song, item *messages.Item) {
	own := r.B.Item(r.At)
	if own.Seal != r.seal {
		r.seal = own.Seal
		s = own.Seal
	}
	if !r.begun && own.Change == nil && r.At != r.Asked {
		song = r.B.Fresh(own.Song.GetNumber())
	}
	item = r.B.Fresh(r.At)
	r.begun = true
	r.At++
	return s, song, item
}
