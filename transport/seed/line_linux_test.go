package seed

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"conga/messages"
	"conga/transport"
)

// A client that is behind all that its system keeps for it still gets every header whole: the
// program of 2016 takes what one read gives for all of it. Where a line is full, systems
// cut what waits, and a client reads up to there before more comes.
func TestFeeder_FullLine(t *testing.T) {
	const rounds, perRound, sound = 10, 300, 301 // messages, of so many bytes: more than the line holds
	near, far := connected(t)
	if err := near.(*net.TCPConn).SetReadBuffer(32 << 10); err != nil {
		t.Fatal(err)
	}
	life, die := context.WithCancel(t.Context())
	s := &speech{f: &Feeder{Counters: &transport.Counters{}}, to: &transport.Stranger{Conn: far}, life: life}
	silent := make(chan struct{})
	go func() {
		defer close(silent)
		for s.say(messages.KindChunk, make([]byte, sound)) == nil {
		}
	}()
	defer func() {
		die()
		_ = far.Close()
		<-silent
	}()
	want, payload := fmt.Sprintf("SC%-4d", sound), make([]byte, sound)
	header, cut := make([]byte, len(want)), 0
	for range rounds {
		eventually(t, func() string {
			l, seen := lineOf(far)
			if !seen || l.unsent == 0 || l.window-l.unacked > len(header)+sound {
				return fmt.Sprintf("the line never fills: %+v", l)
			}
			if l.unsent != len(header)+sound { // what waits is not one message
				cut++
			}
			return ""
		})
		for range perRound {
			if n, err := near.Read(header); err != nil || string(header[:n]) != want {
				t.Fatalf("one read gave %q, %v", header[:n], err)
			}
			if _, err := io.ReadFull(near, payload); err != nil {
				t.Fatal(err)
			}
		}
	}
	if cut > rounds/2 { // a system that has waited long fills the line to its end
		t.Errorf("of %d full lines %d ended inside a message", rounds, cut)
	}
}
