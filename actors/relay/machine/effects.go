package machine

import (
	"time"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// Out is what follows from an input. The commands must be in the log BEFORE the effects are
// carried out, in order.
type Out struct {
	Commands []proto.Message
	Effects  []Effect
}

// Effect is something that the relay must do: one of the types below.
type Effect any

type (
	// Pass puts an item into the window.
	Pass struct{ Item *messages.Item }
	// BegunAnew empties the window: the broadcast does not continue the one that was heard.
	BegunAnew struct{}
	// Dial asks an ancestor for the music.
	Dial struct {
		Sought *messages.UpstreamSought
		Open   *messages.OpenStream // without the node
		Ticket uint64               // for the connection that the ancestor has made; 0: dial it
	}
	// Refuse closes the connection that an ancestor has made.
	Refuse struct{ Ticket uint64 }
	// SearchAfter sets the search's timer, after which the machine gets a SearchOn with this link. With
	// Jitter the wait is shortened by up to a half, at random, so that many orphans do not come in
	// step.
	SearchAfter struct {
		Wait   time.Duration
		Jitter bool
		Link   uint64
	}
	// SearchNoMore stops that timer.
	SearchNoMore struct{}
	// Offer makes the stream port dial a listener that this node must dial; nil: nobody.
	Offer struct{ To *messages.Node }
	// Tell sends the server a report.
	Tell struct{ Word proto.Message }
)

func (m *Machine) effect(e Effect) { m.out.Effects = append(m.out.Effects, e) }
