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
	// maxTickets is how many offers of nodes above may wait for a decision. More than one is rare.
	maxTickets = 8
	// ticketTime is how long an offer waits. The node that made it will make it again.
	ticketTime = messages.SilenceIsDeath
)

// Tickets stand for connections on which nodes above offer their music, so that the relay can decide on
// an offer without the connection. The connection stays with the stream port until the ticket is redeemed. It is
// closed when the ticket is refused, or after ticketTime. The zero value is ready to use. Safe for many
// goroutines.
type Tickets struct {
	mu   sync.Mutex
	last uint64
	out  map[uint64]*ticket // issued, and not yet redeemed or refused
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

// collect waits until the ticket is redeemed, refused or too old. If it returns true, the ticket was
// redeemed, and the connection belongs to whoever did that.
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

// errTicket: the offer does not exist any more.
var errTicket = errors.New("it has been withdrawn")

// Redeem returns a function that, instead of dialling, returns the ticket's connection, once. The
// connection then belongs to the caller.
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

// Refuse closes the ticket's connection.
func (t *Tickets) Refuse(number uint64) { t.end(number, func(*ticket) {}) }

// end calls last with the ticket if it is still out, and removes it.
func (t *Tickets) end(number uint64, last func(*ticket)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if issued := t.out[number]; issued != nil {
		last(issued)
		delete(t.out, number)
		close(issued.over)
	}
}
