package pacer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"conga/actors/internal/mp3"
	"conga/messages"
)

// reel cuts an open song into numbered items.
type reel struct {
	song   Started
	length int64 // how many of its frames there are to cut
	file   io.Closer
	frames *mp3.Reader
	change *messages.Item // begins the song
	begun  bool           // the change is given out
	number uint64         // of the next chunk
	frame  int64          // the next chunk's first frame
	sum    hash.Hash      // over all frames so far
	broken error          // what ended the file, told after the chunk before it
}

// openReel begins at the song's change and ends after length frames. It takes file over.
func openReel(song Started, length int64, file io.ReadCloser) (*reel, error) {
	change, err := song.change()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &reel{
		song: song, length: length, file: file, frames: mp3.NewReader(file), change: change,
		number: song.Number + 1, sum: sha256.New(),
	}, nil
}

// group returns the next items, at most messages.SealItems. It returns none with io.EOF
// after the last, and with another error where the file breaks off.
func (r *reel) group() ([]*messages.Item, error) {
	var items []*messages.Item
	for len(items) < messages.SealItems {
		item, err := r.next()
		if err != nil && len(items) == 0 {
			return nil, err
		}
		if err != nil {
			break
		}
		items = append(items, item)
	}
	return items, nil
}

func (r *reel) next() (*messages.Item, error) {
	if !r.begun {
		r.begun = true
		return r.change, nil
	}
	frames, n := []byte(nil), int64(0)
	for n < int64(r.song.PerChunk) && r.frame+n < r.length && r.broken == nil {
		frame, _, err := r.frames.Next()
		if err != nil {
			r.broken = err
			break
		}
		frames = append(frames, frame...)
		n++
	}
	if n == 0 {
		switch {
		case r.frame >= r.length:
			return nil, io.EOF
		case errors.Is(r.broken, io.EOF):
			return nil, fmt.Errorf("frame %d of %s: the file ends here, it was written to: %w", r.frame, r.song.Name, io.ErrUnexpectedEOF)
		}
		return nil, fmt.Errorf("frame %d of %s: %w", r.frame, r.song.Name, r.broken)
	}
	item := messages.NewChunk(r.number, r.frame, frames)
	item.Song = r.change.Change
	r.sum.Write(frames)
	r.number++
	r.frame += n
	return item, nil
}

// chunks is how many chunks were cut so far.
func (r *reel) chunks() uint64 { return r.number - r.song.Number - 1 }

// given is what anybody can compare with what a listener received.
func (r *reel) given() messages.SongSum {
	return messages.SongSum{
		Song: r.song.Name, First: r.song.Number + 1, Chunks: r.chunks(),
		SHA256: hex.EncodeToString(r.sum.Sum(nil)),
	}
}
