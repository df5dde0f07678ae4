package relay

import (
	"fmt"
	"sync"
	"time"

	"conga/actors/relay/machine"
	"conga/actors/window"
	"conga/messages"
)

// short is the short way of items and their seals: the link's own goroutine lets the machine decide on them, and puts the
// items into the window. So it costs no other goroutine's turn. Also, an item brings about the machine's look at how the
// music comes, when that is due. All else, and whatever follows besides, goes through the actor's mailbox. While anything
// waits there, the short way is closed: inputs are decided in the order in which they came, and what follows is carried out
// in the order of the decisions.
type short struct {
	window *window.Window
	now    func() int64 // the server's clock

	mu      sync.Mutex
	machine *machine.Machine
	closed  bool          // the actor is at work
	queued  int           // words of links that are on their way through the mailbox
	left    []machine.Out // what followed on the short way and is not carried out yet
	due     time.Time     // of the machine's next look
	clock   *time.Timer   // brings that about if no item does
}

type (
	// word is what a link reports, in the mailbox.
	word struct{ what any }
	// look is the message of the clock.
	look struct{}
	// carryOn wakes the actor for what is left.
	carryOn struct{}
	// broken breaks the actor: the machine has panicked.
	broken struct{ reason error }
)

// take takes what a link reports. send puts a message into the actor's mailbox.
func (s *short) take(what any, send func(any)) (done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !shortly(what) || !s.free() {
		s.queued++
		send(word{what})
		return false
	}
	s.decided(what, send)
	if s.free() && !time.Now().Before(s.due) {
		s.decided(machine.Look{}, send)
	}
	return true
}

// shortly reports whether nearly always nothing follows from what a link reports but that an item goes into the window.
func shortly(what any) bool {
	switch what.(type) {
	case *messages.UpstreamItem, *messages.UpstreamSeal:
		return true
	}
	return false
}

// free reports whether the short way may be taken. s.mu is held.
func (s *short) free() bool { return !s.closed && s.queued == 0 && len(s.left) == 0 }

// decided takes an input on the short way.
func (s *short) decided(input any, send func(any)) {
	defer func() {
		if reason := recover(); reason != nil {
			s.closed = true // the actor restarts with another machine
			send(broken{fmt.Errorf("decide on %T: %v", input, reason)})
		}
	}()
	follows := s.decide(input)
	if s.passes(follows) {
		s.machine.Return(follows.Effects)
	} else if len(follows.Commands)+len(follows.Effects) > 0 {
		s.left = append(s.left, follows)
		send(carryOn{})
	}
}

// watch starts the clock.
func (s *short) watch(send func(any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = time.Now().Add(machine.Glance)
	s.clock = time.AfterFunc(machine.Glance, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.free() {
			s.decided(machine.Look{}, send)
		} else {
			send(look{})
		}
	})
}

// looked sets the time of the next look. While music comes, an item brings it about: the clock gives it time for that.
func (s *short) looked(now time.Time) {
	if s.due = s.due.Add(machine.Glance); s.due.Before(now) {
		s.due = now.Add(machine.Glance)
	}
	s.clock.Reset(s.due.Sub(now) + messages.MaxChunkDuration)
}

// passes puts the item into the window if that is all there is to do, and reports whether it has.
func (s *short) passes(follows machine.Out) bool {
	if len(follows.Commands) > 0 || len(follows.Effects) != 1 {
		return false
	}
	pass, is := follows.Effects[0].(machine.Pass)
	return is && s.window.Append(pass.Item) == nil
}

// decide asks the machine. The way must be closed, or s.mu held.
func (s *short) decide(input any) machine.Out {
	now := time.Now()
	if _, is := input.(machine.Look); is {
		s.looked(now)
	}
	return s.machine.Step(machine.Moment{Own: now, Server: s.now()}, input)
}

// close closes the short way while the actor works. It returns the message without its wrapping, and what is left to be
// carried out before it.
func (s *short) close(message any) (inner any, left []machine.Out) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	left, s.left = s.left, nil
	if w, is := message.(word); is {
		s.queued--
		message = w.what
	}
	return message, left
}

func (s *short) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = false
}
