package seed

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"conga/messages"
	"conga/transport"
)

const (
	// wordPatience is how long a connection waits for the server to name its client: the server
	// learns of a client at the moment when it comes.
	wordPatience = 3 * time.Second
	// elsewhere is after how long a client may also come from another address than the server
	// knows: server and node may see it from different networks.
	elsewhere = time.Second
	// absentAfter is how long a client may be without music. When the node that fed it vanishes, a
	// client usually dies without a message, and the chain must put nobody behind it.
	absentAfter = 10 * time.Second
)

var errAbsent = errors.New("it has not come for its music")

// Behind accepts clients of 2016 at a listener. It plays to those that the server says it
// feeds, and to no other silent connection, because each costs a decoder. Its methods may be
// called by any goroutine.
type Behind struct {
	Feeder *Feeder
	// CutOff is called when a client does not read or does not come: it is lost for good.
	CutOff func(id, reason string)

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when one of these changes
	clients []*messages.Node
	served  map[string]*serving // by the client's id
	absent  map[string]*time.Timer
}

// serving is a connection to one client.
type serving struct {
	known bool // the connection comes from the client's address
	end   context.CancelFunc
}

// Set sets the clients that this node feeds. A client that is no longer named may still be here; it
// leaves by itself.
func (b *Behind) Set(clients []*messages.Node) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clients = clients
	b.miss()
	b.wake()
}

// miss starts a timer for each client that is not here, and stops the others. b.mu is held.
func (b *Behind) miss() {
	missed := map[string]*time.Timer{}
	for _, client := range b.clients {
		id := client.GetId()
		switch {
		case b.served[id] != nil:
		case b.absent[id] != nil:
			missed[id] = b.absent[id]
		default:
			missed[id] = time.AfterFunc(absentAfter, func() { b.CutOff(id, errAbsent.Error()) })
		}
	}
	for id, timer := range b.absent {
		if missed[id] == nil {
			timer.Stop()
		}
	}
	b.absent = missed
}

// wake tells waiting goroutines that something has changed. b.mu is held.
func (b *Behind) wake() {
	if b.changed != nil {
		close(b.changed)
	}
	b.changed = make(chan struct{})
}

// Stream handles a connection that waits for this node to speak. It is for a listener's
// StreamsConfig.Seed.
func (b *Behind) Stream(ctx context.Context, conn *transport.Stranger) (taken bool) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	s := &serving{end: end}
	client := b.await(ctx, conn, s)
	if client == nil {
		return false
	}
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.served[client.GetId()] == s {
			delete(b.served, client.GetId())
			b.miss()
			b.wake()
		}
	}()
	if !conn.Admit() {
		return true
	}
	node := &messages.Node{Id: client.GetId(), Name: client.GetName()}
	expected := func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.ContainsFunc(b.clients, func(c *messages.Node) bool { return c.GetId() == node.GetId() })
	}
	if err := b.Feeder.feed(ctx, conn, audience{node: node, expected: expected}); errors.Is(err, errStuck) {
		b.CutOff(client.GetId(), err.Error())
	}
	return true
}

// speaks returns a channel that is closed when the peer says something or is gone: a client that waits
// for its music says nothing. Call stop before anything else reads.
func speaks(conn *transport.Stranger) (said <-chan struct{}, stop func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = conn.Reader.Peek(1)
	}()
	return done, func() {
		_ = conn.SetReadDeadline(time.Now())
		<-done
		_ = conn.SetReadDeadline(time.Time{})
	}
}

// await waits for the client that the connection comes from; nil if there is none.
func (b *Behind) await(ctx context.Context, conn *transport.Stranger, s *serving) *messages.Node {
	host := hostOf(conn.RemoteAddr())
	late, deadline := time.NewTimer(elsewhere), time.NewTimer(wordPatience)
	defer late.Stop()
	defer deadline.Stop()
	gone, stop := speaks(conn)
	defer stop()
	for anywhere := false; ; {
		b.mu.Lock()
		client := b.claim(host, anywhere, s)
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		if client != nil {
			return client
		}
		select {
		case <-changed:
		case <-late.C:
			anywhere = true
		case <-gone:
			return nil
		case <-deadline.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// claim takes the place of a client of the host if no connection has it, or one from another
// host has. If anywhere is true, it also takes the place of any client that no connection has. b.mu
// is held.
func (b *Behind) claim(host string, anywhere bool, s *serving) *messages.Node {
	for _, client := range b.clients {
		other := b.served[client.GetId()]
		switch known := sameHost(hostIn(client.GetRelay()), host); {
		case other == nil && (known || anywhere), other != nil && known && !other.known:
			if other != nil {
				other.end()
			}
			if b.served == nil {
				b.served = map[string]*serving{}
			}
			s.known = known
			b.served[client.GetId()] = s
			b.miss()
			return client
		}
	}
	return nil
}

// sameHost reports whether both are the same machine, as far as this one can know: all its own
// addresses are the same.
func sameHost(a, b string) bool { return a == b || isOurs(a) && isOurs(b) }
