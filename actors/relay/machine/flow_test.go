package machine

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"conga/actors/internal/broadcast"
	"conga/actors/internal/seal"
	"conga/messages"
)

// feed passes f the reader's next items.
func feed(f *flow, r *broadcast.Reader, holes bool) error {
	s, song, item := r.Next()
	if s != nil {
		if err := f.vouch(s); err != nil {
			return err
		}
	}
	if song != nil {
		if err := f.take(song, 0, holes); err != nil {
			return err
		}
	}
	return f.take(item, 0, holes)
}

// account computes the counters that a flow must have, in the simplest way.
type account struct {
	b                     *broadcast.Broadcast
	next                  uint64
	received, lost, twice int64
	songs                 []messages.SongSum
	whole                 bool // every chunk of the song so far
}

// got records that items up to number came, and whether there was a hole before it.
func (a *account) got(number uint64) {
	hole := a.next > 0 && number > a.next
	if hole {
		a.lost += int64(number - a.next)
		a.whole = false
	}
	item := a.b.Item(number)
	switch {
	case item.Change == nil && item.Number == item.Song.GetNumber()+1:
		a.whole = true
	case item.Change != nil && a.whole:
		i := slices.IndexFunc(a.b.Songs, func(s messages.SongSum) bool { return s.First+s.Chunks == number })
		a.songs = append(a.songs, a.b.Songs[i])
		a.whole = false
	case item.Change != nil:
		a.whole = false
	}
	a.received++
	a.next = number + 1
}

