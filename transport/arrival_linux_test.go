package transport

import (
	"net"
	"testing"
	"time"
)

// A connection that waited to be accepted came when it was made.
func TestLobby_Arrival(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	begun := time.Now()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	made := time.Now()
	<-time.After(50 * time.Millisecond) // in the kernel, which has no virtual time
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	g := streamLobby(Limits{}, 1, 0, nil).enter(accepted)
	defer g.conn.Close()
	if g.since.Before(begun) || g.since.After(made.Add(2*tick)) {
		t.Errorf("made within %v, it is said to have come %v after its beginning", made.Sub(begun), g.since.Sub(begun))
	}
}
