package relay

import (
	"time"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// out is what follows from an input. The commands are to be in the log BEFORE the effects
// are carried out.
type out struct {
	commands []proto.Message
	effects  []effect
}

// effect is something that the relay is to do: one of the types below.
type effect any

type (
	// dial asks an ancestor for the music.
	dial struct {
		sought *messages.UpstreamSought
		open   *messages.OpenStream // without the node
		ticket uint64               // for its own connection; 0: it made none
	}
	// refuse lets the connection be closed that an ancestor has made.
	refuse struct{ ticket uint64 }
	// searchAfter sets the timer of the search. With jitter the wait is shortened by up to a
	// half, at random: many orphans must not come in step.
	searchAfter struct {
		wait   time.Duration
		jitter bool
	}
	// searchNoMore stops that timer.
	searchNoMore struct{}
	// offer makes the stream port dial a listener that this node must dial; nil: nobody.
	offer struct{ to *messages.Node }
	// tell sends the server what this node saw.
	tell struct{ word proto.Message }
	// begunAnew says that the broadcast does not go on from what was heard.
	begunAnew struct{}
)

func (m *machine) effect(e effect) { m.out.effects = append(m.out.effects, e) }
