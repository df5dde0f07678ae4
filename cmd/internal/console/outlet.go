// Package console is between a command and the people or programs that watch it: output, input, the
// terminal and its signals. The music goes on if a terminal is stopped, a reader goes away or never
// reads, or a disk is full.
package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// room is how many bytes may wait for a reader that does not read.
const room = 1 << 20

// lastRoom is how many more bytes are taken after Last.
const lastRoom = 64 << 10

// LastWords is how long a command that ends waits until its last output is read.
const LastWords = time.Second

// ErrUnread: nobody reads the output, and the command ends.
var ErrUnread = errors.New("nobody reads what is printed")

// Outlet writes to a stream. At first Write waits for the stream and returns its error, so that a command
// that only prints is as fast as its reader. After Hurry, Write never waits and never fails: what the
// stream does not take is left out, and once it takes output again, a line says how much that was. Any
// goroutine may write; each Write stays whole.
type Outlet struct {
	to io.Writer
	// gap is called when something was left out and the stream takes output again; nil: a line is
	// written instead. failed is called with each error of the stream; it may be nil.
	gap    func(lines int)
	failed func(error)
	over   <-chan struct{} // see Until

	mu      sync.Mutex
	hurry   bool
	last    bool    // Last was called
	queue   []piece // oldest first
	waiting int     // bytes in it
	full    bool    // everything is left out until the queue is empty: one gap, not many
	left    int     // lines that were left out and not reported yet
	torn    bool    // the stream took only a part of the last piece
	writing bool    // drain is running
	idle    chan struct{}
	err     error // of the last write, since Last if that was called
}

// piece is one Write.
type piece struct {
	text []byte
	done chan error // has room for the answer; nil: nobody waits for it
}

// Option configures an Outlet.
type Option func(*Outlet)

// OnGap calls f when lines were left out, instead of printing a line.
func OnGap(f func(lines int)) Option { return func(o *Outlet) { o.gap = f } }

// OnError calls f with each error of the stream.
func OnError(f func(error)) Option { return func(o *Outlet) { o.failed = f } }

// Until ends every waiting Write with ErrUnread when over is closed.
func Until(over <-chan struct{}) Option { return func(o *Outlet) { o.over = over } }

// NewOutlet returns an Outlet that writes to the stream.
func NewOutlet(to io.Writer, options ...Option) *Outlet {
	o := &Outlet{to: to}
	for _, option := range options {
		option(o)
	}
	return o
}

// Hurry makes each Write return at once from now on.
func (o *Outlet) Hurry() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hurry = true
}

// Last makes room for the command's last output, however much waits already.
func (o *Outlet) Last() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.last {
		o.last, o.err = true, nil
	}
}

// Write takes p; see Outlet for whether it waits.
func (o *Outlet) Write(p []byte) (int, error) {
	done := o.take(p)
	if done == nil {
		return len(p), nil
	}
	select {
	case err := <-done:
		if err != nil {
			return 0, err
		}
		return len(p), nil
	case <-o.over:
		return 0, ErrUnread
	}
}

// take queues a copy of p, or leaves it out. If Write must wait, it returns a channel.
func (o *Outlet) take(p []byte) (done chan error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.hurry {
		done = make(chan error, 1)
	} else if o.crowded(len(p)) {
		o.left += lines(p)
		return nil
	}
	if o.last && o.full && o.gap == nil { // the gap is before these words
		o.push(piece{text: notice(o.left)})
		o.left, o.full = 0, false
	}
	o.push(piece{bytes.Clone(p), done})
	if !o.writing {
		o.writing, o.idle = true, make(chan struct{})
		go o.drain()
	}
	return done
}

func (o *Outlet) push(p piece) {
	o.queue = append(o.queue, p)
	o.waiting += len(p.text)
}

// crowded reports whether there is no room for this many more bytes.
func (o *Outlet) crowded(more int) bool {
	if o.last {
		return o.waiting+more > room+lastRoom
	}
	o.full = o.full || o.waiting+more > room
	return o.full
}

// drain writes until nothing waits. It is the only one that touches the stream.
func (o *Outlet) drain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.waits() {
		if o.left > 0 && (!o.full || len(o.queue) == 0) {
			if !o.tell() { // what waits is lost, too; the next Write tries again
				o.lose()
				break
			}
			continue
		}
		next := o.pop()
		err := o.write(next.text)
		if err != nil && next.done == nil {
			o.left += lines(next.text)
		}
		next.answer(err)
	}
	o.writing, o.full, o.queue = false, false, nil
	close(o.idle)
}

func (o *Outlet) waits() bool { return o.left > 0 || len(o.queue) > 0 }

func (o *Outlet) pop() piece {
	next := o.queue[0]
	o.queue[0] = piece{}
	o.queue = o.queue[1:]
	o.waiting -= len(next.text)
	return next
}

func (p piece) answer(err error) {
	if p.done != nil {
		p.done <- err
	}
}

// tell writes how much was left out; false if the stream does not take even that.
func (o *Outlet) tell() bool {
	left := o.left
	o.left, o.full = 0, false
	if o.gap != nil {
		o.mu.Unlock()
		o.gap(left)
		o.mu.Lock()
		return true
	}
	if o.write(notice(left)) != nil {
		o.left += left
		return false
	}
	return true
}

func notice(left int) []byte {
	some := "1 line was"
	if left > 1 {
		some = fmt.Sprintf("%d lines were", left)
	}
	return fmt.Appendf(nil, "(%s left out here: nobody read them in time)\n", some)
}

// lose drops all that waits.
func (o *Outlet) lose() {
	for len(o.queue) > 0 {
		next := o.pop()
		o.left += lines(next.text)
		next.answer(o.err)
	}
}

// write gives the stream the text, without the lock.
func (o *Outlet) write(text []byte) error {
	torn := o.torn
	o.mu.Unlock()
	if torn { // a line that was cut off must not be continued by the next
		text = append([]byte("\n"), text...)
	}
	n, err := o.to.Write(text)
	if err != nil && o.failed != nil {
		o.failed(err)
	}
	o.mu.Lock()
	o.err = err
	o.torn = err != nil && (n > 0 && n < len(text) || n == 0 && torn)
	return err
}

// Finish waits until the stream has taken everything, at most for patience. The error says why it did
// not take the last output, unless Write has returned that already.
func (o *Outlet) Finish(patience time.Duration) error {
	o.mu.Lock()
	idle, writing := o.idle, o.writing
	o.mu.Unlock()
	if writing {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-idle:
		case <-timer.C:
			return ErrUnread
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.hurry {
		return nil
	}
	return o.err
}

// lines is how many lines p counts as.
func lines(p []byte) int { return max(1, bytes.Count(p, []byte("\n"))) }
