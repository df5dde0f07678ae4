package transport

import (
	"net"
	"sync/atomic"
	"time"
)

// standstill is how long after a deadline nobody may have looked if the process ran.
const standstill = 500 * time.Millisecond

const (
	// punctual is how soon after its deadline a read ends in a process that runs.
	punctual = 10 * time.Millisecond
	// moment is enough to read what has come: a read looks before it waits.
	moment = time.Millisecond
)

// awake is a connection on which only the time counts in which this process ran. A process
// that was stopped, or whose machine slept, finds all its deadlines over when it goes on; what
// came meanwhile lies in the kernel, and nobody has been silent.
type awake struct {
	net.Conn
	by       atomic.Pointer[time.Time] // the read deadline
	patience atomic.Int64              // how far off it was when it was set, in nanoseconds
}

// SetReadDeadline is net.Conn's.
func (a *awake) SetReadDeadline(t time.Time) error {
	a.by.Store(&t)
	a.patience.Store(int64(time.Until(t)))
	return a.Conn.SetReadDeadline(t)
}

// CloseWrite ends what this end says, where the connection can do that.
func (a *awake) CloseWrite() error { return closeWrite(a.Conn) }

func closeWrite(conn net.Conn) error {
	if half, is := conn.(interface{ CloseWrite() error }); is {
		return half.CloseWrite()
	}
	return conn.Close()
}

// SetDeadline is net.Conn's.
func (a *awake) SetDeadline(t time.Time) error {
	if err := a.SetReadDeadline(t); err != nil {
		return err
	}
	return a.SetWriteDeadline(t)
}

// Read is net.Conn's, but for a deadline that passed while the process did not look: what has come
// meanwhile is read. If it stood still for long, the peer gets the same time once more.
func (a *awake) Read(p []byte) (int, error) {
	for {
		n, err := a.Conn.Read(p)
		by := a.by.Load()
		if n > 0 || !timedOut(err) || by == nil || time.Since(*by) < punctual || a.patience.Load() <= 0 {
			return n, err // a deadline that was over when it was set is meant to wake the reader
		}
		if time.Since(*by) < standstill {
			if a.Conn.SetReadDeadline(time.Now().Add(moment)) != nil {
				return 0, err
			}
			return a.Conn.Read(p)
		}
		if err := a.SetReadDeadline(time.Now().Add(time.Duration(a.patience.Load()))); err != nil {
			return 0, err
		}
	}
}
