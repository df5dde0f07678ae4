package seal

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

var key = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// song is a change with number 7 and chunks behind it.
func song(t testing.TB, chunks int) (change *messages.Item, items []*messages.Item) {
	t.Helper()
	change, err := messages.NewSongChange(&messages.SongChange{
		Number: 7, Song: "bach.mp3", SampleRate: 44100, Frames: 4000, FramesPerChunk: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range chunks {
		items = append(items, messages.NewChunk(8+uint64(n), int64(4*n), []byte{byte(n), 1, 2, 3}))
	}
	return change, items
}

// An item that the server sealed is accepted, and so is the song's change, also before another item than the first.
func TestSign(t *testing.T) {
	for _, n := range []int{1, messages.SealItems} {
		change, items := song(t, n)
		s := Sign(key, 3, change, items)
		if err := Verify(key.Public().(ed25519.PublicKey), s); err != nil {
			t.Fatal(err)
		}
		for _, item := range append(items, change) {
			if err := Check(s, item); err != nil {
				t.Errorf("item %d: %v", item.Number, err)
			}
		}
		for _, item := range items {
			if item.Seal != s {
				t.Errorf("item %d has no seal", item.Number)
			}
		}
		first := Sign(key, 3, change, []*messages.Item{change, items[0]})
		if err := Check(first, change); err != nil {
			t.Errorf("the change in its turn: %v", err)
		}
	}
}

// Every bit of a seal counts, and so does who signed it.
func TestVerify_Forged(t *testing.T) {
	change, items := song(t, 3)
	good := Sign(key, 3, change, items)
	forge := map[string]func(*messages.Seal){
		"nothing":             func(s *messages.Seal) { proto.Reset(s) },
		"epoch":               func(s *messages.Seal) { s.Epoch++ },
		"first":               func(s *messages.Seal) { s.First++ },
		"first is zero":       func(s *messages.Seal) { s.First = 0 },
		"song":                func(s *messages.Seal) { s.Song[0] ^= 1 },
		"no song":             func(s *messages.Seal) { s.Song = nil },
		"song reaches over":   func(s *messages.Seal) { s.Song = append(s.Song, s.Hashes[0]); s.Hashes = s.Hashes[1:] },
		"a hash":              func(s *messages.Seal) { s.Hashes[13] ^= 1 },
		"a hash less":         func(s *messages.Seal) { s.Hashes = s.Hashes[messages.HashSize:] },
		"half a hash more":    func(s *messages.Seal) { s.Hashes = append(s.Hashes, 1, 2, 3) },
		"no hashes":           func(s *messages.Seal) { s.Hashes = nil },
		"very many":           func(s *messages.Seal) { s.Hashes = make([]byte, (messages.SealItems+1)*messages.HashSize) },
		"signature":           func(s *messages.Seal) { s.Signature[9] ^= 1 },
		"signature cut short": func(s *messages.Seal) { s.Signature = s.Signature[:9] },
		"no signature":        func(s *messages.Seal) { s.Signature = nil },
	}
	public := key.Public().(ed25519.PublicKey)
	for name, spoil := range forge {
		bad := proto.CloneOf(good)
		spoil(bad)
		if err := Verify(public, bad); !errors.Is(err, ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := ed25519.NewKeyFromSeed(slices.Repeat([]byte{1}, ed25519.SeedSize))
	for name, k := range map[string]ed25519.PublicKey{"another server": other.Public().(ed25519.PublicKey), "no key": nil, "half a key": public[:9]} {
		if err := Verify(k, good); !errors.Is(err, ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Verify(public, nil); !errors.Is(err, ErrForged) {
		t.Errorf("nil: %v", err)
	}
	if err := Verify(public, good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// An item is refused if one bit differs, if it has another item's number or kind, or if the seal does not
// cover it.
func TestCheck_Altered(t *testing.T) {
	change, items := song(t, 3)
	s := Sign(key, 3, change, items)
	frames := slices.Clone(items[1].Frames)
	frames[2] ^= 1
	another, err := messages.NewSongChange(&messages.SongChange{Number: 7, Song: "noise.mp3", SampleRate: 44100, FramesPerChunk: 4})
	if err != nil {
		t.Fatal(err)
	}
	asChange := *items[1]
	asChange.Change = change.Change
	for name, item := range map[string]*messages.Item{
		"one bit":             messages.NewChunk(9, 4, frames),
		"the next's music":    messages.NewChunk(9, 4, items[2].Frames),
		"another first frame": messages.NewChunk(9, 8, items[1].Frames),
		"another number":      messages.NewChunk(10, 4, items[1].Frames),
		"before the seal":     messages.NewChunk(7, 0, items[0].Frames),
		"behind the seal":     messages.NewChunk(11, 12, items[0].Frames),
		"number zero":         messages.NewChunk(0, 0, items[0].Frames),
		"the largest number":  messages.NewChunk(1<<64-1, 0, items[0].Frames),
		"another song":        another,
		"a chunk as a change": &asChange,
	} {
		if err := Check(s, item); !errors.Is(err, ErrAltered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Check(nil, items[0]); !errors.Is(err, ErrAltered) {
		t.Errorf("no seal: %v", err)
	}
	if Covers(nil, 8) || Covers(s, 7) || !Covers(s, 8) || !Covers(s, 10) || Covers(s, 11) {
		t.Error("covers the wrong numbers")
	}
}
