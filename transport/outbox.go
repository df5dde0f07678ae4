package transport

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// outboxSize is how many writes may wait for a peer that reads slowly.
const outboxSize = 64

// outbox writes to one connection, in order and in its own goroutine, so that nobody else waits for a
// peer that does not read: such a peer is cut off and counted.
type outbox struct {
	cut   *atomic.Int64 // counts the connections that were cut
	over  func(error)   // is called when nothing more is written: with errStuck, or the write's error
	queue chan []byte
	stop  chan struct{} // closed by finish
	done  chan struct{} // closed when nothing more will be written
	slow  atomic.Bool
	once  sync.Once // of end
}

func newOutbox(cut *atomic.Int64, over func(error)) *outbox {
	return &outbox{
		cut: cut, over: over,
		queue: make(chan []byte, outboxSize), stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// run writes to conn until finish or the first error.
func (o *outbox) run(conn net.Conn) {
	defer close(o.done)
	for {
		select {
		case b := <-o.queue:
			if !o.write(conn, b) {
				return
			}
		case <-o.stop:
			for {
				select {
				case b := <-o.queue:
					if !o.write(conn, b) {
						return
					}
				default:
					return
				}
			}
		}
	}
}

func (o *outbox) write(conn net.Conn, b []byte) bool {
	_ = conn.SetWriteDeadline(time.Now().Add(writePatience))
	_, err := conn.Write(b)
	if timedOut(err) {
		o.tooSlow()
	} else if err != nil {
		o.over(err)
	}
	return err == nil
}

func (o *outbox) tooSlow() {
	if o.slow.CompareAndSwap(false, true) {
		o.cut.Add(1)
	}
	o.over(errStuck)
}

// put waits for room. It is for answers, because whoever asked waits, too. It returns false when the
// connection is over.
func (o *outbox) put(b []byte) bool {
	select {
	case <-o.done:
		return false
	default:
	}
	select {
	case o.queue <- b:
		return true
	case <-o.done:
		return false
	}
}

// push never waits. It is for news. If the queue is full, the peer does not read and is cut off.
func (o *outbox) push(b []byte) {
	select {
	case <-o.done:
		return
	default:
	}
	select {
	case o.queue <- b:
	default:
		o.tooSlow()
	}
}

// finish waits until everything in the queue is written. run must have been started.
func (o *outbox) finish() {
	o.end()
	<-o.done
}

// end is finish without the wait. A second call does nothing.
func (o *outbox) end() { o.once.Do(func() { close(o.stop) }) }

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
