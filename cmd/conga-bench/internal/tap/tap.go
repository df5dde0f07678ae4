// Package tap listens in on a stream connection: it notes when each chunk has come whole, and counts its bytes. A tap sits
// between a node and its connection, so the node's code is as it always is. Tapped costs the node one look at the clock a
// read, and no goroutine.
package tap

import (
	"context"
	"encoding/binary"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"conga/messages"
)

// Notes is what a tap has seen. Its methods may be called by any goroutine.
type Notes struct {
	came   chan struct{} // closed when the first chunk has come
	begun  time.Time     // when that was
	mu     sync.Mutex
	on     bool
	at     map[uint64]time.Time // when a chunk had come whole, by its number
	bytes  int                  // of the connection, up to the end of the newest chunk
	music  int                  // bytes of mp3 among them
	first  [2]int               // bytes and music at the first chunk since Begin
	chunks int                  // since Begin
	newest uint64               // chunk's number
	from   string               // who sent that first
	turned time.Time            // when that became another
	hi     time.Time            // when a node answered last
}

// New returns notes of nothing.
func New() *Notes { return &Notes{came: make(chan struct{})} }

// First waits for the very first chunk, and returns when it had come.
func (n *Notes) First(ctx context.Context) (time.Time, error) {
	select {
	case <-n.came:
		return n.begun, nil
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
}

// Begin begins to note.
func (n *Notes) Begin() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.on, n.at, n.chunks = true, map[uint64]time.Time{}, 0
}

// End ends it, and returns when each chunk came.
func (n *Notes) End() map[uint64]time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.on = false
	return n.at
}

// Traffic returns the bytes that came from the end of the first chunk since Begin to the end of the newest, those of mp3
// among them, and how many chunks that were.
func (n *Notes) Traffic() (bytes, music, chunks int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.bytes - n.first[0], n.music - n.first[1], max(n.chunks-1, 0)
}

// From returns who feeds the node: who was the first to send the newest chunk. A node may have asked others besides.
func (n *Notes) From() (addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.from
}

// Turned returns when a node answered after that time, or another than before began to feed this one; the zero time if
// neither has happened.
func (n *Notes) Turned(after time.Time) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, at := range []time.Time{n.hi, n.turned} {
		if at.After(after) {
			return at
		}
	}
	return time.Time{}
}

func (n *Notes) opened(addr string, at time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hi = at
	if n.from == "" {
		n.from = addr
	}
}

// chunk notes one from addr; bytes is what came on the connection since the one before.
func (n *Notes) chunk(addr string, number uint64, bytes, music int, at time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if number > n.newest {
		if n.newest = number; n.from != addr {
			n.from, n.turned = addr, at
		}
	}
	if n.begun.IsZero() {
		n.begun = at
		close(n.came)
	}
	n.bytes += bytes
	n.music += music
	if !n.on {
		return
	}
	if n.chunks++; n.chunks == 1 {
		n.first = [2]int{n.bytes, n.music}
	}
	if _, twice := n.at[number]; !twice {
		n.at[number] = at
	}
}

// Conn returns the connection with a tap on it. addr is where it leads.
func (n *Notes) Conn(conn net.Conn, addr string) net.Conn {
	return &tapped{Conn: conn, parser: parser{notes: n, addr: addr}}
}

type tapped struct {
	net.Conn
	parser parser
}

func (t *tapped) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	if n > 0 {
		t.parser.take(p[:n], time.Now())
	}
	return n, err
}

// parser reads the frames of a stream, of which it keeps only the beginnings.
type parser struct {
	notes *Notes
	addr  string

	head  []byte // of the frame that comes: its header and the first bytes of its payload
	size  int    // the payload's
	left  int    // bytes of the frame still to come; 0: the header is not whole
	bytes int    // since the last chunk
}

const (
	headerSize = 6
	// headMost has room for a chunk's two numbers.
	headMost = headerSize + 2*binary.MaxVarintLen64
)

func (p *parser) take(b []byte, at time.Time) {
	p.bytes += len(b)
	for len(b) > 0 {
		if p.left == 0 {
			n := min(headerSize-len(p.head), len(b))
			p.head, b = append(p.head, b[:n]...), b[n:]
			if len(p.head) < headerSize {
				return
			}
			size, err := strconv.Atoi(strings.TrimSpace(string(p.head[2:headerSize])))
			if err != nil || size < 0 {
				size = 0 // not a stream of conga; the node will say so
			}
			if p.size, p.left = size, size; size == 0 {
				p.whole(at, len(b))
			}
			continue
		}
		n := min(p.left, len(b))
		if room := headMost - len(p.head); room > 0 {
			p.head = append(p.head, b[:min(n, room)]...)
		}
		b = b[n:]
		if p.left -= n; p.left == 0 {
			p.whole(at, len(b))
		}
	}
}

// whole ends a frame. after is how many bytes came behind it.
func (p *parser) whole(at time.Time, after int) {
	payload := p.head[headerSize:]
	switch messages.Kind(p.head[:2]) {
	case messages.KindHi:
		p.notes.opened(p.addr, at)
	case messages.KindChunk:
		number, n := binary.Uvarint(payload)
		_, m := binary.Uvarint(payload[max(n, 0):])
		if n > 0 && m > 0 {
			p.notes.chunk(p.addr, number, p.bytes-after, p.size-n-m, at)
			p.bytes = after
		}
	}
	p.head, p.size, p.left = p.head[:0], 0, 0
}
