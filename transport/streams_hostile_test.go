package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

// The number that a listener needs is gone, and it has not said that it accepts holes: it is told the first
// number that there is, and gets no music.
func TestStreams_OnlyAsks(t *testing.T) {
	l := listen(t)
	openStreams(t, l, func(cfg *StreamsConfig) {
		cfg.Open = func(*messages.OpenStream) (Cursor, error) { return newTape(testChunk(9, nil), testChunk(10, nil)), nil }
		cfg.Newest = func() uint64 { return 10 }
	})
	conn := dial(t, l)
	send(t, conn, hiOf(t, 8))
	r := bufio.NewReader(conn)
	answer := unmarshal(t, readFrame(t, r, messages.KindHi).Payload, &messages.StreamOpened{})
	if answer.GetFirst() != 9 || answer.GetNewest() != 10 || answer.GetRefused() != "" {
		t.Errorf("answered %v", answer)
	}
	if frame, err := ReadFrame(r); !errors.Is(err, io.EOF) {
		t.Errorf("then came %v, %v", frame.Kind, err)
	}
}

func TestStreams_Refused(t *testing.T) {
	for name, c := range map[string]struct {
		open   *messages.OpenStream
		change func(*StreamsConfig)
		want   string
	}{
		"no uuid": {&messages.OpenStream{Node: &messages.Node{Id: "amy"}}, nil, errID.Error()},
		"no node": {&messages.OpenStream{}, nil, errID.Error()},
		"unwanted": {signedBy(amy), func(c *StreamsConfig) {
			c.Open = func(*messages.OpenStream) (Cursor, error) { return nil, errTest }
		}, errTest.Error()},
		"unexpected": {signedBy(amy), func(c *StreamsConfig) { c.Expected = NewExpected() }, errUnexpected.Error()},
		"unsigned":   {&messages.OpenStream{Node: &messages.Node{Id: amyID}}, nil, errForged.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			openStreams(t, l, c.change)
			conn := dial(t, l)
			send(t, conn, mustFrame(t, messages.KindHi, c.open))
			r := bufio.NewReader(conn)
			answer := unmarshal(t, readFrame(t, r, messages.KindHi).Payload, &messages.StreamOpened{})
			if answer.GetRefused() != c.want {
				t.Errorf("refused with %q, want %q", answer.GetRefused(), c.want)
			}
			if _, err := ReadFrame(r); !errors.Is(err, io.EOF) {
				t.Errorf("after the refusal: %v", err)
			}
		})
	}
}

// Input that crashed the program of 2016 must not affect the next listener.
func TestStreams_Hostile(t *testing.T) {
	for name, attack := range map[string]func(*testing.T, net.Conn){
		"garbage":       func(t *testing.T, c net.Conn) { send(t, c, []byte("GET / HTTP/1.1\r\n\r\n")); ends(t, c) },
		"another frame": func(t *testing.T, c net.Conn) { send(t, c, []byte("HB0   ")); ends(t, c) },
		"no protobuf":   func(t *testing.T, c net.Conn) { send(t, c, []byte("HI3   \xff\xff\xff")); ends(t, c) },
		"half a header": func(t *testing.T, c net.Conn) {
			send(t, c, []byte("HI3"))
			_ = c.(*net.TCPConn).CloseWrite()
			ends(t, c)
		},
		"a reset":       func(_ *testing.T, c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() },
		"silence":       func(*testing.T, net.Conn) {},
		"ten megabytes": func(t *testing.T, c net.Conn) { _, _ = c.Write(make([]byte, 10<<20)); ends(t, c) },
		"a flood after HI": func(t *testing.T, c net.Conn) {
			send(t, c, hiOf(t, 0))
			_, _ = c.Write(bytes.Repeat([]byte("HB0   "), 1000))
			ends(t, c)
		},
		"garbage after HI": func(t *testing.T, c net.Conn) { send(t, c, append(hiOf(t, 0), make([]byte, 6)...)); ends(t, c) },
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			openStreams(t, l, nil)
			attack(t, dial(t, l))
			conn := dial(t, l)
			send(t, conn, hiOf(t, 0))
			readFrame(t, bufio.NewReader(conn), messages.KindHi)
		})
	}
}

