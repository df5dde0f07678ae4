package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// lid is a connection whose process does not run from close to open: what was to end in between ends at open.
type lid struct {
	net.Conn
	opens atomic.Pointer[time.Time]
	busy  time.Duration // while it is open, all ends so much later
}

func (l *lid) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.wait()
	return n, err
}

func (l *lid) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	l.wait()
	return n, err
}

func (l *lid) wait() {
	time.Sleep(max(l.busy, time.Until(*l.opens.Load())))
}

func newLid(conn net.Conn, opens time.Time) *lid {
	l := &lid{Conn: conn}
	l.opens.Store(&opens)
	return l
}

// A deadline that passed while the process was stopped says nothing about the peer; one that passes
// while it runs does.
func TestAwake(t *testing.T) {
	for _, c := range []struct {
		name  string
		still time.Duration // since the beginning
		says  time.Duration // when the peer says something; 0: never
		want  time.Duration // when the read ends
		err   error
	}{
		{"the peer is silent", 0, 0, time.Second, os.ErrDeadlineExceeded},
		{"stood still, and the peer is silent", 10 * time.Second, 0, 11 * time.Second, os.ErrDeadlineExceeded},
		{"stood still for a bit too long, and the peer has spoken", 1250 * time.Millisecond, 1125 * time.Millisecond, 1250 * time.Millisecond, nil},
		{"stood still in between, as did the peer", 900 * time.Millisecond, 0, 1900 * time.Millisecond, os.ErrDeadlineExceeded},
		{"stood still in between, and the peer speaks", 900 * time.Millisecond, 1800 * time.Millisecond, 1800 * time.Millisecond, nil},
		{"stood still, and the peer speaks", 10 * time.Second, 10500 * time.Millisecond, 10500 * time.Millisecond, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				begin := time.Now()
				conn := &awake{Conn: newLid(near, begin.Add(c.still))}
				defer conn.Close()
				if err := conn.SetReadDeadline(begin.Add(time.Second)); err != nil {
					t.Fatal(err)
				}
				if c.says > 0 {
					time.AfterFunc(c.says, func() { _, _ = far.Write([]byte("x")) })
				}
				_, err := conn.Read(make([]byte, 1))
				if took := time.Since(begin); took != c.want || timedOut(err) != (c.err != nil) {
					t.Errorf("read ended after %v with %v", took, err)
				}
			})
		})
	}
}

// A peer that should have read while this process stood still has all its time again; one that does not read is found.
func TestAwake_Write(t *testing.T) {
	for _, c := range []struct {
		name  string
		reads time.Duration // when the peer reads; 0: never
		want  time.Duration // when the write ends
	}{
		{"the peer does not read", 0, 11 * time.Second},
		{"the peer reads", 10500 * time.Millisecond, 10500 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				begin := time.Now()
				conn := &awake{Conn: newLid(near, begin.Add(10*time.Second))}
				defer conn.Close()
				if err := conn.SetWriteDeadline(begin.Add(time.Second)); err != nil {
					t.Fatal(err)
				}
				if c.reads > 0 {
					time.AfterFunc(c.reads, func() { _, _ = io.ReadFull(far, make([]byte, 3)) })
				}
				n, err := conn.Write([]byte("abc"))
				if took := time.Since(begin); took != c.want || timedOut(err) != (c.reads == 0) || c.reads > 0 && n != 3 {
					t.Errorf("write ended after %v with %d bytes and %v", took, n, err)
				}
			})
		})
	}
}

// On a machine on which all comes late a silent peer is found later, but it is found.
func TestAwake_Busy(t *testing.T) {
	for _, busy := range []time.Duration{punctual, 60 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			begin := time.Now()
			l := newLid(near, begin)
			l.busy = busy
			conn := &awake{Conn: l}
			defer conn.Close()
			if err := conn.SetReadDeadline(begin.Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			_, err := conn.Read(make([]byte, 1))
			if took := time.Since(begin); took < time.Second || took > 7*time.Second || !timedOut(err) {
				t.Errorf("%v late: read ended after %v with %v", busy, took, err)
			}
		})
	}
}

// However little is left until a deadline, it passes: a timer is often later than so short a part of the wait. Whoever sends too
// slowly could else wait for the moment at which little is left, and then keep its place for ever.
func TestAwake_LittleIsLeft(t *testing.T) {
	for _, left := range []time.Duration{1, time.Microsecond, time.Millisecond, 20 * time.Millisecond} {
		for _, late := range []time.Duration{left, time.Millisecond, punctual, time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				var l timeLeft
				ends, parts := l.until(time.Now().Add(left)), 1
				for parts < 100 && l.lasts(ends.Add(late)) {
					ends = l.next(ends.Add(late))
					parts++
				}
				if most := waitParts + mostLate; parts > most || late <= punctual && parts > waitParts {
					t.Errorf("%v before the deadline, %v late: it has %d parts", left, late, parts)
				}
			})
		}
	}
}

// A connection that did not come about while this process stood still is tried again; one to a peer that does not answer is
// not, and on a machine that is always late not for ever.
func TestLine_StoodStill(t *testing.T) {
	for _, c := range []struct {
		name  string
		late  []time.Duration // how late this process notices that each try is over; then the peer answers
		dials int
		fails bool
	}{
		{"the peer does not answer", []time.Duration{0, 0}, 1, true},
		{"this process stood still", []time.Duration{3 * time.Second}, 2, false},
		{"and then the peer does not answer", []time.Duration{3 * time.Second, 0, 0}, 2, true},
		{"always late", slices.Repeat([]time.Duration{time.Second}, 9), 1 + mostDials, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dials := 0
				line := NewLine("192.0.2.1:7000", func(ctx context.Context, _ string) (net.Conn, error) {
					if dials++; dials > len(c.late) {
						near, far := net.Pipe()
						t.Cleanup(func() { _ = far.Close() })
						return near, nil
					}
					<-ctx.Done()
					time.Sleep(c.late[dials-1])
					return nil, ctx.Err()
				})
				conn, err := line.Node(t.Context(), "192.0.2.2:7001")
				if dials != c.dials || (err != nil) != c.fails {
					t.Errorf("%d dials, %v", dials, err)
				}
				if conn != nil {
					_ = conn.Close()
				}
			})
		})
	}
}

// After a stop a server first reads what came meanwhile, for example a goodbye, before it misses anybody.
func TestRequests_StoodStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		house := openRequests(t, l, nil)
		here, there := net.Pipe()
		defer here.Close()
		server := newLid(there, time.Now())
		l.conns <- server
		conn := secure(t, here, amy)
		sayLine(t, conn, conn.Introduce(&messages.Hello{Leaf: true}))
		readLine[*messages.Welcome](t, bufio.NewReader(conn))
		await[*messages.JoinChain](t, house.chain)
		still := time.Now().Add(2 * nativeSilence)
		server.opens.Store(&still)
		time.Sleep(nativeSilence + time.Second)
		sayLine(t, conn, &messages.LeaveChain{})
		if got := await[proto.Message](t, house.chain); !proto.Equal(got, &messages.LeaveChain{Id: amyID, AtUnixUs: 42}) {
			t.Errorf("the chain heard %v", got)
		}
	})
}

// A deadline in the past must interrupt the reader at once; net/http relies on it.
func TestAwake_WokenOnPurpose(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	a := &awake{Conn: here}
	if err := a.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read(make([]byte, 1)); !timedOut(err) {
		t.Errorf("it ended with %v, not with the deadline", err)
	}
}
