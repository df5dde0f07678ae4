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
	Admit   func() bool     // a request connection's: no longer count it among those who say nothing
	Tell    func(any)       // a stream's: tells the owner of the port
}
