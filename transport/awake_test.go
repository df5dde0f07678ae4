package transport

import (
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// lid is a connection whose process does not run from close to open: a read that should have
// ended meanwhile ends then.
type lid struct {
	net.Conn
	opens time.Time
}

func (l *lid) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	time.Sleep(time.Until(l.opens))
	return n, err
}

// A deadline that passed while the process stood still says nothing of the peer; one that
// passes while it runs does.
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
		{"stood still, and the peer speaks", 10 * time.Second, 10500 * time.Millisecond, 10500 * time.Millisecond, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				begin := time.Now()
				conn := &awake{Conn: &lid{near, begin.Add(c.still)}}
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
