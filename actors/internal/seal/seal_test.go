package seal

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

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
	change, items := song(t, 4)
	good := Sign(key, 3, change, items[:3], items[3:])
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
		"the next one":        func(s *messages.Seal) { s.Next[3] ^= 1 },
		"no next one":         func(s *messages.Seal) { s.Next = nil },
		"half a next one":     func(s *messages.Seal) { s.Next = s.Next[:9] },
		"next is a hash":      func(s *messages.Seal) { s.Hashes = append(s.Next, s.Hashes...); s.Next = nil },
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

// Each seal names the one behind it and no other, and each can be proved alone, too.
func TestNames(t *testing.T) {
	change, items := song(t, 40)
	Sign(key, 3, change, slices.Collect(slices.Chunk(items, messages.SealItems))...)
	first, second, third := items[0].Seal, items[16].Seal, items[32].Seal
	all := []*messages.Seal{nil, {}, first, second, third}
	for _, before := range all {
		for _, s := range all {
			if want := before == first && s == second || before == second && s == third; Names(before, s) != want {
				t.Errorf("the seal of %d names that of %d: %v", before.GetFirst(), s.GetFirst(), !want)
			}
		}
	}
	for _, s := range all[2:] {
		if err := Verify(key.Public().(ed25519.PublicKey), s); err != nil {
			t.Error(err)
		}
	}
	if err := Check(second, items[16]); err != nil {
		t.Error(err)
	}
}

// A seal that the server has named and not sent, because the song was skipped, cannot be made by anybody else who has the song.
func TestNames_NeverSent(t *testing.T) {
	change, items := song(t, 2)
	sent := Sign(key, 3, change, items[:1], items[1:])
	never := proto.CloneOf(items[1].Seal)
	never.Signature = ed25519.Sign(ed25519.NewKeyFromSeed(slices.Repeat([]byte{1}, ed25519.SeedSize)), signed(never))
	if Names(sent, never) {
		t.Error("another's seal is named")
	}
}

// Whatever a peer changes in a seal, also where one field ends and the next begins: it is named no more.
func TestNames_Property_Altered(t *testing.T) {
	change, items := song(t, 40)
	before := Sign(key, 3, change, slices.Collect(slices.Chunk(items, messages.SealItems))...)
	good := items[16].Seal
	rapid.Check(t, func(t *rapid.T) {
		s := proto.CloneOf(good)
		fields := []*[]byte{&s.Song, &s.Next, &s.Hashes, &s.Signature} // in the order in which they are signed
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			at := rapid.IntRange(0, len(fields)-1).Draw(t, "field")
			field := fields[at]
			n := rapid.IntRange(0, len(*field)).Draw(t, "byte")
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				if n < len(*field) {
					(*field)[n] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				}
			case 1: // its end belongs to the next field
				if at+1 < len(fields) {
					next := fields[at+1]
					*next = slices.Concat((*field)[n:], *next)
					*field = (*field)[:n]
				}
			case 2: // the next field's beginning belongs to it
				if at+1 < len(fields) {
					next := fields[at+1]
					n = min(n, len(*next))
					*field = slices.Concat(*field, (*next)[:n])
					*next = (*next)[n:]
				}
			case 3:
				*field = (*field)[:n]
			default:
				s.First, s.Epoch = s.First^rapid.Uint64Range(0, 3).Draw(t, "first"), s.Epoch^rapid.Uint64Range(0, 3).Draw(t, "epoch")
			}
		}
		if same := proto.Equal(s, good); Names(before, s) != same {
			t.Fatalf("%v is named: %v", s, !same)
		}
	})
}

// What the proof of a seal costs, by the one before it and by its signature.
func BenchmarkProof(b *testing.B) {
	change, items := song(b, 2*messages.SealItems)
	before := Sign(key, 3, change, slices.Collect(slices.Chunk(items, messages.SealItems))...)
	s, public := items[messages.SealItems].Seal, key.Public().(ed25519.PublicKey)
	b.Run("named", func(b *testing.B) {
		for b.Loop() {
			if !Names(before, s) {
				b.Fatal("not named")
			}
		}
	})
	b.Run("signature", func(b *testing.B) {
		for b.Loop() {
			if err := Verify(public, s); err != nil {
				b.Fatal(err)
			}
		}
	})
}
