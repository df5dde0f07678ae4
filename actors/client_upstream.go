package actors

import (
	"context"

	"conga/actors/relay"
	"conga/messages"
)

// Upstream is host:port of who feeds this node: the server's stream, which feeds anybody,
// also while nobody does or if the relay does not answer before ctx ends.
func (c *Client) Upstream(ctx context.Context) string {
	views, err := c.look(ctx, relayName)
	if err != nil {
		return c.cfg.Stream
	}
	state, ok := views[relayName].State.(relay.State)
	switch {
	case !ok, state.Upstream == nil, state.Upstream.Node.ID == messages.ServerID, state.Upstream.Node.Relay == "":
		return c.cfg.Stream
	}
	return state.Upstream.Node.Relay
}
