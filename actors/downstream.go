package actors

import (
	"slices"

	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

// downstream keeps whom this node feeds, by name. It is an actor of its own, and so small, because
// nobody could say it again to a relay that broke down: the connections tell it once.
type downstream struct{ fed []*messages.Node }

// Receive notes a connection, forgets it, or says whose there are.
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
