package relay

import (
	"fmt"
	"sync"
	"time"

	"conga/actors/relay/machine"
	"conga/actors/window"
	"conga/messages"
)

// short is the short way of an item: the link's own goroutine lets the machine decide on it, and puts it into the window.
// So it costs no other goroutine's turn. All else, and whatever follows besides, goes through the actor's mailbox. While
// anything waits there, the short way is closed: inputs are decided in the order in which they came, and what follows is
// carried out in the order of the decisions.
type short struct {
	window *window.Window
	now    func() int64 // the server's clock

	mu      sync.Mutex
	machine *machine.Machine
	closed  bool          // the actor is at work
	queued  int           // words of links that are on their way through the mailbox
	left    []machine.Out // what followed on the short way and is not carried out yet
}

type (
	// word is what a link reports, in the mailbox.
	word struct{ what any }
	// carryOn wakes the actor for what is left.
	carryOn struct{}
	// broken breaks the actor: the machine has panicked.
	broken struct{ reason error }
)

// take takes what a link reports. send puts a message into the actor's mailbox.
func (s *short) take(what any, send func(any)) (done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	item, is := what.(*messages.UpstreamItem)
	if !is || s.closed || s.queued > 0 || len(s.left) > 0 {
		s.queued++
		send(word{what})
		return false
	}
	defer func() {
		if reason := recover(); reason != nil {
			s.closed = true // the actor restarts with another machine
			send(broken{fmt.Errorf("decide on an item: %v", reason)})
		}
	}()
	follows := s.decide(item)
	if s.passes(follows) {
		s.machine.Return(follows.Effects)
	} else if len(follows.Commands)+len(follows.Effects) > 0 {
		s.left = append(s.left, follows)
		send(carryOn{})
	}
	return true
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
	return s.machine.Step(machine.Moment{Own: time.Now(), Server: s.now()}, input)
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
