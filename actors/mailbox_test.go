package actors

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// While the log cannot be written, mailboxes have an end: reports are dropped, joins and songs
// are refused at once, in this order. No goodbye and no loss that the server has seen is
// forgotten: when there is room again, nobody stands in the chain who has gone.
func TestServer_FullDisk_Mailboxes(t *testing.T) {
	d := newDisk()
	h := open(t, d)
	defer h.close()
	h.onAir()
	const listeners = 300
	id := func(i int) string { return fmt.Sprint("n", i) }
	for i := range listeners {
		if _, is := h.ask(h.ChainManager(), join(id(i)), patience).(*messages.Welcome); !is {
			t.Fatalf("%s is not taken in", id(i))
		}
	}
	h.port.roll.Store(&messages.Roll{Left: []string{id(0)}}) // and all others are lost, when it is called
	hold := make(chan struct{})
	d.fill(true)
	d.stall(hold)
	root := h.system.Root
	root.Send(h.ChainManager(), &messages.LeaveChain{Id: id(0)}) // it fails, later
	root.Send(h.Scheduler(), play("first", "bach"))
	for range 10 {
		for i := 1; i < listeners; i++ {
			root.Send(h.ChainManager(), &messages.Reconnected{Id: id(i)})
			root.Send(h.ChainManager(), &messages.PeerLost{Id: id(i), SeenBy: id(i - 1)})
		}
	}
	for i := range 2 * roomForQuestions {
		root.Send(h.Scheduler(), play(fmt.Sprint("more", i), "bach"))
	}
	// The first of them may have been taken out only now: then there is room for one question.
	busy := func(what string, ask func() any) {
		t.Helper()
		for {
			switch answer := ask().(type) {
			case nil:
			case *messages.Refused:
				if answer.GetReason() == "" {
					t.Errorf("%s is refused without a reason", what)
				}
				return
			default:
				t.Errorf("%s: %v", what, answer)
				return
			}
		}
	}
	const moment = 100 * time.Millisecond
	busy("a join", func() any { return h.ask(h.ChainManager(), join("late"), moment) })
	busy("a song", func() any { return h.ask(h.Scheduler(), play("late", "bach"), moment) })
	for i := 1; i < listeners; i++ {
		var gone proto.Message = &messages.LeaveChain{Id: id(i)}
		if i%2 == 0 {
			gone = &messages.PeerLost{Id: id(i), SeenBy: messages.ServerID}
		}
		root.Send(h.ChainManager(), gone)
	}
	d.stall(nil)
	close(hold) // what hung fails now, and the actors are down

	for { // soon it is known that it makes no sense to wait
		if _, is := h.ask(h.Scheduler(), &messages.ListRequests{}, moment).(*messages.Refused); is {
			break
		}
	}
	d.fill(false)
	left := 0
	h.await("the last goodbye", func(e proto.Message) bool {
		if _, is := e.(*messages.ListenerLeft); is {
			left++
		}
		return left == listeners
	})
	if _, is := h.ask(h.ChainManager(), join("late"), patience).(*messages.Welcome); !is {
		t.Error("nobody can join")
	}
}
