package transport

import (
	"net"
	"sync"
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

	mu       sync.Mutex
	by       time.Time     // the read deadline
	patience time.Duration // how far ahead it was when it was set
}

// SetReadDeadline is net.Conn's. It needs no memory: it is called for each item.
func (a *awake) SetReadDeadline(t time.Time) error {
	a.mu.Lock()
	a.by, a.patience = t, time.Until(t)
	a.mu.Unlock()
	return a.Conn.SetReadDeadline(t)
}

// deadline returns the read deadline, and how far ahead it was when it was set.
func (a *awake) deadline() (by time.Time, patience time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.by, a.patience
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
		if n > 0 || !timedOut(err) {
			return n, err
		}
		by, patience := a.deadline()
		if time.Since(by) < punctual || patience <= 0 { // a deadline in the past is set to interrupt the reader
			return n, err
		}
		if time.Since(by) < standstill {
			if a.Conn.SetReadDeadline(time.Now().Add(moment)) != nil {
				return 0, err
			}
			return a.Conn.Read(p)
		}
		if err := a.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return 0, err
		}
	}
}
