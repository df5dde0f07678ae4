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
// ancestor asked. Earlier items stay valid.
var errLie = errors.New("the upstream sent what the server did not")

// errHole marks an item behind the one that is needed next: perhaps another ancestor
// has the missing ones. errOld marks music of an earlier epoch. Neither means that the
// upstream lies: it passes on what it got.
var (
	errHole = errors.New("the upstream leaves items out")
	errOld  = errors.New("the upstream sends an older server's music")
)

// errAnew marks an item with a later seal and another song than its number had before: the
// server's log was restored from a copy, or lost, and it has begun another broadcast.
var errAnew = errors.New("the server's broadcast does not continue the one that was heard")

// maxNumber bounds the numbers that are believed without a proof, so that the next one does not overflow.
const maxNumber = 1 << 62

// flow takes items from a link for the window: each number once, in order, and each
// checked BEFORE anybody can read it.
type flow struct {
	newest *messages.Item    // in the window
	key    ed25519.PublicKey // nil: nothing can be proved yet

	seal *messages.Seal       // covers the items that come now
	good *messages.Seal       // the newest that was proved, from any link
	song *messages.SongChange // the song whose chunks come now
	name []byte               // song's hash, as in seals
	next uint64               // 0 before the first
	last uint64               // the newest number that came on this link
	// chunk checks the content of a chunk; nil: it must be mp3 frames.
	chunk func(frames []byte) error
	// epoch is the epoch of the newest seal from which an item was taken.
	epoch uint64

	tally *Tally
}

// resync begins where the window is, with the server's last WELCOME, nil if there was none. The window may
// have an item that was not counted, and no link is open. It reports whether the window is of an earlier
// broadcast than the server's.
func (f *flow) resync(next uint64, last *messages.Item, welcome *messages.Welcome) (anew bool) {
	f.next, f.newest = next, last
	f.tally.resync(next)
	f.key = keyIn(welcome, nil)
	if last != nil {
		f.song, f.name = last.Song, last.Seal.GetSong()
		if f.key != nil && seal.Verify(f.key, last.Seal) == nil { // otherwise it came before the key was known
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

// link begins with another upstream.
func (f *flow) link() {
	f.seal = nil
	f.last = 0
}

// trust sets the key with which seals are proved from now on. It checks the present seal again, and trusts no
// earlier one.
func (f *flow) trust(key ed25519.PublicKey) error {
	f.key, f.good = key, nil
	if f.seal == nil {
		return nil
	}
	return f.vouch(f.seal)
}

// vouch takes a seal that came on the link.
func (f *flow) vouch(s *messages.Seal) error {
	f.seal = nil
	if f.key != nil {
		if !proto.Equal(s, f.good) { // after a splice the same seal comes again
			if err := seal.Verify(f.key, s); err != nil {
				return fmt.Errorf("%w: %w", errLie, err)
			}
			f.good = s
		}
		if s.GetEpoch() < f.epoch {
			return fmt.Errorf("%w: of epoch %d, not %d", errOld, s.GetEpoch(), f.epoch)
		}
	}
	if len(s.GetSong()) != messages.HashSize { // with a key, Verify has checked that
		return fmt.Errorf("%w: a seal without its song", errLie)
	}
	f.seal = s
	return nil
}

// restart forgets the broadcast. Another one follows, of that epoch or later.
func (f *flow) restart(epoch uint64) {
	f.newest, f.next, f.song, f.name, f.good = nil, 0, nil, nil, nil
	f.tally.sum = nil
	f.epoch = epoch
	f.link()
}

// take checks an item at now, in microseconds on the server's clock, and counts it if it is for the window.
// It drops items that were there before. If there is a hole before the item, it returns errHole and does not
// take it, unless holes are allowed or the play-out time of all missing items is over: then nobody can
// need them, and a chain that was without music for long does not search for them node by node.
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
			return fmt.Errorf("%w: %d to %d", errHole, f.next, item.Number-1)
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

// prove checks the item against its seal.
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

// sing begins the song of a song change.
func (f *flow) sing(change *messages.Item) {
	name := change.Hash()
	f.song, f.name = change.Change, name[:]
}

// another reports whether a later seal of the server says that the chunk belongs to another song than the
// present one.
func (f *flow) another(chunk *messages.Item) bool {
	return chunk.Change == nil && f.key != nil && f.song != nil && f.seal.GetEpoch() > f.epoch && !bytes.Equal(f.seal.GetSong(), f.name)
}

// place finds the song of a new item, and checks that a chunk fits into it.
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
	_, err := mp3.CheckChunk(frames)
	return err
}

// known reports whether the item is not new. A song change may also be sent to tell a
// newcomer which song it is in; then its number is below those that were asked for. A
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
	return true, nil // the previous upstream sent it after this link was asked for it
}
