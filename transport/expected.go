package transport

import (
	"context"
	"sync"
	"time"

	"conga/messages"
)

const (
	// listWait is how long an asker that is not expected may wait to become so: it may have
	// heard from the server a moment before this node. It must not take that for silence.
	listWait = messages.SilenceIsDeath / 2
	// listGrace is how long whoever was expected may still come: it may have lost its
	// request connection, and know nothing newer.
	listGrace = 30 * time.Second
	// maxLeft bounds those.
	maxLeft = 2048
)

// Expected is whom the chain sends to a node: those who may ask for the music there, and
// those who may offer theirs. Nobody is expected at first. Safe for many goroutines.
type Expected struct {
	mu      sync.Mutex
	guests  map[string]bool
	hosts   map[string]bool
	sent    map[string]bool      // of the guests, those whom the chain sends here; nil: all
	left    map[string]time.Time // were guests until then
	loose   bool
	links   int           // of this node to the server, that stand
	changed chan struct{} // closed and replaced with each change
}

// NewExpected is for the server's stream port, which is always told by whoever keeps the chain.
func NewExpected() *Expected {
	return &Expected{
		guests: map[string]bool{}, hosts: map[string]bool{}, left: map[string]time.Time{}, changed: make(chan struct{}),
	}
}

// newListenerExpected is for a listener, which may have lost the server that tells it: then
// its list may be old.
func newListenerExpected() *Expected {
	e := NewExpected()
	e.loose = true
	return e
}

// Guests replaces the ids of those who may ask.
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

// Members says which guests of the server, those who stand in the chain, come or go, and whom of them
// it feeds; if those are all, nobody else is one. Whom it does not feed comes only in need: such are
// served, but those of one house are not given all that they ask for at once. Of a node that never
// hears this, all guests are fed.
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

// replace lets those go who are not among the guests. e.mu is held.
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

// forget drops those who left long ago. e.mu is held.
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

// offerers replaces the ids of those who may offer.
func (e *Expected) offerers(ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hosts = make(map[string]bool, len(ids))
	for _, id := range ids {
		e.hosts[id] = true
	}
}

// linked counts the connections to the server that stand: +1 or -1.
func (e *Expected) linked(change int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.links += change
	e.wake()
}

// wake tells those who wait. e.mu is held.
func (e *Expected) wake() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// welcome is what an asker may count on.
type welcome int

const (
	unwelcome     welcome = iota
	provisional           // this node cannot know: if there is room
	expectedGuest         // in any case
)

// is says how welcome the id is now.
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

// wait is `is`, once the id is expected or it has had the time to become so.
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

// offers says whether the id may offer its music.
func (e *Expected) offers(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.hosts[id]
}
