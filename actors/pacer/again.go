package pacer

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"

	"conga/actors/pacer/place"
	"conga/messages"
)

// Opener opens the song called name, or the mp3 that was made of it: see Config.
type Opener func(name, madeOf, madeSum string) (File, error)

// ErrOther: the file is not the one that was broadcast.
var ErrOther = errors.New("the file has changed since it was broadcast")

// Again yields the items of the song that were given out, as they were: its change, and the chunks of its first Played
// frames. It cuts the file as the pacer does. The last of all is an error if the song cannot be made again. It is ErrOther
// if the file is another one: by the sum of the frames, which the log has of a song that has ended; else by its size and time.
func Again(song place.Started, open Opener) iter.Seq2[*messages.Item, error] {
	return func(yield func(*messages.Item, error) bool) {
		r, err := rewind(song, open)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = r.cutter.file.Close() }() // it was only read
		for {
			if len(r.cut) == 0 {
				r.add(r.cutter.group())
			}
			items, err := r.take()
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if err == nil {
				continue
			}
			if err := r.proven(err); err != nil {
				yield(nil, err)
			}
			return
		}
	}
}

// rewind puts a song of the past on a reel.
func rewind(song place.Started, open Opener) (*reel, error) {
	file := fileOf(song)
	file.proven = song.Sum != ""
	c, first, err := file.open(open, int64(song.PerChunk), song.Played)
	if errors.Is(err, errChanged) {
		err = ErrOther
	}
	if err != nil {
		return nil, err
	}
	r, err := newReel(song, c, first)
	if err != nil {
		_ = c.file.Close()
		return nil, err
	}
	return r, nil
}

// proven says whether the reel, which ended for that reason, had what was given out.
func (r *reel) proven(end error) error {
	switch {
	case r.song.Sum == "" && errors.Is(end, io.EOF):
		return nil
	case r.song.Sum == "":
		return end
	case !errors.Is(end, io.EOF):
		return fmt.Errorf("%w: %w", ErrOther, end)
	case hex.EncodeToString(r.sum.Sum(nil)) != r.song.Sum:
		return ErrOther
	}
	return nil
}
