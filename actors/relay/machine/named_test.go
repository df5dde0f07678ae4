package machine

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/actors/internal/broadcast"
	"conga/actors/internal/seal"
	"conga/messages"
)

// A seal that the one before it names is proved without its signature; a seal behind a hole, and one from another run of the
// server, is not.
func TestFlow_NamedSeal(t *testing.T) {
	b, later := broadcast.Record(80), broadcast.RecordIn(4, broadcast.StartAt, 80)
	for name, c := range map[string]struct {
		then  *messages.Seal
		named bool
	}{
		"the next":                {b.Item(17).Seal, true},
		"behind a hole":           {b.Item(33).Seal, false},
		"again":                   {proto.CloneOf(b.Item(1).Seal), true}, // it is proved already
		"the next, another epoch": {later.Item(17).Seal, false},
	} {
		f := trusting(t, b)
		must(t, f.vouch(b.Item(1).Seal))
		f.key = broadcast.Key(9).Public().(ed25519.PublicKey) // of another server: every signature is wrong
		if err := f.vouch(c.then); (err == nil) != c.named {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever comes, a flow that lets seals name each other takes exactly what a flow takes that checks every signature, and gives
// the same reasons for what it refuses. Both take only what a server has sent.
func TestFlow_Property_AsOneByOne(t *testing.T) {
	var runs []*broadcast.Broadcast
	for epoch, chunks := range [][]int{{50, 3, 60}, {50, 3, 60}, {20, 90}} { // the last is of a log that was restored from a copy
		runs = append(runs, broadcast.RecordIn(uint64(3+epoch), broadcast.StartAt, chunks...))
	}
	rapid.Check(t, func(t *rapid.T) {
		f, g := &flow{tally: &Tally{}}, &flow{tally: &Tally{}}
		must2(t, f.trust(runs[0].Key))
		must2(t, g.trust(runs[0].Key))
		b, at := runs[0], uint64(1)
		said := (*messages.Seal)(nil) // the newest that was sent
		for range rapid.IntRange(1, 100).Draw(t, "length") {
			switch rapid.IntRange(0, 24).Draw(t, "what") {
			case 0:
				at = uint64(rapid.IntRange(1, len(b.Items)).Draw(t, "goes on with"))
			case 1:
				b = runs[rapid.IntRange(0, len(runs)-1).Draw(t, "run")]
			case 2: // a seal out of turn, which is good or not
				said = tampered(t, b.Item(uint64(rapid.IntRange(1, len(b.Items)).Draw(t, "seal of"))).Seal)
				both(t, runs, f, g, func(f *flow) error { return f.vouch(said) })
			case 3, 4:
				f.link()
				g.link()
				said = nil
			}
			if at > uint64(len(b.Items)) {
				break
			}
			if s := b.Item(at).Seal; s != said {
				said = s
				if rapid.IntRange(0, 5).Draw(t, "tampers") == 0 {
					s = tampered(t, s)
				}
				both(t, runs, f, g, func(f *flow) error { return f.vouch(s) })
			}
			if change := b.Item(at).Song.GetNumber(); f.song.GetNumber() != change && b.Item(at).Change == nil {
				both(t, runs, f, g, func(f *flow) error { return f.take(b.Fresh(change), 0, true) })
			}
			item := func() *messages.Item { return b.Fresh(at) }
			if rapid.IntRange(0, 15).Draw(t, "alters") == 0 && b.Item(at).Change == nil {
				item = func() *messages.Item {
					own := b.Item(at)
					return messages.NewChunk(at, own.FirstFrame, append(bytes.Clone(own.Frames[:len(own.Frames)-1]), 7))
				}
			}
			both(t, runs, f, g, func(f *flow) error { return f.take(item(), 0, true) })
			at++
		}
	})
}

// both does it with f, and with g, which is to check every signature. What follows must be the same.
func both(t *rapid.T, runs []*broadcast.Broadcast, f, g *flow, do func(*flow) error) {
	t.Helper()
	g.good = nil
	one, other := do(f), do(g)
	if fmt.Sprint(one) != fmt.Sprint(other) || f.next != g.next || f.epoch != g.epoch ||
		counts(f) != counts(g) || !proto.Equal(f.seal, g.seal) {
		t.Fatalf("%v, next %d; one by one: %v, next %d", one, f.next, other, g.next)
	}
	if last := f.newest; last != nil && !sent(runs, last) {
		t.Fatalf("item %d is not the server's", last.Number)
	}
}

// sent reports whether a server has sent the item: it has sent its seal.
func sent(runs []*broadcast.Broadcast, item *messages.Item) bool {
	return seal.Check(item.Seal, item) == nil && slices.ContainsFunc(runs, func(b *broadcast.Broadcast) bool {
		first := item.Seal.GetFirst()
		return first <= uint64(len(b.Items)) && proto.Equal(item.Seal, b.Item(first).Seal)
	})
}

func counts(f *flow) [4]int64 {
	return [...]int64{f.tally.received, f.tally.lost, f.tally.twice, f.tally.unproved}
}

// tampered returns a seal that a hostile node makes of the server's.
func tampered(t *rapid.T, own *messages.Seal) *messages.Seal {
	s := proto.CloneOf(own)
	bit := func(field []byte) {
		if len(field) > 0 {
			field[rapid.IntRange(0, len(field)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
	}
	switch rapid.IntRange(0, 7).Draw(t, "tampers with") {
	case 0:
		bit(s.Signature)
	case 1:
		bit(s.Next)
	case 2:
		bit(s.Hashes)
	case 3:
		bit(s.Song)
	case 4:
		s.Epoch++
	case 5:
		s.First++
	case 6:
		s.Next = nil
	default: // nothing
	}
	return s
}
