package transport

import (
	"bufio"
	"net"
	"time"
)

// Stranger is an accepted connection whose peer has not announced itself as native: perhaps
// it speaks the seed's bytes only.
type Stranger struct {
	net.Conn
	Reader  *bufio.Reader   // of Conn; it holds what has come already
	Since   time.Time       // when it came
	Leaving <-chan struct{} // a stream's: closed when this node goes, or stops
	// Admit takes it out of those who say nothing, when it is clear who it is; false if there is
	// no room: then it is to be closed.
	Admit func() bool
	Tell  func(any) // a stream's: tells the owner of the port
}