func TestStreams_Silent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		openStreams(t, l, nil)
		start := time.Now()
		conn := l.dial(t)
		var trickle sync.WaitGroup
		defer trickle.Wait()
		hi := hiOf(t, 0)
		trickle.Go(func() { // one byte a second is no HI either
			second := time.NewTicker(time.Second)
			defer second.Stop()
			for _, b := range hi {
				<-second.C
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
			}
		})
		ends(t, conn)
		if took := time.Since(start); took != helloPatience {
			t.Errorf("cut after %v, want %v", took, helloPatience)
		}
	})
}

// Silent connections are bounded in number, the oldest is dropped first, and others are not affected.
func TestStreams_SilentCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		openStreams(t, l, nil)
		crowd := make([]net.Conn, 3*DefaultLimits.HalfOpen)
		for i := range crowd {
			crowd[i] = l.dial(t)
		}
		synctest.Wait()
		for i, c := range crowd {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := c.Read(make([]byte, 1))
			if dropped := !timedOut(err); dropped != (i < 2*DefaultLimits.HalfOpen) {
				t.Fatalf("connection %d of the crowd: dropped %v (%v)", i, dropped, err)
			}
		}
		conn := l.dial(t)
		send(t, conn, hiOf(t, 0))
		readFrame(t, bufio.NewReader(conn), messages.KindHi)
	})
}

func TestStreams_SlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		music := newTape(testChunk(9, nil))
		house := openStreams(t, l, func(c *StreamsConfig) {
			c.Open = func(*messages.OpenStream) (Cursor, error) { return music, nil }
		})
		conn := l.dial(t)
		send(t, conn, hiOf(t, 9))
		readFrame(t, bufio.NewReaderSize(conn, 16), messages.KindHi)
		start := time.Now()
		await[*messages.DownstreamOpened](t, house.told)
		closed := await[*messages.DownstreamClosed](t, house.told)
		if took := time.Since(start); took != writePatience || closed.Reason != errStuck.Error() {
			t.Errorf("cut after %v for %q", took, closed.Reason)
		}
		if house.count.Cut.Load() != 1 {
			t.Errorf("counted %d cut", house.count.Cut.Load())
		}
		<-music.closed
	})
}

// A panic in a cursor ends one connection, and the relay is told.
func TestStreams_Panic(t *testing.T) {
	l := listen(t)
	var calls atomic.Int64
	house := openStreams(t, l, func(c *StreamsConfig) {
		c.Open = func(*messages.OpenStream) (Cursor, error) {
			if calls.Add(1) == 1 {
				return brokenTape{newTape()}, nil
			}
			return newTape(), nil
		}
	})
	conn := dial(t, l)
	send(t, conn, hiOf(t, 0))
	ends(t, conn)
	await[*messages.DownstreamOpened](t, house.told)
	if closed := await[*messages.DownstreamClosed](t, house.told); closed.Reason != "broke down" {
		t.Errorf("closed for %q", closed.Reason)
	}
	conn = dial(t, l)
	send(t, conn, hiOf(t, 0))
	readFrame(t, bufio.NewReader(conn), messages.KindHi)
}

type brokenTape struct{ *tape }

func (brokenTape) Next(context.Context) (*messages.Item, error) { panic("torn") }

// A port without file descriptors left waits between its tries, and then goes on.
func TestStreams_AcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &poorListener{pipes: newPipes(), fails: 12}
		openStreams(t, l, nil)
		start := time.Now()
		conn := l.dial(t)
		send(t, conn, hiOf(t, 0))
		readFrame(t, bufio.NewReader(conn), messages.KindHi)
		if took := time.Since(start); took < 5*time.Second || took > 7*time.Second {
			t.Errorf("12 failed accepts took %v", took)
		}
	})
}

type poorListener struct {
	*pipes
	fails int
}

func (p *poorListener) Accept() (net.Conn, error) {
	if p.fails > 0 {
		p.fails--
		return nil, errors.New("too many open files")
	}
	return p.pipes.Accept()
}
