package baseline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// numberSize is the beginning of each message: its number, so that a relay can note when it came.
const numberSize = 8

// Relays is a chain of relays in this process.
type Relays struct {
	size  int
	conns []net.Conn
	wg    sync.WaitGroup

	mu sync.Mutex
	on bool
	at []map[uint64]time.Time // by relay: when each message had come
}

// StartRelays starts a chain of n relays, which gets a message of size bytes every interval.
func StartRelays(n, size int, every time.Duration) (*Relays, error) {
	if size < numberSize {
		return nil, fmt.Errorf("messages of %d bytes: at least %d", size, numberSize)
	}
	r := &Relays{size: size, at: make([]map[uint64]time.Time, n)}
	links := make([]link, n+1) // before each relay, and behind the last
	for i := range links {
		var err error
		if links[i], err = connect(); err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.conns = append(r.conns, links[i].near, links[i].far)
	}
	for i := range n {
		r.wg.Go(func() { r.relay(i, links[i].far, links[i+1].near) })
	}
	r.wg.Go(func() { _, _ = io.Copy(io.Discard, links[n].far) })
	r.wg.Go(func() { send(links[0].near, size, every) })
	return r, nil
}

// relay reads a message, notes when it came, and writes it.
func (r *Relays) relay(i int, from, to net.Conn) {
	message := make([]byte, r.size)
	for {
		if _, err := io.ReadFull(from, message); err != nil {
			return
		}
		now := time.Now()
		r.mu.Lock()
		if r.on {
			r.at[i][binary.BigEndian.Uint64(message)] = now
		}
		r.mu.Unlock()
		if _, err := to.Write(message); err != nil {
			return
		}
	}
}

// send writes a message every interval, on an absolute schedule, until the connection is closed.
func send(to net.Conn, size int, every time.Duration) {
	message := make([]byte, size)
	begin := time.Now()
	for number := uint64(1); ; number++ {
		time.Sleep(time.Until(begin.Add(time.Duration(number) * every)))
		binary.BigEndian.PutUint64(message, number)
		if _, err := to.Write(message); err != nil {
			return
		}
	}
}

// Begin begins to note when messages come.
func (r *Relays) Begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = true
	for i := range r.at {
		r.at[i] = map[uint64]time.Time{}
	}
}

// End ends it, and returns for each relay when each message had come.
func (r *Relays) End() []map[uint64]time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = false
	return r.at
}

// Close ends the chain.
func (r *Relays) Close() error {
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	r.wg.Wait()
	return nil
}

// link is a TCP connection on this machine, with both its ends.
type link struct{ near, far net.Conn }

func connect() (link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return link{}, fmt.Errorf("connect two relays: %w", err)
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return link{}, fmt.Errorf("connect two relays: %w", err)
	}
	far, err := listener.Accept()
	if err != nil {
		return link{}, errors.Join(fmt.Errorf("connect two relays: %w", err), near.Close())
	}
	return link{near, far}, nil
}
