package relay

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"

	"conga/actors/internal/mp3"
	"conga/actors/internal/seal"
	"conga/actors/window"
	"conga/messages"
)

// errLie marks an item that no honest upstream sends: its link is cut and the next
// ancestor asked. What came before it stays good.
var errLie = errors.New("the upstream sent what the server did not")

// flow takes items from a link into the window: each number once, in order, each
// one checked BEFORE anybody can read it. It belongs to the relay's goroutine.
type flow struct {
	window *window.Window
	key    ed25519.PublicKey // nil: nothing can be proved yet, so nothing is

	seal *messages.Seal       // vouches for what comes now
	song *messages.SongChange // whose chunks come now
	next uint64               // 0 before the first
	from uint64               // numbers below it on this link were asked for in vain: not twice

	received, lost, twice, unproved int64
	sum                             *sum
	songs                           []messages.SongSum
}

// sum is the song that is being received without a hole since its first chunk.
type sum struct {
	song  *messages.SongChange
	next  uint64
	bytes hash.Hash
}

// link says that another upstream begins to send.
func (f *flow) link() {
	f.seal = nil
	f.from = f.next
}

// vouch takes a seal that came down the link.
func (f *flow) vouch(s *messages.Seal) error {
	if f.key != nil {
		if err := seal.Verify(f.key, s); err != nil {
			return fmt.Errorf("%w: %w", errLie, err)
		}
	}
	f.seal = s
	return nil
}

// take checks an item and puts it into the window. Items that were there before are dropped.
func (f *flow) take(item *messages.Item) error {
	if err := f.check(item); err != nil {
		return fmt.Errorf("%w: %w", errLie, err)
	}
	if f.known(item) {
		return nil
	}
	if f.next > 0 && item.Number > f.next {
		f.lost += int64(item.Number - f.next)
		f.sum = nil
	}
	if err := f.window.Append(item); err != nil {
		return fmt.Errorf("%w: %w", errLie, err)
	}
	f.next = item.Number + 1
	f.received++
	f.count(item)
	return nil
}

// check proves the item and finds its song.
func (f *flow) check(item *messages.Item) error {
	if f.key != nil || f.seal != nil {
		if err := seal.Check(f.seal, item); err != nil {
			return err
		}
		item.Seal = f.seal
	}
	if item.Change != nil {
		return nil
	}
	song := f.song
	if song == nil {
		return fmt.Errorf("chunk %d belongs to no song", item.Number)
	}
	per := int64(song.GetFramesPerChunk())
	if item.Number <= song.GetNumber() || item.FirstFrame != int64(item.Number-song.GetNumber()-1)*per {
		return fmt.Errorf("chunk %d cannot begin with frame %d of the song that began with item %d",
			item.Number, item.FirstFrame, song.GetNumber())
	}
	if _, err := mp3.SplitChunk(item.Frames); err != nil {
		return fmt.Errorf("chunk %d: %w", item.Number, err)
	}
	item.Song = song
	return nil
}

// known says whether nothing of the item is new. A song change is also sent to tell
// a newcomer where it is; it then stands before the numbers that were asked for.
func (f *flow) known(item *messages.Item) bool {
	if item.Change != nil && (f.next == 0 || item.Number < f.next) {
		if f.song == nil || item.Number > f.song.GetNumber() {
			f.song = item.Change
		}
		return true
	}
	if item.Number < f.next {
		if item.Number >= f.from {
			f.twice++
		}
		return true
	}
	if item.Change != nil {
		f.finish()
		f.song = item.Change
	}
	return false
}

// count adds the chunk to its song's sum.
func (f *flow) count(item *messages.Item) {
	if item.Seal == nil {
		f.unproved++
	}
	if item.Change != nil {
		return
	}
	if item.Number == f.song.GetNumber()+1 {
		f.sum = &sum{song: f.song, bytes: sha256.New()}
	}
	if f.sum != nil {
		f.sum.bytes.Write(item.Frames)
		f.sum.next = item.Number + 1
	}
}

// finish closes the sum of a song whose next song follows without a hole.
func (f *flow) finish() {
	if f.sum == nil {
		return
	}
	first := f.sum.song.GetNumber() + 1
	f.songs = append(f.songs, messages.SongSum{
		Song: f.sum.song.GetSong(), First: first, Chunks: f.sum.next - first,
		SHA256: hex.EncodeToString(f.sum.bytes.Sum(nil)),
	})
	f.songs = f.songs[max(0, len(f.songs)-messages.MaxSongSums):]
	f.sum = nil
}
