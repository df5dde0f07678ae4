package transport

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// outboxSize is how many writes may wait for a peer that reads slowly.
const outboxSize = 64

// outbox writes to one connection, in order, so that nobody but its own reader waits for a peer that does not
// read: such a peer is cut off and counted. It has a goroutine only while news is to be written, because nearly
// all of a server's connections are silent at any moment.
type outbox struct {
	cut  *atomic.Int64 // counts the connections that were cut
	over func(error)   // is called when nothing more is written: with errStuck, or the write's error
	slow atomic.Bool

	mu     sync.Mutex
	moved  sync.Cond // when anything below has changed
	conn   net.Conn  // nil: it is not open yet
	spawn  func(func())
	queue  []words // at most outboxSize
	writes bool    // a goroutine writes
	ending bool    // nothing more comes
	broken bool    // nothing more is written
}

// words returns what is to be written, at the moment when it is.
type words func() []byte

func said(b []byte) words { return func() []byte { return b } }

func newOutbox(cut *atomic.Int64, over func(error)) *outbox {
	o := &outbox{cut: cut, over: over}
	o.moved.L = &o.mu
	return o
}

// open begins to write to conn. spawn runs a function in a goroutine of its own.
func (o *outbox) open(conn net.Conn, spawn func(func())) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.conn, o.spawn = conn, spawn
	o.start()
}

// start starts the writer if there is something for it. o.mu is held.
func (o *outbox) start() {
	if o.idle() {
		o.writes = true
		o.spawn(o.write)
	}
}

// idle reports whether something waits and nobody writes it. o.mu is held.
func (o *outbox) idle() bool {
	return o.conn != nil && len(o.queue) > 0 && !o.writes && !o.broken
}

// write writes until nothing waits, or to the first error.
func (o *outbox) write() {
	whole := false
	defer func() {
		if !whole { // after a panic, too
			o.mu.Lock()
			defer o.mu.Unlock()
			o.queue, o.writes, o.broken = nil, false, true
			o.moved.Broadcast()
		}
	}()
	for next := o.next(); next != nil; next = o.next() {
		_ = o.conn.SetWriteDeadline(time.Now().Add(writePatience))
		if _, err := o.conn.Write(next()); timedOut(err) {
			o.tooSlow()
			return
		} else if err != nil {
			o.over(err)
			return
		}
	}
	whole = true
}

// next takes what waits longest; nil: nothing waits, and the writer has ended.
func (o *outbox) next() (next words) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		o.queue, o.writes = nil, false
	} else {
		next, o.queue = o.queue[0], o.queue[1:]
	}
	o.moved.Broadcast()
	return next
}

func (o *outbox) tooSlow() {
	if o.slow.CompareAndSwap(false, true) {
		o.cut.Add(1)
	}
	o.over(errStuck)
}

// done reports whether nothing more will be written. o.mu is held.
func (o *outbox) done() bool {
	return o.broken || o.ending && len(o.queue) == 0 && !o.writes
}

// put waits for room. It is for answers, because whoever asked waits, too; if nobody else writes, its caller does.
// It returns false when the connection is over. b is not empty.
func (o *outbox) put(b []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) >= outboxSize && !o.done() {
		o.moved.Wait()
	}
	if o.done() {
		return false
	}
	o.queue = append(o.queue, said(b))
	if o.idle() {
		o.writes = true
		o.mu.Unlock()
		o.write()
		o.mu.Lock()
	}
	return !o.broken
}

// push never waits. It is for news. If the queue is full, the peer does not read and is cut off.
func (o *outbox) push(b []byte) { o.pushLate(said(b)) }

// pushLate is push for what is made only when it is written.
func (o *outbox) pushLate(w words) {
	if !o.fits(w) {
		o.tooSlow()
	}
}

// fits queues w, if there is room. What comes when all is over is dropped.
func (o *outbox) fits(w words) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.done():
	case len(o.queue) >= outboxSize:
		return false
	default:
		o.queue = append(o.queue, w)
		o.start()
	}
	return true
}

// finish waits until everything in the queue is written. open must have been called.
func (o *outbox) finish() {
	o.end()
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.done() {
		o.moved.Wait()
	}
}

// end is finish without the wait. A second call does nothing.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ending = true
	o.moved.Broadcast()
}

// goodbyeTime is how long a listener that leaves waits for the server to get its LeaveChain and end the
// connection: some round trips on the longest line.
const goodbyeTime = 3 * time.Second

// lingerTime and lingerBytes bound how long and how much a closing connection still reads: if it
// were closed with unread bytes, TCP would reset it and the peer could lose the last answers.
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 1 << 20
)

// linger closes the connection so that the peer gets everything that was written.
func linger(conn net.Conn) {
	defer conn.Close()
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(lingerTime))
	buf := make([]byte, 4096)
	for left := lingerBytes; left > 0; {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		left -= n
	}
}
