package transport

import (
	"bufio"
	"net"
	"time"
)

// Stranger is an accepted connection whose peer has not announced itself as native. It may
// be a client of 2016.
type Stranger struct {
	net.Conn
	Reader  *bufio.Reader   // reads Conn, and has what has come already
	Since   time.Time       // when it was made: see arrival
	Leaving <-chan struct{} // on a stream port: closed when this node leaves or stops
	// Admit moves it out of the silent connections once it is clear what it is. If it returns false, there
	// is no room, and the connection must be closed.
	Admit func() bool
	Tell  func(any) // on a stream port: tells the owner of the port
}