// For any sequence of links that resume, overlap, leave holes or lie, the window has only the server's
// items, each number once and in order, and the counters are exact.
func TestFlow_Accounts(t *testing.T) {
	b := broadcast.Record(20, 1, 40, 7, 30)
	stranger := broadcast.Key(9)
	rapid.Check(t, func(t *rapid.T) {
		f := &flow{tally: &Tally{}}
		must2(t, f.trust(b.Key))
		a := &account{b: b}
		r := &broadcast.Reader{B: b, At: uint64(rapid.IntRange(1, 60).Draw(t, "joins at"))}
		f.link()
		newest := uint64(0) // on this link
		relink := func(at uint64) {
			f.link()
			r = &broadcast.Reader{B: b, Asked: a.next, At: min(max(at, 1), uint64(len(b.Items)))}
			newest = 0
		}
		for range rapid.IntRange(1, 150).Draw(t, "length") {
			if r.At > uint64(len(b.Items)) {
				break
			}
			before := f.newest
			unchanged := func(err error, want error) {
				if !errors.Is(err, want) {
					t.Fatalf("%v, want %v", err, want)
				}
				if f.newest != before || f.next != a.next {
					t.Fatalf("after %v the next is %d, want %d", err, f.next, a.next)
				}
			}
			switch kind := rapid.IntRange(0, 19).Draw(t, "what"); kind {
			case 0: // resumes, perhaps with what the old link had brought in the meantime
				if a.next > 0 {
					asked := uint64(max(1, int64(a.next)-rapid.Int64Range(0, 5).Draw(t, "overlap")))
					relink(asked)
					r.Asked = asked
				}
			case 1: // an upstream with a hole
				at := a.next + uint64(rapid.IntRange(1, 30).Draw(t, "hole"))
				if a.next == 0 || at >= uint64(len(b.Items)) || at-1 == b.Item(at).Song.GetNumber() {
					continue // the last: its song change fills the hole
				}
				relink(at)
				change := b.Item(at).Song.GetNumber() // comes out of turn, as the song that at is in
				if !rapid.Bool().Draw(t, "allowed") {
					err := feed(f, r, false)
					if change == a.next { // but just in its turn
						a.got(change)
						before = f.newest
					}
					unchanged(err, errHole)
					relink(a.next)
					continue
				}
				must2(t, feed(f, r, true))
				if change >= a.next && change != at {
					a.got(change)
				}
				a.got(at)
				newest = at
			case 2: // one bit
				r2 := *r
				s, _, item := r2.Next()
				payload := bytes.Clone(item.Payload)
				i := rapid.IntRange(0, len(payload)-1).Draw(t, "byte")
				payload[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				bad, err := messages.ParseItem(item.Kind(), payload)
				if err != nil {
					continue // the connection ends there
				}
				if s != nil {
					must2(t, f.vouch(s))
				}
				unchanged(f.take(bad, 0, true), errLie)
				relink(a.next)
			case 3: // another's signature, then none
				item := b.Fresh(r.At)
				song := b.Fresh(b.Item(r.At).Song.GetNumber())
				forged := seal.Sign(stranger, 3, song, []*messages.Item{item})
				unchanged(f.vouch(forged), errLie)
				unchanged(f.take(b.Fresh(r.At), 0, true), errLie)
				relink(a.next)
			case 4: // the same chunk again
				if newest == 0 || b.Item(newest).Change != nil || !seal.Covers(f.seal, newest) {
					continue
				}
				a.twice++
				unchanged(f.take(b.Fresh(newest), 0, true), errLie)
				relink(a.next)
			case 5: // the broken-down relay begins again
				f = again(f, b)
				relink(a.next)
			default:
				number := r.At
				must2(t, feed(f, r, false))
				newest = max(newest, number)
				switch {
				case a.next > 0 && number < a.next:
				case a.next == 0 && b.Item(number).Change != nil: // it only says where the newcomer is
				default:
					a.got(number)
				}
			}
			if a.next == 0 {
				r.Asked = 0
			}
			if f.tally.received != a.received || f.tally.lost != a.lost || f.tally.twice != a.twice || f.next != a.next || f.tally.unproved != 0 {
				t.Fatalf("received %d lost %d twice %d next %d unproved %d, want %+v", f.tally.received, f.tally.lost, f.tally.twice, f.next, f.tally.unproved, *a)
			}
			if last := f.newest; last != nil {
				own := b.Item(last.Number)
				if last.Number != a.next-1 || !bytes.Equal(last.Payload, own.Payload) || last.PlayAt() != own.PlayAt() || last.Seal == nil {
					t.Fatalf("the newest in the window is not item %d as it was sent", a.next-1)
				}
			}
			if !slices.Equal(f.tally.songs, a.songs) {
				t.Fatalf("sums %v\nwant %v", f.tally.songs, a.songs)
			}
		}
	})
}

func must2(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// all feeds r to f up to and with number.
func all(t *testing.T, f *flow, r *broadcast.Reader, number uint64) {
	t.Helper()
	for r.At <= number {
		must(t, feed(f, r, false))
	}
}

func trusting(t *testing.T, b *broadcast.Broadcast) *flow {
	f := &flow{tally: &Tally{}}
	must(t, f.trust(b.Key))
	return f
}

// again is the flow of a relay that was restarted.
func again(f *flow, b *broadcast.Broadcast) *flow {
	next := &flow{tally: f.tally}
	next.resync(f.next, f.newest, &messages.Welcome{Key: b.Key})
	return next
}

// A song whose end was lost is not reported as whole, although the next song follows.
func TestFlow_HoleOverTheSongChange(t *testing.T) {
	b := broadcast.Record(10, 10)
	f := trusting(t, b)
	all(t, f, &broadcast.Reader{B: b, At: 1}, 8)
	f.link()
	must(t, feed(f, &broadcast.Reader{B: b, Asked: 9, At: 15}, true))
	// 9 to 11 of the first song and 13, 14 of the second; 12, the change, came in its place.
	if len(f.tally.songs) != 0 || f.tally.lost != 5 {
		t.Errorf("sums %v, lost %d", f.tally.songs, f.tally.lost)
	}
}

// An orphan that misses the song change itself gets it in its turn.
func TestFlow_OrphanAtTheSongChange(t *testing.T) {
	b := broadcast.Record(10, 10)
	f := trusting(t, b)
	all(t, f, &broadcast.Reader{B: b, At: 1}, 11)
	f.link()
	all(t, f, &broadcast.Reader{B: b, Asked: 12, At: 12}, 22)
	if !slices.Equal(f.tally.songs, b.Songs[:1]) || f.tally.lost+f.tally.twice != 0 || f.next != 23 {
		t.Errorf("sums %v, lost %d, twice %d, next %d", f.tally.songs, f.tally.lost, f.tally.twice, f.next)
	}
}

// After a restart of the relay the upstream continues in the middle of a song without a song
// change, because it was asked for the next number.
func TestFlow_ResyncKnowsTheSong(t *testing.T) {
	b := broadcast.Record(20)
	f := trusting(t, b)
	all(t, f, &broadcast.Reader{B: b, At: 1}, 8)
	all(t, again(f, b), &broadcast.Reader{B: b, Asked: 9, At: 9}, 21)
}

// A song change out of turn is believed only if the seal names it.
func TestFlow_LyingContext(t *testing.T) {
	b := broadcast.Record(20)
	change, err := messages.NewSongChange(&messages.SongChange{
		Number: 1, Song: "lie.mp3", SampleRate: 44100, FramesPerChunk: broadcast.PerChunk, PlayAtUnixUs: 1,
	})
	must(t, err)
	f := trusting(t, b)
	must(t, f.vouch(b.Item(20).Seal)) // of 17 to 21
	if err := f.take(change, 0, true); !errors.Is(err, errLie) {
		t.Errorf("a false song change: %v", err)
	}
	all(t, f, &broadcast.Reader{B: b, At: 20}, 21)
}

// A seal that came before the key was known proves nothing afterwards.
func TestFlow_KeyComesLater(t *testing.T) {
	b := broadcast.Record(20)
	f := &flow{tally: &Tally{}}
	song, item := b.Fresh(1), b.Fresh(2)
	must(t, f.vouch(seal.Sign(broadcast.Key(9), 99, song, []*messages.Item{item})))
	must(t, f.take(song, 0, false))
	must(t, f.take(item, 0, false))
	if f.tally.unproved != 1 {
		t.Errorf("unproved %d, want 1", f.tally.unproved)
	}
	if err := f.trust(b.Key); !errors.Is(err, errLie) {
		t.Errorf("a stranger's seal with the server's key: %v", err)
	}
	if err := f.take(b.Fresh(3), 0, false); !errors.Is(err, errLie) {
		t.Errorf("without a seal: %v", err)
	}
	f.link()
	all(t, f, &broadcast.Reader{B: b, Asked: 3, At: 3}, 21) // the stranger's epoch counts for nothing
}

// A peer's seal may be anything.
func TestFlow_HostileSeal(t *testing.T) {
	for _, key := range []byte{0, 1} {
		for _, s := range []*messages.Seal{
			{},
			{First: 1, Hashes: make([]byte, 12)},
			{First: 1 << 63, Song: make([]byte, 11), Hashes: make([]byte, 24)},
			{First: ^uint64(0), Song: make([]byte, 12), Hashes: make([]byte, 1000)},
		} {
			b := broadcast.Record(5)
			f := &flow{tally: &Tally{}}
			if key == 1 {
				must(t, f.trust(b.Key))
			}
			if f.vouch(s) == nil && (f.take(b.Fresh(1), 0, true) == nil || f.take(b.Fresh(2), 0, true) == nil) {
				t.Errorf("%v vouched for something", s)
			}
		}
	}
}

// Without a key the greatest number is refused: the next would be 0.
func TestFlow_LastNumber(t *testing.T) {
	b := broadcast.Record(5)
	f := &flow{tally: &Tally{}}
	all(t, f, &broadcast.Reader{B: b, At: 1}, 3)
	f.link()
	change, err := messages.NewSongChange(&messages.SongChange{Number: ^uint64(0), SampleRate: 48000, FramesPerChunk: 1})
	must(t, err)
	if err := f.take(change, 0, true); !errors.Is(err, errLie) || f.next != 4 {
		t.Errorf("%v, next %d", err, f.next)
	}
}

// The server was restarted; music of the earlier run is no longer accepted.
func TestFlow_OldEpoch(t *testing.T) {
	b := broadcast.Record(40)
	old := broadcast.Record(40)
	for _, group := range [][]*messages.Item{b.Items[:16], b.Items[16:32], b.Items[32:]} {
		seal.Sign(broadcast.Key(1), 4, b.Items[0], group)
	}
	f := trusting(t, b)
	all(t, f, &broadcast.Reader{B: old, At: 1}, 10)
	f.link()
	all(t, f, &broadcast.Reader{B: b, Asked: 11, At: 11}, 12)
	f.link()
	if err := feed(f, &broadcast.Reader{B: old, Asked: 13, At: 13}, true); !errors.Is(err, errOld) {
		t.Errorf("an old server's chunk: %v", err)
	}
}

// A link that was asked while another fed may answer after the song has changed. It then begins
// with chunks of the previous song: that is no lie, and nothing is counted twice.
func TestFlow_OverlapOverTheSongChange(t *testing.T) {
	b := broadcast.Record(10, 10)
	f := trusting(t, b)
	all(t, f, &broadcast.Reader{B: b, At: 1}, 14)
	f.link()
	all(t, f, &broadcast.Reader{B: b, Asked: 9, At: 9}, 22)
	if f.tally.lost+f.tally.twice != 0 || f.next != 23 || !slices.Equal(f.tally.songs, b.Songs[:1]) {
		t.Errorf("lost %d, twice %d, next %d, sums %v", f.tally.lost, f.tally.twice, f.next, f.tally.songs)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
