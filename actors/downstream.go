package actors

import (
	"slices"

	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

// downstream keeps the names of the nodes that this one feeds. It is its own small actor because the
// connections report only once: a relay that was restarted could not learn it again.
type downstream struct{ fed []*messages.Node }

// Receive adds or removes a connection, or lists them.
func (d *downstream) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *messages.DownstreamOpened:
		d.fed = append(d.fed, msg.Node)
	case *messages.DownstreamClosed:
		at := slices.IndexFunc(d.fed, func(n *messages.Node) bool { return n.GetId() == msg.Node.GetId() })
		if at >= 0 {
			d.fed = slices.Delete(d.fed, at, at+1)
		}
	case *messages.Look:
		names := []string{}
		for _, node := range d.fed {
			names = append(names, node.GetName())
		}
		msg.Reply <- messages.View{Actor: downstreamName, Live: names}
	}
}
