package simulate

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

const (
	sampleRate  = 44100
	frameHeader = 6 // bytes before a payload: two letters and four digits
	// signature is how long a seal's is.
	signature = 64
)

// air is what the server plays: songs of equal length, one after another. Its chunks have few bytes, so that a run fits into
// the memory, but count as long as those of a song.
type air struct {
	chunk   int // bytes of mp3 in a chunk
	songs   map[uint64]*messages.Item
	song    *messages.Item   // the present one
	ready   []*messages.Item // sealed, and not given out
	number  uint64           // of the last item made
	first   int64            // the next chunk's first frame
	playAt  int64            // the next song's
	frames  int64            // of a song
	nothing []byte
}

func newAir(bitrate int, song time.Duration, start int64) *air {
	per := int64(messages.FramesPerChunk(sampleRate))
	chunk := messages.FrameOffset(per, sampleRate)
	a := &air{
		chunk: int(float64(bitrate) * 1000 / 8 * chunk.Seconds()), songs: map[uint64]*messages.Item{},
		playAt: start, frames: max(1, int64(song/chunk)) * per, nothing: make([]byte, 8),
	}
	return a
}

// next returns the next item.
func (a *air) next() *messages.Item {
	for len(a.ready) == 0 {
		a.make()
	}
	item := a.ready[0]
	a.ready = a.ready[1:]
	return item
}

// make makes the items of a seal.
func (a *air) make() {
	per := int64(messages.FramesPerChunk(sampleRate))
	if a.song == nil || a.first >= a.frames {
		a.begin()
	}
	for len(a.ready) < messages.SealItems && a.first < a.frames {
		a.number++
		item := messages.NewChunk(a.number, a.first, a.nothing)
		item.Song = a.song.Change
		a.ready = append(a.ready, item)
		a.first += per
	}
	name := a.song.Hash()
	seal := &messages.Seal{Epoch: 1, First: a.ready[0].Number, Song: name[:], Signature: make([]byte, signature)}
	for _, item := range a.ready {
		hash := item.Hash()
		seal.Hashes = append(seal.Hashes, hash[:]...)
		item.Seal = seal
	}
}

func (a *air) begin() {
	for number := range a.songs { // a listener may still ask for the present one
		if number < a.song.Number {
			delete(a.songs, number)
		}
	}
	a.number++
	change, err := messages.NewSongChange(&messages.SongChange{
		Number: a.number, Song: "Bach/Brandenburg Concertos/No. 3.mp3", Title: "Brandenburg Concerto No. 3", Artist: "Johann Sebastian Bach",
		SampleRate: sampleRate, FramesPerChunk: messages.FramesPerChunk(sampleRate), Frames: a.frames, PlayAtUnixUs: a.playAt,
		DurationUs: messages.FrameOffset(a.frames, sampleRate).Microseconds(),
	})
	if err != nil {
		panic(fmt.Errorf("make a song: %w", err)) // its words are above
	}
	a.playAt += messages.FrameOffset(a.frames, sampleRate).Microseconds()
	a.song, a.first = change, 0
	a.songs[change.Number] = change
	a.ready = append(a.ready, change)
}

// size returns how many bytes the item has on a stream.
func (a *air) size(item *messages.Item) int {
	if item.Change != nil {
		return frameHeader + len(item.Payload)
	}
	return frameHeader + len(item.Payload) - len(item.Frames) + a.chunk
}

// sizeOfSeal is how many bytes the seal has on a stream; sizeOfStamp, those of a time.
func sizeOfSeal(s *messages.Seal) int { return frameHeader + proto.Size(s) }

var sizeOfStamp = frameHeader + len(messages.AppendTime(nil, startsAt))
