package transport

import (
	"bufio"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// lid is a connection whose process does not run from close to open: a read whose deadline was in
// between ends at open.
type lid struct {
	net.Conn
	opens atomic.Pointer[time.Time]
}

func (l *lid) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if at := l.opens.Load(); at != nil {
		time.Sleep(time.Until(*at))
	}
	return n, err
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
		{"stood still for a bit too long, and the peer has spoken", time.Second + standstill/2, time.Second + standstill/4, time.Second + standstill/2, nil},
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
