package machine

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"

	"conga/actors/internal/mp3"
	"conga/actors/internal/seal"
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// errLie marks an item that no honest upstream sends: its link is cut and the next
// ancestor asked. What came before it stays good.
var errLie = errors.New("the upstream sent what the server did not")

// errHole marks an item behind the one that is needed next: perhaps another ancestor
// has what is left out. errOld marks music of a server that another has succeeded.
// Neither says that the upstream lies: it passes on what it got.
var (
	errHole = errors.New("the upstream leaves out what is needed next")
	errOld  = errors.New("the upstream sends an older server's music")
)

// errAnew marks an item that the server has sealed later than what was taken before, and that
// belongs to another song than its number did: the server's log was restored from a copy, or
// lost, and its broadcast is another one.
var errAnew = errors.New("the server's broadcast does not go on from what was heard")

// maxNumber bounds the numbers that are believed without a proof: the one behind it exists.
const maxNumber = 1 << 62

// flow takes items from a link for the window: each number once, in order, each
// one checked BEFORE anybody can read it.
type flow struct {
	newest *messages.Item    // in the window
	key    ed25519.PublicKey // nil: nothing can be proved yet, so nothing is

	seal *messages.Seal       // vouches for what comes now
	good *messages.Seal       // the newest that was proved, down whatever link
	song *messages.SongChange // whose chunks come now
	name []byte               // of song, as seals name it
	next uint64               // 0 before the first
	last uint64               // the newest number that came down this link
	// chunk checks what a chunk holds where nothing else vouches for it; nil: mp3 frames.
	chunk func(frames []byte) error
	// epoch is that of the newest seal from which an item was taken.
	epoch uint64

	tally *Tally
}

// resync begins where the window is, with the server's word, nil if it said nothing. An item may be
// in the window that was not counted, and no link stands. It says whether the window is of an earlier
// broadcast than the server's.
func (f *flow) resync(next uint64, last *messages.Item, welcome *messages.Welcome) (anew bool) {
	f.next, f.newest = next, last
	f.tally.resync(next)
	f.key = keyIn(welcome, nil)
	if last != nil {
		f.song, f.name = last.Song, last.Seal.GetSong()
		if f.key != nil && seal.Verify(f.key, last.Seal) == nil { // else it came before there was a key
			f.good, f.epoch = last.Seal, last.Seal.GetEpoch()
		}
	}
	f.link()
	if proved := last == nil || f.good != nil; proved && welcome.GetAnew() && f.epoch < welcome.GetEpoch() {
		f.restart(welcome.GetEpoch())
		return next > 0
	}
	return false
}

// link says that another upstream begins to send.
func (f *flow) link() {
	f.seal = nil
	f.last = 0
}

// trust begins to ask for proofs. What came before the key was known vouches for nothing.
func (f *flow) trust(key ed25519.PublicKey) error {
	f.key, f.good = key, nil
	if f.seal == nil {
		return nil
	}
	return f.vouch(f.seal)
}

// vouch takes a seal that came down the link.
func (f *flow) vouch(s *messages.Seal) error {
	f.seal = nil
	if f.key != nil {
		if !proto.Equal(s, f.good) { // after a splice the same one comes again
			if err := seal.Verify(f.key, s); err != nil {
				return fmt.Errorf("%w: %w", errLie, err)
			}
			f.good = s
		}
		if s.GetEpoch() < f.epoch {
			return fmt.Errorf("%w: of epoch %d, not %d", errOld, s.GetEpoch(), f.epoch)
		}
	}
	if len(s.GetSong()) != messages.HashSize { // with a key, Verify has looked
		return fmt.Errorf("%w: a seal without its song", errLie)
	}
	f.seal = s
	return nil
}

// restart forgets the broadcast: what comes now is another one, of that epoch or later.
func (f *flow) restart(epoch uint64) {
	f.newest, f.next, f.song, f.name, f.good = nil, 0, nil, nil, nil
	f.tally.sum = nil
	f.epoch = epoch
	f.link()
}

// take checks an item at now, in microseconds of the server's clock, and counts it if it is for the
// window. Items that were there before are dropped. A hole is errHole, and nothing is taken,
// unless holes are allowed, or all that is missing should have been heard by now: then nobody
// can need it any more, and a chain that was without music for long is not searched for it
// node by node.
func (f *flow) take(item *messages.Item, now int64, holes bool) error {
	if err := f.prove(item); err != nil {
		return fmt.Errorf("%w: %w", errLie, err)
	}
	if again, err := f.known(item); again {
		return err
	}
	if f.another(item) {
		return errAnew
	}
	if err := f.place(item); err != nil {
		return fmt.Errorf("%w: %w", errLie, err)
	}
	if hole := item.Number - f.next; f.next > 0 && hole > 0 {
		if !holes && item.PlayAt() > now {
			return fmt.Errorf("%w: items %d to %d", errHole, f.next, item.Number-1)
		}
		f.tally.hole(hole)
	}
	if item.Change != nil {
		f.tally.finish()
		f.sing(item)
	}
	if f.key != nil {
		f.epoch = max(f.epoch, item.Seal.GetEpoch())
	}
	f.newest, f.next = item, item.Number+1
	f.tally.count(item, f.key != nil && item.Seal != nil)
	return nil
}

// prove compares the item with its seal.
func (f *flow) prove(item *messages.Item) error {
	if f.key != nil || f.seal != nil {
		if err := seal.Check(f.seal, item); err != nil {
			return err
		}
		item.Seal = f.seal
	}
	if item.Number > maxNumber {
		return fmt.Errorf("no broadcast has an item %d", item.Number)
	}
	return nil
}

// sing begins the song of a change.
func (f *flow) sing(change *messages.Item) {
	name := change.Hash()
	f.song, f.name = change.Change, name[:]
}

// another says whether the server's later word is that the chunk belongs to another song than
// the one that it would follow here.
func (f *flow) another(chunk *messages.Item) bool {
	return chunk.Change == nil && f.key != nil && f.song != nil && f.seal.GetEpoch() > f.epoch && !bytes.Equal(f.seal.GetSong(), f.name)
}

// place finds the song of an item that is new. One that another link has brought already
// may belong to the song before.
func (f *flow) place(item *messages.Item) error {
	if item.Change != nil {
		item.Song = item.Change
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
	check := f.chunk
	if check == nil {
		check = mp3Frames
	}
	if err := check(item.Frames); err != nil {
		return fmt.Errorf("chunk %d: %w", item.Number, err)
	}
	item.Song = song
	return nil
}

func mp3Frames(frames []byte) error {
	_, err := mp3.SplitChunk(frames)
	return err
}

// known says whether nothing of the item is new. A song change is also sent to tell
// a newcomer where it is; it then stands before the numbers that were asked for. A
// chunk that comes again on one link is a lie: no reader of a window gets one twice.
func (f *flow) known(item *messages.Item) (bool, error) {
	if item.Change != nil && (f.next == 0 || item.Number < f.next) {
		if f.next == 0 || item.Number > f.song.GetNumber() {
			f.sing(item)
		}
		return true, nil
	}
	again := item.Number <= f.last
	f.last = max(f.last, item.Number)
	if item.Number >= f.next {
		return false, nil
	}
	if again {
		f.tally.twice++
		return true, fmt.Errorf("%w: item %d again", errLie, item.Number)
	}
	return true, nil // asked for before the link that fed until now had brought it
}
