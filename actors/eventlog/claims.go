package eventlog

import (
	"context"
	"sync"
	"time"
)

// Claims is one of the registers that the servers of a radio share, beside their log: it has the newest claim to lead, numbered. It
// decides nothing; what claims mean is actors/lease/right's. It is safe for concurrent use. Every implementation must pass the
// contract test (storetest.Claims).
type Claims interface {
	// Claim puts data in place of the claim that this handle's Watch has shown, or its Claim has returned, with the number expected,
	// and returns the new claim's number, which is greater. Numbers are the handle's own. ErrConflict says that it is not there and
	// never will be, because another claim is in its place. After any other error it may be there, or come there later, once.
	Claim(ctx context.Context, expected uint64, data []byte) (number uint64, err error)
	// Watch calls seen with the newest claim (no data: there is none, also because the register has lost it) and then with newer
	// ones, in order, one call at a time. It may leave out claims that were replaced meanwhile, and be late. Now and then it shows
	// the same claim again, because the register answers. It returns when ctx ends, or with an error if it cannot watch any more;
	// the caller may then call it again.
	Watch(ctx context.Context, seen func(number uint64, data []byte)) error
}

// shownAgain is how often a register in memory shows its claim.
const shownAgain = 250 * time.Millisecond

// claims is a register in the process's memory.
type claims struct {
	mu     sync.Mutex
	number uint64
	data   []byte
	moved  chan struct{} // closed and replaced with each claim
}

// NewClaims returns an empty register that ends with the process: for tests.
func NewClaims() Claims { return &claims{moved: make(chan struct{})} }

func (c *claims) Claim(ctx context.Context, expected uint64, data []byte) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case expected != c.number:
		return 0, ErrConflict
	}
	c.number, c.data = c.number+1, data
	close(c.moved)
	c.moved = make(chan struct{})
	return c.number, nil
}

func (c *claims) Watch(ctx context.Context, seen func(number uint64, data []byte)) error {
	again := time.NewTicker(shownAgain)
	defer again.Stop()
	for ctx.Err() == nil {
		c.mu.Lock()
		number, data, moved := c.number, c.data, c.moved
		c.mu.Unlock()
		seen(number, data)
		select {
		case <-moved:
		case <-again.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}
