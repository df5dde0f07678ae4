package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"conga/messages"
	"conga/transport"

	"google.golang.org/protobuf/proto"
)

// tap sees what servers give out: the items on listeners' connections to them.
type tap struct {
	mu    sync.Mutex
	ports map[string]int // stream ports, and whose
	items []item
}

// item is one that a server has given out.
type item struct {
	at     time.Time // when it was read at the other end
	server int
	epoch  uint64 // of the server's leadership, as it said when the stream began
	number uint64
}

func newTap() *tap { return &tap{ports: map[string]int{}} }

// on is the network with the tap on it.
func (t *tap) on(n network) network {
	dial := n.dial
	n.dial = func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := dial(ctx, addr)
		if err != nil {
			return nil, err
		}
		if server, is := t.ports[addr]; is {
			return &tapped{Conn: conn, tap: t, server: server}, nil
		}
		return conn, nil
	}
	return n
}

// between returns the items of that time, in order.
func (t *tap) between(from, to time.Time) []item {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []item
	for _, i := range t.items {
		if !i.at.Before(from) && i.at.Before(to) {
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(a, b item) int { return a.at.Compare(b.at) })
	return all
}

// tapped is a connection to a server's stream port.
type tapped struct {
	net.Conn
	tap    *tap
	server int
	epoch  uint64
	rest   []byte // the beginning of a frame
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.see(time.Now(), p[:n])
	}
	return n, err
}

// CloseWrite is the connection's.
func (c *tapped) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return net.ErrClosed
	}
	return half.CloseWrite()
}

func (c *tapped) see(now time.Time, p []byte) {
	c.rest = append(c.rest, p...)
	for {
		from := bytes.NewReader(c.rest)
		r := bufio.NewReaderSize(from, len(c.rest)+1) // so that it has all
		frame, err := transport.ReadFrame(r)
		if err != nil {
			return // the rest of the frame comes later
		}
		c.rest = slices.Clone(c.rest[len(c.rest)-r.Buffered()-from.Len():])
		switch frame.Kind {
		case messages.KindHi:
			var hi messages.StreamOpened
			if proto.Unmarshal(frame.Payload, &hi) == nil {
				c.epoch = hi.GetEpoch()
			}
		case messages.KindChunk, messages.KindSongChange:
			if got, err := messages.ParseItem(frame.Kind, frame.Payload); err == nil {
				c.tap.mu.Lock()
				c.tap.items = append(c.tap.items, item{now, c.server, c.epoch, got.Number})
				c.tap.mu.Unlock()
			}
		}
	}
}

// handover is a change of the server that gives out music.
type handover struct {
	last, first time.Time // the last item of the one, the first of the other
}

// handovers are the changes in items, which are in order. late says which items came of a server after another had begun
// to give out music in a later epoch: there must be none.
func handovers(items []item) (all []handover, late []string) {
	var newest item
	for _, i := range items {
		switch {
		case newest.epoch == 0 || i.epoch == newest.epoch:
		case i.epoch > newest.epoch:
			all = append(all, handover{newest.at, i.at})
		default:
			began := all[len(all)-1].first
			late = append(late, fmt.Sprintf("a server gave out item %d in epoch %d, %v after another had begun epoch %d",
				i.number, i.epoch, i.at.Sub(began).Round(time.Millisecond), newest.epoch))
			continue
		}
		newest = i
	}
	return all, late
}

// pause is the longest time between two items, which are in order, or between the last one and the end.
func pause(items []item, end time.Time) (longest time.Duration) {
	for n, i := range items {
		next := end
		if n+1 < len(items) {
			next = items[n+1].at
		}
		longest = max(longest, next.Sub(i.at))
	}
	return longest
}
