package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"time"

	"conga/messages"
)

// Tally has a listener's counters. Like the window, it outlives the relay: its owner passes both to
// each new relay. Only the relay's goroutine reads and writes it.
type Tally struct {
	received, lost, twice, unproved int64 // items
	connected, lies                 int64
	longest                         time.Duration // search
	margin                          margin
	sum                             *sum // nil: the song did not come whole
	songs                           []messages.SongSum
}

// sum is the hash of a song of which every chunk has come so far.
type sum struct {
	song  *messages.SongChange
	next  uint64
	bytes hash.Hash
}

// resync tells which item is needed next. An earlier item may have come without being counted.
func (t *Tally) resync(next uint64) {
	if t.sum != nil && t.sum.next != next {
		t.sum = nil
	}
}

// hole counts items that nobody above could give.
func (t *Tally) hole(items uint64) {
	t.lost += int64(items)
	t.sum = nil
}

// count adds an item that is in the window now, and a chunk to its song's sum.
func (t *Tally) count(item *messages.Item, proved bool) {
	t.received++
	if !proved {
		t.unproved++
	}
	if item.Change != nil {
		return
	}
	if item.Number == item.Song.GetNumber()+1 {
		t.sum = &sum{song: item.Song, bytes: sha256.New()}
	}
	if t.sum != nil {
		t.sum.bytes.Write(item.Frames)
		t.sum.next = item.Number + 1
	}
}

// finish completes the sum of a song when the next song follows without a hole.
func (t *Tally) finish() {
	if t.sum == nil {
		return
	}
	first := t.sum.song.GetNumber() + 1
	t.songs = append(t.songs, messages.SongSum{
		Song: t.sum.song.GetSong(), First: first, Chunks: t.sum.next - first,
		SHA256: hex.EncodeToString(t.sum.bytes.Sum(nil)),
	})
	t.songs = t.songs[max(0, len(t.songs)-messages.MaxSongSums):]
	t.sum = nil
}
