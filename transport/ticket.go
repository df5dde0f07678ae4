package transport

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"conga/messages"
)

const (
	// maxTickets is how many offers of nodes above may wait to be decided on: more than one is rare.
	maxTickets = 8
	// ticketTime is how long an offer waits. Whoever made it makes it again.
	ticketTime = messages.SilenceIsDeath
)

// Tickets stand for connections by which nodes above offer their music. Whoever decides about an
// offer has its ticket; the connection stays with the stream port until the ticket is redeemed, and
// is closed when it is refused, or after a while. The zero value has none out. Safe for many goroutines.
type Tickets struct {
	mu   sync.Mutex
	last uint64
	out  map[uint64]*ticket
}

// ticket is one offer.
type ticket struct {
	number uint64
	conn   net.Conn      // nil: it was redeemed
	over   chan struct{} // closed when it was redeemed or refused
}

// issue returns a ticket for the connection, or nil if too many are out.
func (t *Tickets) issue(conn net.Conn) *ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.out) >= maxTickets {
		return nil
	}
	if t.out == nil {
		t.out = map[uint64]*ticket{}
	}
	t.last++
	issued := &ticket{t.last, conn, make(chan struct{})}
	t.out[t.last] = issued
	return issued
}

// collect waits for what becomes of the ticket, and says whether it was redeemed: then the connection
// is another's.
func (t *Tickets) collect(life context.Context, issued *ticket) (redeemed bool) {
	patience := time.NewTimer(ticketTime)
	defer patience.Stop()
	select {
	case <-issued.over:
	case <-patience.C:
	case <-life.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.out, issued.number)
	return issued.conn == nil
}

// errTicket: the offer is not there any more.
var errTicket = errors.New("it has been withdrawn")

// Redeem is how to come to the ticket's connection, once. It belongs to whoever dials so.
func (t *Tickets) Redeem(number uint64) DialFunc {
	return func(context.Context, string) (conn net.Conn, err error) {
		err = errTicket
		t.end(number, func(issued *ticket) {
			conn, err = issued.conn, nil
			issued.conn = nil
		})
		return conn, err
	}
}

// Refuse lets the ticket's connection be closed.
func (t *Tickets) Refuse(number uint64) { t.end(number, func(*ticket) {}) }

// end does the last that is done with a ticket, if it is still out.
func (t *Tickets) end(number uint64, last func(*ticket)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if issued := t.out[number]; issued != nil {
		last(issued)
		delete(t.out, number)
		close(issued.over)
	}
}
