package pacer

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"conga/actors/internal/mp3"
	"conga/actors/internal/seal"
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
	cut     []batch        // not yet taken
	reading bool           // the cutter is at work
	whole   bool           // there is no more to cut
	begun   bool           // the change is taken
	chunks  uint64         // so many were taken
	frame   int64          // the first one that is not taken
	sum     hash.Hash      // over all frames that were taken
	late    int64          // so many of the first frames were too late to be given out

	numbered struct { // what is cut
		chunks uint64
		frames int64
	}
}

// batch is a group with its numbers. The first of a song has its change, too.
type batch struct {
	items  []*messages.Item
	chunks uint64
	frames int64
	err    error
}

// newReel begins at the song's change.
func newReel(song place.Started, c *cutter, first group) (*reel, error) {
	change, err := changeOf(song)
	if err != nil {
		return nil, err
	}
	r := &reel{song: song, cutter: c, change: change, sum: sha256.New()}
	if first.err != nil { // the song has no chunks
		r.cut = []batch{{items: []*messages.Item{change}}}
	}
	r.add(first)
	return r, nil
}

// wants says whether more is to be cut.
func (r *reel) wants() bool { return !r.reading && !r.whole && len(r.cut) < readAhead }

// add numbers what was cut.
func (r *reel) add(g group) {
	b := batch{chunks: uint64(len(g.chunks)), err: g.err}
	if r.numbered.chunks == 0 && g.err == nil {
		b.items = append(b.items, r.change)
	}
	for _, c := range g.chunks {
		b.items = append(b.items, r.item(c))
		b.frames += c.n
	}
	r.cut = append(r.cut, b)
	r.whole = g.err != nil
}

func (r *reel) item(c chunk) *messages.Item {
	r.numbered.chunks++
	item := messages.NewChunk(r.song.Number+r.numbered.chunks, r.numbered.frames, c.frames)
	item.Song = r.change.Change
	r.numbered.frames += c.n
	return item
}

// seal seals what is taken next, and with it all that is cut, so that each seal names the one behind it. If the song is
// skipped, the seals of what is not taken are never seen.
func (r *reel) seal(key ed25519.PrivateKey, epoch uint64) {
	var groups [][]*messages.Item
	for _, b := range r.cut {
		if len(b.items) == 0 || b.items[0].Seal != nil {
			break
		}
		groups = append(groups, b.items)
	}
	if len(groups) == 0 {
		return
	}
	seal.Sign(key, epoch, r.change, groups...)
}

// errNotYet: the disk has brought no more so far.
var errNotYet = errors.New("the disk does not answer")

// take returns the next items, or what ended the song, or errNotYet.
func (r *reel) take() ([]*messages.Item, error) {
	if len(r.cut) == 0 {
		return nil, errNotYet
	}
	b := r.cut[0]
	r.cut = r.cut[1:]
	r.begun = true
	for _, item := range b.items {
		r.sum.Write(item.Frames) // a change has none
	}
	r.chunks += b.chunks
	r.frame += b.frames
	return b.items, b.err
}

// tooLate notes that the item is not given out.
func (r *reel) tooLate(item *messages.Item) {
	if item.Change == nil {
		r.late = item.FirstFrame + r.cutter.perChunk
	}
}

// given is the song's sum, to be compared with the sum of what a listener received.
func (r *reel) given() messages.SongSum {
	return messages.SongSum{
		Song: r.song.Name, First: r.song.Number + 1, Chunks: r.chunks,
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
