package transport

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// outboxSize is how many writes may wait for a peer that reads slowly.
const outboxSize = 64

// outbox writes to one connection in the order of put, in a goroutine of its own, so that
// nobody else waits for a peer that does not read: such a peer is cut and counted.
type outbox struct {
	cut   *atomic.Int64 // counts the cut
	over  func(error)   // is told why nothing more is written: errStuck, or what broke
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

// put waits for room: for answers, whose asker waits too. False when the connection is over.
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

// push never waits: for news. A peer with a full queue does not read, and is cut.
func (o *outbox) push(b []byte) {
	select {
	case <-o.done: // nobody hears it
		return
	default:
	}
	select {
	case o.queue <- b:
	default:
		o.tooSlow()
	}
}

// finish lets what was put be written, and waits for that. run must have been started.
func (o *outbox) finish() {
	o.end()
	<-o.done
}

// end is finish without the wait; twice is once.
func (o *outbox) end() { o.once.Do(func() { close(o.stop) }) }

// goodbyeTime is how long a listener that leaves waits until the server has heard it, and ends the
// connection: some round trips of the longest line.
const goodbyeTime = 3 * time.Second

// lingerTime and lingerBytes bound how long a closing connection reads what the peer
// still says: closed with bytes unread, TCP would destroy the last answers on their way.
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
