package transport

import (
	"net"
	"sync/atomic"
	"time"
)

// standstill is how late a read may notice its deadline while the process runs. If it is later, the
// process was stopped.
const standstill = 500 * time.Millisecond

const (
	// punctual is how soon after its deadline a read usually ends while the process runs.
	punctual = 10 * time.Millisecond
	// moment is enough to read what has come: a read looks before it waits.
	moment = time.Millisecond
)

// awake is a connection whose read deadlines count only the time in which this process ran. When a process
// goes on after a stop, or after its machine slept, all its deadlines are over, although the peers were not
// silent: what they sent is in the kernel.
type awake struct {
	net.Conn
	by       atomic.Pointer[time.Time] // the read deadline
	patience atomic.Int64              // how far ahead the deadline was when it was set, in nanoseconds
}

// SetReadDeadline is net.Conn's.
func (a *awake) SetReadDeadline(t time.Time) error {
	a.by.Store(&t)
	a.patience.Store(int64(time.Until(t)))
	return a.Conn.SetReadDeadline(t)
}

// CloseWrite closes the sending side, or all if the connection cannot do that.
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

// Read is net.Conn's, except when a deadline passed while the process did not run: then it reads what has
// come meanwhile. If the process was stopped for longer than standstill, the peer gets the whole time again.
func (a *awake) Read(p []byte) (int, error) {
	for {
		n, err := a.Conn.Read(p)
		by := a.by.Load()
		if n > 0 || !timedOut(err) || by == nil || time.Since(*by) < punctual || a.patience.Load() <= 0 {
			return n, err // a deadline in the past is set to interrupt the reader
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
