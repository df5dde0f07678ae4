package actors

import (
	"conga/actors/eventlog"
	"conga/actors/relay"
	"conga/actors/relay/search"
)

// ListenerRing makes a listener's ring keep the relay's state when it drops events, so that
// a restarted relay still knows its ancestors.
func ListenerRing() eventlog.RingState {
	return eventlog.Keeping(relay.Actor, search.State{})
}
