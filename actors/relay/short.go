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
	closed  bool             // the actor is at work
	queued  int              // words of links that are on their way through the mailbox
	passed  []*messages.Item // checked, and not in the window yet: only while take is at work
	left    []machine.Out    // what followed on the short way and is not carried out yet
	due     time.Time        // of the machine's next look
	clock   *time.Timer      // brings that about if no item does
}

type (
	// word is what a link reports, in the mailbox.
	word struct{ what any }
	// look is the message of the clock.
	look struct{}
	// carryOn wakes the actor for what is left.
	carryOn struct{}
	// broken breaks the actor: the machine has panicked, or the window did not take an item.
	broken struct{ reason error }
)

// take takes what a link reports, and returns how many items are done with. send puts a message into the actor's mailbox.
func (s *short) take(what any, send func(any)) (done int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if all, is := what.(*messages.UpstreamAtOnce); is {
		for _, one := range *all {
			done += s.one(one, send)
		}
	} else {
		done = s.one(what, send)
	}
	s.give(send)
	if s.free() && !time.Now().Before(s.due) {
		s.decided(machine.Look{}, send)
	}
	return done
}

// one takes an input. An item may wait for give: those that come at once go into the window together.
func (s *short) one(what any, send func(any)) (done int) {
	_, item := what.(*messages.UpstreamItem)
	_, seal := what.(*messages.UpstreamSeal)
	if !item && !seal || !s.free() { // from others more follows than that an item goes into the window
		s.queued++
		send(word{what})
		return 0
	}
	s.decided(what, send)
	if item {
		done = 1
	}
	return done
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
		s.give(send)
		s.left = append(s.left, follows)
		send(carryOn{})
	}
}

// give puts the items that wait into the window.
func (s *short) give(send func(any)) {
	if len(s.passed) == 0 {
		return
	}
	if err := s.window.Append(s.passed...); err != nil { // the next relay begins where the window is
		s.closed = true
		send(broken{err})
	}
	clear(s.passed)
	s.passed = s.passed[:0]
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

// passes takes the item for the window if that is all there is to do, and reports whether it has.
func (s *short) passes(follows machine.Out) bool {
	if len(follows.Commands) > 0 || len(follows.Effects) != 1 {
		return false
	}
	pass, is := follows.Effects[0].(machine.Pass)
	if is {
		s.passed = append(s.passed, pass.Item)
	}
	return is
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
