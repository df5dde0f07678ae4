package actors

import (
	"context"

	"conga/actors/relay"
	"conga/actors/relay/search"
	"conga/messages"
)

// Upstream is host:port of the node that feeds the clients of this node when it leaves. That is
// the node that the server has placed above it. It is the server's stream instead, which feeds
// anyone, if that node does not feed this one now, cannot be reached, or is not known before
// ctx ends.
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

// ServerStream is host:port of the server's stream.
func (c *Client) ServerStream() string { return c.cfg.Stream }
