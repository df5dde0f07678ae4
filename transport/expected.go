package transport

import (
	"context"
	"sync"
	"time"

	"conga/messages"
)

const (
	// listWait is how long an unexpected asker waits: it may have heard from the server a
	// moment before this node. It is short enough that the asker does not take it for silence.
	listWait = messages.SilenceIsDeath / 2
	// listGrace is how long a listener may still come after it is no longer expected: it may have lost its
	// request connection, and know nothing newer.
	listGrace = 30 * time.Second
	// maxLeft bounds the memory for those.
	maxLeft = 2048
)

// Expected is the list of nodes that the chain sends to a node: those that may ask for the music there, and
// those that may offer theirs. At first it is empty. Safe for many goroutines.
type Expected struct {
	mu      sync.Mutex
	guests  map[string]bool
	hosts   map[string]bool
	sent    map[string]bool      // the guests that the chain sends here; nil: all guests
	left    map[string]time.Time // former guests, and until when they were
	loose   bool                 // see newListenerExpected
	links   int                  // open connections from this node to the server
	changed chan struct{}        // closed and replaced with each change
}

// NewExpected returns the list for the server's stream port, which the chain manager always keeps current.
func NewExpected() *Expected {
	return &Expected{
		guests: map[string]bool{}, hosts: map[string]bool{}, left: map[string]time.Time{}, changed: make(chan struct{}),
	}
}

// newListenerExpected returns the list for a listener. Its list may be old while it has no connection to the
// server; then it also serves unknown nodes (provisional).
func newListenerExpected() *Expected {
	e := NewExpected()
	e.loose = true
	return e
}

// Guests replaces the ids of the nodes that may ask.
func (e *Expected) Guests(ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	guests := make(map[string]bool, len(ids))
	for _, id := range ids {
		guests[id] = true
	}
	e.replace(guests)
	for id := range guests {
		e.come(id)
	}
	e.forget()
	e.wake()
}

// Members tells the server's port which listeners have come into the chain or left it, and which of them the
// server feeds. If all is true, changed is the whole chain. A listener that the server does not feed comes
// only in need; it is served, but listeners of one address do not get all that they ask for at once
// (catchUps). A node on which Members is never called treats all guests as fed by it.
func (e *Expected) Members(changed map[string]messages.Standing, all bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sent == nil {
		e.sent = map[string]bool{}
	}
	if all {
		stand := make(map[string]bool, len(changed))
		for id, standing := range changed {
			stand[id] = standing != messages.StandingOutside
		}
		e.replace(stand)
	}
	for id, standing := range changed {
		delete(e.sent, id)
		switch standing {
		case messages.StandingOutside:
			e.leave(id)
		case messages.StandingFedByServer:
			e.sent[id] = true
			fallthrough
		case messages.StandingInChain:
			e.come(id)
		}
	}
	e.forget()
	e.wake()
}

// replace removes the guests that are not in guests. e.mu is held.
func (e *Expected) replace(guests map[string]bool) {
	for id := range e.guests {
		if !guests[id] {
			delete(e.sent, id)
			e.leave(id)
		}
	}
}

func (e *Expected) come(id string) {
	e.guests[id] = true
	delete(e.left, id)
}

func (e *Expected) leave(id string) {
	if e.guests[id] {
		delete(e.guests, id)
		e.left[id] = time.Now()
	}
}

// forget drops the former guests that left long ago. e.mu is held.
func (e *Expected) forget() {
	now := time.Now()
	for id, since := range e.left {
		if now.Sub(since) >= listGrace || len(e.left) > maxLeft {
			delete(e.left, id)
		}
	}
}

func (e *Expected) sends(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sent == nil || e.sent[id]
}

// members is how many the chain sends here, or has, at the server.
func (e *Expected) members() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.guests)
}

// offerers replaces the ids of the nodes that may offer.
func (e *Expected) offerers(ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hosts = make(map[string]bool, len(ids))
	for _, id := range ids {
		e.hosts[id] = true
	}
}

// linked counts open connections to the server: change is +1 or -1.
func (e *Expected) linked(change int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.links += change
	e.wake()
}

// wake wakes the goroutines in wait. e.mu is held.
func (e *Expected) wake() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// welcome says whether an asker is served.
type welcome int

const (
	unwelcome     welcome = iota
	provisional           // only if there is room: this node cannot know whether it is expected
	expectedGuest         // always
)

// is returns how welcome the id is now.
func (e *Expected) is(id string) welcome {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.find(id)
}

func (e *Expected) find(id string) welcome {
	since, left := e.left[id]
	switch {
	case e.guests[id], left && time.Since(since) < listGrace:
		return expectedGuest
	case e.loose && e.links == 0:
		return provisional
	}
	return unwelcome
}

// wait is like `is`, but an unwelcome id waits up to listWait to become expected.
func (e *Expected) wait(life context.Context, id string) welcome {
	timeout := time.NewTimer(listWait)
	defer timeout.Stop()
	for {
		e.mu.Lock()
		now, changed := e.find(id), e.changed
		e.mu.Unlock()
		if now != unwelcome {
			return now
		}
		select {
		case <-changed:
		case <-timeout.C:
			return e.is(id)
		case <-life.Done():
			return unwelcome
		}
	}
}

// offers reports whether the node may offer its music.
func (e *Expected) offers(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.hosts[id]
}
