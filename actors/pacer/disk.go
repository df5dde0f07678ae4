package pacer

import (
	"errors"
	"io"
	"time"

	"conga/actors/pacer/place"
	"conga/messages"
)

const (
	// diskPatience is how long the pacer waits for data that it needs now: a sleeping disk
	// needs some seconds to spin up.
	diskPatience = 10 * time.Second
	// maxCalls bounds the calls that wait for a disk that hangs: each of them holds a thread.
	maxCalls = 4
)

// The songs' disk may sleep, hang, or be a network drive. So each call to it runs in a goroutine of its own and
// comes back to the actor as a message.

// opening is a song whose file is being opened.
type opening struct {
	file     wanted
	perChunk int64
	length   int64
	until    time.Time // from then on the disk counts as one that does not answer
	asked    bool      // the call was made
	then     func(*cutter, group, error)
}

// wanted says which file is meant. Another file of the same name would give other chunks for the
// same numbers, and the catalog's sample rate and number of frames are not true of it.
type wanted struct {
	name              string
	bytes, modifiedUs int64
	madeOf, madeSum   string // of a song that was converted: the converted file is opened
	proven            bool   // what is cut is checked in the end, so that a copy of the file will do
}

var errChanged = errors.New("the file has changed")

// fileOf says which file the song was.
func fileOf(s place.Started) wanted {
	return wanted{name: s.Name, bytes: s.FileBytes, modifiedUs: s.ModifiedUs, madeOf: s.MadeOf, madeSum: s.MadeSum}
}

// opened is the result of an opening: a cutter that has cut its first group, or an error.
type opened struct {
	opening *opening
	cutter  *cutter
	first   group
	err     error
}

// read is a group that was cut ahead.
type read struct {
	reel  *reel
	group group
}

// IgnoreDeadLetterLogging: an answer that comes when the actor has stopped is not worth a line in the log.
func (opened) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging is the same.
func (read) IgnoreDeadLetterLogging() {}

// open opens the file. Once that has succeeded or failed, the actor calls then.
func (p *pacer) open(file wanted, perChunk int32, length int64, then func(*cutter, group, error)) {
	p.opening = &opening{file: file, perChunk: int64(perChunk), length: length, until: p.cfg.Now().Add(diskPatience), then: then}
	p.askDisk()
}

// askDisk starts what is to be read now, unless too many calls hang.
func (p *pacer) askDisk() {
	if o := p.opening; o != nil && !o.asked && p.calls < maxCalls {
		o.asked = true
		openFile := p.cfg.Open
		p.call(func() any {
			c, first, err := o.file.open(openFile, o.perChunk, o.length)
			return opened{o, c, first, err}
		})
	}
	if r := p.reel; r != nil && r.wants() && p.calls < maxCalls {
		r.reading = true
		p.call(func() any { return read{r, r.cutter.group()} })
	}
}

func (p *pacer) call(disk func() any) {
	p.calls++
	root, self := p.root, p.self
	go func() { root.Send(self, disk()) }()
}

func (w wanted) open(openFile Opener, perChunk, length int64) (*cutter, group, error) {
	file, err := openFile(w.name, w.madeOf, w.madeSum)
	if err != nil {
		return nil, group{}, err
	}
	if w.madeOf == "" && !w.proven && (file.Bytes != w.bytes || file.ModifiedUs != w.modifiedUs) {
		_ = file.Close()
		return nil, group{}, errChanged
	}
	c := newCutter(w.name, perChunk, length, file)
	first := c.group()
	if first.err != nil && !errors.Is(first.err, io.EOF) {
		_ = file.Close()
		return nil, group{}, first.err
	}
	return c, first, nil
}

// came takes what the disk has brought. It closes what is no longer wanted, and says whether the pacer waits for it.
func (p *pacer) came(msg any) (awaited bool) {
	p.calls--
	switch msg := msg.(type) {
	case opened:
		if msg.opening != p.opening {
			if msg.cutter != nil {
				_ = msg.cutter.file.Close()
			}
			break
		}
		awaited, p.opening = true, nil
		msg.opening.then(msg.cutter, msg.first, msg.err)
	case read:
		msg.reel.reading = false
		if msg.reel != p.reel {
			_ = msg.reel.cutter.file.Close()
			break
		}
		msg.reel.add(msg.group)
		awaited = !p.starved.IsZero()
	}
	p.askDisk()
	return awaited
}

// refill takes the next items and seals them. If the disk has not brought them yet, it says how long
// to wait for them; after that the song ends.
func (p *pacer) refill() (wait time.Duration) {
	if o := p.opening; o != nil {
		if wait = o.until.Sub(p.cfg.Now()); wait > 0 {
			return wait
		}
		p.opening = nil
		o.then(nil, group{}, errNotYet)
		return 0
	}
	if p.skipped() {
		p.end(errSkipped)
		return 0
	}
	items, err := p.reel.take()
	p.askDisk()
	switch {
	case len(items) > 0:
		p.starved = time.Time{}
		p.seal(items)
	case errors.Is(err, errNotYet):
		if p.starved.IsZero() {
			p.starved = p.cfg.Now()
		}
		if wait = p.starved.Add(diskPatience).Sub(p.cfg.Now()); wait > 0 {
			return wait
		}
		p.end(err)
	default:
		p.end(err)
	}
	return 0
}

// drop closes the song that is on. If a call still reads the file, came closes it when that call returns.
func (p *pacer) drop() {
	if r := p.reel; r != nil && !r.reading {
		_ = r.cutter.file.Close()
	}
	p.reel, p.starved = nil, time.Time{}
}

// lookAgain has the catalog look at its folder, because a song that it knows could not be played.
func (p *pacer) lookAgain() {
	p.root.Send(p.cfg.Catalog(), &messages.LookAgain{})
}
