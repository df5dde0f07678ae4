package actors

import (
	"conga/actors/eventlog"
	"conga/actors/relay"
	"conga/actors/relay/search"
)

// ListenerRing lets a listener's ring remember the relay's state when it forgets the
// events before: a restarted relay still knows its ancestors.
func ListenerRing() eventlog.RingState {
	return eventlog.Keeping(relay.Actor, search.State{})
}
