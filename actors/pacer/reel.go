package pacer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"conga/actors/internal/mp3"
	"conga/actors/pacer/place"
	"conga/messages"
)

// readAhead is how many groups of a song are read before they are needed, about a minute.
// If a disk sleeps or hangs for less than that in the middle of a song, nobody hears it.
const readAhead = 32

// cutter cuts an open file into chunks. The disk may be slow, so this is done outside the actor, by
// one goroutine at a time.
type cutter struct {
	name     string
	file     io.Closer
	frames   *mp3.Reader
	perChunk int64
	length   int64 // how many frames there are to cut
	frame    int64 // cut so far
	broken   error // what ended the file; it is returned after the chunk before it
}

// group is some chunks that get one seal, or why there are no more.
type group struct {
	chunks []chunk
	err    error
}

// chunk is whole frames.
type chunk struct {
	frames []byte
	n      int64
}

func newCutter(name string, perChunk, length int64, file io.ReadCloser) *cutter {
	return &cutter{name: name, file: file, frames: mp3.NewReader(file), perChunk: perChunk, length: length}
}

// group cuts the next chunks, at most as many as one seal covers; the first seal of a song covers its change, too.
// After the last chunk its error is io.EOF; if the file breaks off or breaks the parser, it is another one.
func (c *cutter) group() (g group) {
	defer func() {
		if p := recover(); p != nil { // no file may stop the server
			g = group{err: fmt.Errorf("frame %d of %s: %v", c.frame, c.name, p)}
		}
	}()
	size := messages.SealItems
	if c.frame == 0 {
		size--
	}
	for len(g.chunks) < size {
		next, err := c.next()
		if err != nil {
			if len(g.chunks) == 0 {
				g.err = err
			}
			break
		}
		g.chunks = append(g.chunks, next)
	}
	return g
}

func (c *cutter) next() (chunk, error) {
	var next chunk
	for next.n < c.perChunk && c.frame+next.n < c.length && c.broken == nil {
		frame, _, err := c.frames.Next()
		if err != nil {
			c.broken = err
			break
		}
		next.frames = append(next.frames, frame...)
		next.n++
	}
	if next.n == 0 {
		switch {
		case c.frame >= c.length:
			return chunk{}, io.EOF
		case errors.Is(c.broken, io.EOF):
			return chunk{}, fmt.Errorf("frame %d of %s: the file ends here, it was written to: %w", c.frame, c.name, io.ErrUnexpectedEOF)
		}
		return chunk{}, fmt.Errorf("frame %d of %s: %w", c.frame, c.name, c.broken)
	}
	c.frame += next.n
	return next, nil
}

// reel is the song that is on: it numbers what was cut.
type reel struct {
	song    place.Started
	cutter  *cutter
	change  *messages.Item // begins the song
	cut     []group        // not yet taken
	reading bool           // the cutter is at work
	whole   bool           // there is no more to cut
	begun   bool           // the change is taken
	number  uint64         // of the next chunk
	frame   int64          // the next chunk's first frame
	sum     hash.Hash      // over all frames so far
	late    int64          // so many of the first frames were too late to be given out
}

// newReel begins at the song's change.
func newReel(song place.Started, c *cutter, first group) (*reel, error) {
	change, err := changeOf(song)
	if err != nil {
		return nil, err
	}
	r := &reel{song: song, cutter: c, change: change, number: song.Number + 1, sum: sha256.New()}
	r.add(first)
	return r, nil
}

// wants says whether more is to be cut.
func (r *reel) wants() bool { return !r.reading && !r.whole && len(r.cut) < readAhead }

func (r *reel) add(g group) {
	r.cut = append(r.cut, g)
	r.whole = g.err != nil
}

// errNotYet: the disk has brought no more so far.
var errNotYet = errors.New("the disk does not answer")

// take returns the next items, or what ended the song, or errNotYet.
func (r *reel) take() ([]*messages.Item, error) {
	var items []*messages.Item
	if !r.begun {
		r.begun = true
		items = append(items, r.change)
		if r.cut[0].err != nil {
			return items, nil
		}
	}
	if len(r.cut) == 0 {
		return nil, errNotYet
	}
	g := r.cut[0]
	r.cut = r.cut[1:]
	for _, c := range g.chunks {
		items = append(items, r.item(c))
	}
	return items, g.err
}

func (r *reel) item(c chunk) *messages.Item {
	item := messages.NewChunk(r.number, r.frame, c.frames)
	item.Song = r.change.Change
	r.sum.Write(c.frames)
	r.number++
	r.frame += c.n
	return item
}

// tooLate notes that the item is not given out.
func (r *reel) tooLate(item *messages.Item) {
	if item.Change == nil {
		r.late = item.FirstFrame + r.cutter.perChunk
	}
}

// chunks is how many chunks were taken so far.
func (r *reel) chunks() uint64 { return r.number - r.song.Number - 1 }

// given is the song's sum, to be compared with the sum of what a listener received.
func (r *reel) given() messages.SongSum {
	return messages.SongSum{
		Song: r.song.Name, First: r.song.Number + 1, Chunks: r.chunks(),
		SHA256: hex.EncodeToString(r.sum.Sum(nil)),
	}
}

// changeOf is the item that begins the song on its way to the listeners.
func changeOf(s place.Started) (*messages.Item, error) {
	return messages.NewSongChange(&messages.SongChange{
		Number: s.Number, Song: s.Name, Title: s.Title, Artist: s.Artist,
		DurationUs: s.DurationUs, SampleRate: s.SampleRate, PlayAtUnixUs: s.PlayAt,
		Frames: s.Frames, FramesPerChunk: s.PerChunk, GainMb: s.GainMb, PeakPermille: s.Peak,
		SlackBeforeUs: s.SlackBefore, SlackUs: s.Slack,
	})
}

// due is when the item leaves the server.
func due(item *messages.Item) time.Time { return time.UnixMicro(item.Due()) }
