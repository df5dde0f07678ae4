package transport

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// waitParts is in how many parts a deadline is waited for.
	waitParts = 4
	// punctual is how soon after the end of such a part a waiting goroutine usually goes on while its process runs.
	punctual = 10 * time.Millisecond
	// mostLate is how many parts of one wait may count less, or nothing, because they ended late: a machine may always be busy,
	// and each wait has to end.
	mostLate = 2 * waitParts
)

// awake is a connection whose deadlines count only the time in which this process ran. When it goes on after a stop, or
// after its machine slept, or other programs had the processor, its deadlines may be over although no peer was silent:
// what they sent is in the kernel, or they are in this process, too, and did not run either.
//
// So it waits for a deadline in parts. If one ends late, the process may have stood still for as long before its end, too:
// the part counts that much less.
type awake struct {
	net.Conn

	mu            sync.Mutex
	reads, writes timeLeft
}

// stayAwake returns conn as such a connection.
func stayAwake(conn net.Conn) *awake {
	if a, is := conn.(*awake); is {
		return a
	}
	return &awake{Conn: conn}
}

// timeLeft is what is left of the time until a deadline. Its zero value is for ever.
type timeLeft struct {
	left, whole time.Duration // all that is left; a usual part
	part        time.Duration // the one under way
	ends        time.Time     // when that ends
	late        int           // so many ended late
}

// until begins to wait for t, and returns when the first part ends. A deadline in the past, which is set to interrupt, has
// no parts.
func (l *timeLeft) until(t time.Time) time.Time {
	now := time.Now()
	left := t.Sub(now)
	if t.IsZero() || left <= 0 {
		*l = timeLeft{}
		return t
	}
	*l = timeLeft{left: left, whole: (left + waitParts - 1) / waitParts}
	return l.next(now)
}

// next begins the next part, and returns when it ends.
func (l *timeLeft) next(now time.Time) time.Time {
	l.part = min(l.whole, l.left)
	l.ends = now.Add(l.part)
	return l.ends
}

// lasts counts the part that has ended, and reports whether another one follows.
func (l *timeLeft) lasts(now time.Time) bool {
	counts := l.part
	if late := now.Sub(l.ends); late > punctual && l.late < mostLate {
		l.late++
		counts = max(0, counts-late)
	}
	l.left = max(0, l.left-counts)
	return l.left > 0
}

// SetReadDeadline is net.Conn's. It needs no memory: it is called for each item.
func (a *awake) SetReadDeadline(t time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.Conn.SetReadDeadline(a.reads.until(t))
}

// SetWriteDeadline is net.Conn's.
func (a *awake) SetWriteDeadline(t time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.Conn.SetWriteDeadline(a.writes.until(t))
}

// SetDeadline is net.Conn's.
func (a *awake) SetDeadline(t time.Time) error {
	if err := a.SetReadDeadline(t); err != nil {
		return err
	}
	return a.SetWriteDeadline(t)
}

// Read is net.Conn's.
func (a *awake) Read(b []byte) (int, error) {
	for {
		n, err := a.Conn.Read(b)
		if n > 0 || !timedOut(err) || !a.readsOn() {
			return n, err
		}
	}
}

// Write is net.Conn's.
func (a *awake) Write(b []byte) (n int, err error) {
	for {
		took, err := a.Conn.Write(b[n:])
		if n += took; !timedOut(err) || !a.writesOn() {
			return n, err
		}
	}
}

// readsOn begins the next part of the wait, if one is left.
func (a *awake) readsOn() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	return a.reads.lasts(now) && a.Conn.SetReadDeadline(a.reads.next(now)) == nil
}

func (a *awake) writesOn() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	return a.writes.lasts(now) && a.Conn.SetWriteDeadline(a.writes.next(now)) == nil
}

// SyscallConn is syscall.Conn's.
func (a *awake) SyscallConn() (syscall.RawConn, error) {
	if own, is := a.Conn.(syscall.Conn); is {
		return own.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// CloseWrite closes the sending side, or all if the connection cannot do that.
func (a *awake) CloseWrite() error { return closeWrite(a.Conn) }

func closeWrite(conn net.Conn) error {
	if half, is := conn.(interface{ CloseWrite() error }); is {
		return half.CloseWrite()
	}
	return conn.Close()
}
