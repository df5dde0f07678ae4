package seed

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
	"conga/transport"
	"conga/transport/seed/seedtest"
)

// from is an end of a pipe that comes from an address.
type from struct {
	net.Conn
	host string
}

func (f from) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(f.host), Port: 1} }

// port is a listener's port for those who say nothing, and what it costs.
type port struct {
	*Behind
	ctx      context.Context
	decoders atomic.Int64
	mu       sync.Mutex
	cut      []string
	wg       sync.WaitGroup
}

func openPort(t *testing.T, items ...*messages.Item) *port {
	p := &port{}
	p.Behind = &Behind{
		Feeder: &Feeder{
			Open: func(int64) transport.Cursor { return &tape{items: items} },
			Decoder: func() Decoder {
				p.decoders.Add(1)
				return ramps{}
			},
			Now: func() int64 { return 0 }, Counters: &transport.Counters{},
		},
		CutOff: func(id, _ string) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.cut = append(p.cut, id)
		},
	}
	ctx, end := context.WithCancel(t.Context())
	t.Cleanup(func() {
		p.Set(nil)
		end()
		p.wg.Wait()
	})
	p.ctx = ctx
	return p
}

// come is a peer from the host that waits to be spoken to; taken says what became of it.
func (p *port) come(t *testing.T, host string) (peer net.Conn, taken <-chan bool) {
	near, far := net.Pipe()
	t.Cleanup(func() { _ = near.Close() })
	answer := make(chan bool, 1)
	p.wg.Go(func() {
		defer far.Close()
		answer <- p.Stream(p.ctx, &transport.Stranger{
			Conn: from{far, host}, Reader: bufio.NewReader(far), Leaving: make(chan struct{}), Tell: func(any) {}, Admit: func() bool { return true },
		})
	})
	return near, answer
}

func clientAt(id, host string) *messages.Node {
	return &messages.Node{Id: id, Relay: net.JoinHostPort(host, "7002")}
}

// hearsSong says whether the peer is played to: the format comes first.
func hearsSong(t *testing.T, peer net.Conn) {
	t.Helper()
	_ = peer.SetReadDeadline(time.Now().Add(patience))
	if f, err := transport.ReadFrame(bufio.NewReader(peer)); err != nil || f.Kind != messages.KindSongChange {
		t.Fatalf("a client of 2016 hears %s, %v", f.Kind, err)
	}
}

// Who says nothing costs no decoder: a listener plays to those clients that the server says it
// feeds, also when strangers were there first, and when the word comes after the client.
func TestBehind_Strangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t, song(t, 40, 44100, 4)...)
		for range 64 {
			p.come(t, "192.0.2.66")
		}
		early, _ := p.come(t, "192.0.2.1")
		p.Set([]*messages.Node{clientAt("sid", "192.0.2.1")})
		hearsSong(t, early)
		<-time.After(time.Minute)
		if n := p.decoders.Load(); n != 1 {
			t.Errorf("%d decoders are at work for one client", n)
		}
	})
}

// A client that the server sees under another address than this node has its place after a
// moment. One that took it so goes when the right one comes.
func TestBehind_OtherAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t, song(t, 40, 44100, 4)...)
		p.Set([]*messages.Node{clientAt("sid", "192.0.2.1")})
		inside, gone := p.come(t, "10.0.0.1")
		hearsSong(t, inside)
		right, _ := p.come(t, "192.0.2.1")
		hearsSong(t, right)
		synctest.Wait()
		select {
		case <-gone:
		default:
			t.Error("the stranger is still played to")
		}
		p.Set(nil)
		<-time.After(time.Second)
		if _, err := right.Write(nil); err != nil {
			t.Errorf("who is not named any more was cut off: %v", err)
		}
	})
}

// A client that does not read is cut off in the end, and the server hears which.
func TestBehind_CutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t, song(t, 40, 44100, 4)...)
		p.Set([]*messages.Node{clientAt("sid", "192.0.2.1")})
		_, taken := p.come(t, "192.0.2.1")
		if !<-taken {
			t.Error("it was not taken")
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if fmt.Sprint(p.cut) != "[sid]" {
			t.Errorf("cut off: %v", p.cut)
		}
	})
}

// A client that does not come for its music, or comes no more, is lost: the server hears of it
// after a while, and not of one that is here or whose place has been given up.
func TestBehind_Absent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t, song(t, 40, 44100, 4)...)
		p.Set([]*messages.Node{clientAt("sid", "192.0.2.1"), clientAt("sue", "192.0.2.2"), clientAt("sol", "192.0.2.3")})
		sid, _ := p.come(t, "192.0.2.1")
		go func() { _, _ = io.Copy(io.Discard, sid) }()
		<-time.After(absentAfter / 2)
		p.Set([]*messages.Node{clientAt("sid", "192.0.2.1"), clientAt("sue", "192.0.2.2")})
		<-time.After(absentAfter)
		said := func() string {
			p.mu.Lock()
			defer p.mu.Unlock()
			return fmt.Sprint(p.cut)
		}
		if said() != "[sue]" {
			t.Errorf("missed are %v", said())
		}
		_ = sid.Close()
		<-time.After(absentAfter + time.Second)
		if said() != "[sue sid]" {
			t.Errorf("missed are %v", said())
		}
	})
}

// A native whose first word is late is none of these.
func TestBehind_LateNative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t)
		p.Set([]*messages.Node{clientAt("sid", "192.0.2.1")})
		peer, taken := p.come(t, "192.0.2.7")
		<-time.After(elsewhere / 2)
		if _, err := peer.Write([]byte("H")); err != nil {
			t.Fatal(err)
		}
		if <-taken {
			t.Error("a native was played to")
		}
	})
}

// Silent connections to the server's ports are nobody until both are opened in the order of a
// client, and there are no more clients than the server lets in.
func TestPorter_Strangers(t *testing.T) {
	h := openHouse(t, song(t, 40, 44100, 4)...)
	c := &conversation{port: h.port}
	c.begin()
	for i := range 64 {
		run(t, c, fmt.Sprintf("stranger%d dials PORT+1", i))
	}
	for i := range 3 {
		client, err := seedtest.Join(fmt.Sprintf("127.0.0.1:%d", h.port))
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		defer client.Kill()
		eventually(t, func() string {
			if n, _, _, err := client.Heard(); n == 0 || err != nil {
				return fmt.Sprintf("it has heard %d messages, %v", n, err)
			}
			return ""
		})
	}
	if one, err := seedtest.Join(fmt.Sprintf("127.0.0.1:%d", h.port)); err == nil {
		_ = one.Kill()
		t.Error("one more than the server lets in has come in")
	}
	if joins := h.joined(); len(joins) != 3 {
		t.Errorf("%d came into the chain", len(joins))
	}
}
