package actors

import (
	"context"

	"conga/actors/relay"
	"conga/actors/relay/search"
	"conga/messages"
)

// Upstream returns host:port of the node that should feed this node's clients of 2016 when it leaves. That is
// the node that the server has placed above it. If that node does not feed this one now, cannot be
// reached, or is not known before ctx ends, it is the server's stream, which feeds anyone.
func (c *Client) Upstream(ctx context.Context) string {
	views, err := c.look(ctx, relay.Actor)
	if err != nil {
		return c.cfg.Stream
	}
	state, ok := views[relay.Actor].State.(search.State)
	switch {
	case !ok, state.Upstream == nil, len(state.Ancestors) == 0:
		return c.cfg.Stream
	}
	above := state.Ancestors[0]
	if state.Upstream.Node.ID != above.ID || above.ID == messages.ServerID || above.Dials || above.Relay == "" {
		return c.cfg.Stream
	}
	return above.Relay
}

// ServerStream returns host:port of the server's stream.
func (c *Client) ServerStream() string { return c.cfg.Stream }
