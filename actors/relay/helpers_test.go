package relay

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"conga/actors/internal/seal"
	"conga/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broadcast is what a server gives out: sealed items, numbered from 1.
type broadcast struct {
	key   ed25519.PublicKey
	items []*messages.Item
	songs []messages.SongSum
}

const (
	perChunk = 4
	chunk    = 96_000 // microseconds of music
	startAt  = int64(1_700_000_000_000_000)
)

func keyOf(seed byte) ed25519.PrivateKey {
	b := make([]byte, ed25519.SeedSize)
	b[0] = seed
	return ed25519.NewKeyFromSeed(b)
}

// record makes a broadcast of songs with so many chunks each, four frames of 24 ms a chunk.
func record(chunks ...int) *broadcast { return recordAt(startAt, chunks...) }

// recordAt makes one whose first sample is to be heard at `at`.
func recordAt(at int64, chunks ...int) *broadcast { return recordIn(3, at, chunks...) }

// recordIn makes one of that epoch.
func recordIn(epoch uint64, at int64, chunks ...int) *broadcast {
	key := keyOf(1)
	b := &broadcast{key: key.Public().(ed25519.PublicKey)}
	for i, n := range chunks {
		change, err := messages.NewSongChange(&messages.SongChange{
			Number: uint64(len(b.items)) + 1, Song: fmt.Sprintf("%d.mp3", i), SampleRate: 48000,
			FramesPerChunk: perChunk, Frames: int64(n * perChunk), PlayAtUnixUs: at,
		})
		if err != nil {
			panic(err)
		}
		song := []*messages.Item{change}
		sum := sha256.New()
		for c := range n {
			var frames []byte
			for f := range perChunk {
				frame := make([]byte, 96) // MPEG-1 layer III, 32 kbit/s, 48 kHz, mono
				copy(frame, []byte{0xff, 0xfb, 0x14, 0xc0})
				copy(frame[40:], fmt.Sprintf("%d %d %d", i, c, f))
				frames = append(frames, frame...)
			}
			sum.Write(frames)
			item := messages.NewChunk(change.Number+uint64(c)+1, int64(c*perChunk), frames)
			item.Song = change.Change
			song = append(song, item)
		}
		b.items = append(b.items, song...)
		b.songs = append(b.songs, messages.SongSum{
			Song: change.Change.GetSong(), First: change.Number + 1, Chunks: uint64(n),
			SHA256: hex.EncodeToString(sum.Sum(nil)),
		})
		for len(song) > 0 {
			group := song[:min(len(song), messages.SealItems)]
			seal.Sign(key, epoch, change, group)
			song = song[len(group):]
		}
		at += int64(n) * chunk
	}
	return b
}

// item is the item with that number, the server's own.
func (b *broadcast) item(number uint64) *messages.Item { return b.items[number-1] }

// fresh is a copy as the transport makes one of the bytes.
func (b *broadcast) fresh(number uint64) *messages.Item {
	from := b.item(number)
	item, err := messages.ParseItem(from.Kind(), append([]byte(nil), from.Payload...))
	if err != nil {
		panic(err)
	}
	return item
}

// reader is what an honest upstream sends to one listener: seals, and the song change
// where the listener comes into the middle, BEFORE the items that need them.
type reader struct {
	b     *broadcast
	asked uint64 // 0: a newcomer
	at    uint64 // number of the item that comes next
	seal  *messages.Seal
	begun bool
}

// next is what comes before the next item, and the item.
func (r *reader) next() (s *messages.Seal, song, item *messages.Item) {
	own := r.b.item(r.at)
	if own.Seal != r.seal {
		r.seal = own.Seal
		s = own.Seal
	}
	if !r.begun && own.Change == nil && r.at != r.asked {
		song = r.b.fresh(own.Song.GetNumber())
	}
	item = r.b.fresh(r.at)
	r.begun = true
	r.at++
	return s, song, item
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ancestor is the node of that name; one with ~ behind it cannot be reached.
func ancestor(word string) *messages.Node {
	name, dials := strings.CutSuffix(word, "~")
	n := &messages.Node{Id: name, Name: name, Relay: name + ":1", Dials: dials}
	if name == messages.ServerID {
		n.Relay = ""
	}
	return n
}
