package machine

import (
	"time"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// Out is what follows from an input. The commands are to be in the log BEFORE the effects
// are carried out, in their order.
type Out struct {
	Commands []proto.Message
	Effects  []Effect
}

// Effect is something that the relay is to do: one of the types below.
type Effect any

type (
	// Pass puts an item into the window.
	Pass struct{ Item *messages.Item }
	// BegunAnew empties the window: the broadcast does not go on from what was heard.
	BegunAnew struct{}
	// Dial asks an ancestor for the music.
	Dial struct {
		Sought *messages.UpstreamSought
		Open   *messages.OpenStream // without the node
		Ticket uint64               // for its own connection; 0: it made none
	}
	// Refuse lets the connection be closed that an ancestor has made.
	Refuse struct{ Ticket uint64 }
	// SearchAfter sets the timer of the search, at whose end the machine gets a SearchOn with that
	// link. With jitter the wait is shortened by up to a half, at random: many orphans must not
	// come in step.
	SearchAfter struct {
		Wait   time.Duration
		Jitter bool
		Link   uint64
	}
	// SearchNoMore stops that timer.
	SearchNoMore struct{}
	// Offer makes the stream port dial a listener that this node must dial; nil: nobody.
	Offer struct{ To *messages.Node }
	// Tell sends the server what this node saw.
	Tell struct{ Word proto.Message }
)

func (m *Machine) effect(e Effect) { m.out.Effects = append(m.out.Effects, e) }
