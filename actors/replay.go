package actors

import (
	"fmt"
	"slices"

	"conga/actors/catalog"
	"conga/actors/chainmanager"
	"conga/actors/eventlog"
	"conga/actors/pacer"
	"conga/actors/player"
	"conga/actors/relay"
	"conga/actors/relay/search"
	"conga/actors/requester"
	"conga/actors/scheduler"

	"google.golang.org/protobuf/proto"
)

// ListenerState is all that follows from a listener's log.
type ListenerState struct {
	Relay search.State `json:"relay"`
}

// StateAt returns the state at event number at, replayed without a snapshot: the `state` of a
// dump of that moment. It is a ServerState or a ListenerState, depending on the log.
func StateAt(log *eventlog.Log, at uint64) (any, error) {
	listener, err := IsListeners(log)
	if err != nil {
		return nil, err
	}
	if listener {
		state, err := replay(log, relay.Actor, search.State{}, at)
		return ListenerState{state}, err
	}
	return ServerStateAt(log, at)
}

// IsListeners reports whether the log is a listener's, not a server's.
func IsListeners(log *eventlog.Log) (bool, error) {
	kept, err := log.BaseActors()
	if err != nil {
		return false, err
	}
	if slices.Contains(kept, relay.Actor) {
		return true, nil
	}
	for record, err := range log.Since(log.Base()) {
		return slices.Contains([]string{relay.Actor, player.Actor, requester.Actor}, record.Actor), err
	}
	return false, nil
}

// ServerStateAt is StateAt for a server's log.
func ServerStateAt(log *eventlog.Log, at uint64) (ServerState, error) {
	s, seq, err := serverStart(log)
	if err != nil {
		return s, err
	}
	if at < seq {
		return s, fmt.Errorf("event %d was archived or folded: the log begins with event %d", at, seq+1)
	}
	err = log.FoldSound(seq, at, func(_ uint64, event proto.Message) { s = s.Apply(event) })
	return s, err
}

func replay[S eventlog.Decider[S]](log *eventlog.Log, actor string, empty S, at uint64) (S, error) {
	state, seq, err := eventlog.BeginUnchecked(log, actor, empty)
	if err != nil {
		return state, err
	}
	if at < seq {
		return state, fmt.Errorf("event %d is no longer kept: the log begins with event %d", at, seq+1)
	}
	err = log.FoldSound(seq, at, func(_ uint64, event proto.Message) { state = state.Apply(event) })
	return state, err
}

// Frozen returns the state as snapshots and archives keep it: by the names of the actors.
func (s ServerState) Frozen() map[string]eventlog.Frozen {
	return map[string]eventlog.Frozen{
		scheduler.Actor:    eventlog.Freeze(s.Scheduler),
		catalog.Actor:      eventlog.Freeze(s.Catalog),
		pacer.Actor:        eventlog.Freeze(s.Pacer),
		chainmanager.Actor: eventlog.Freeze(s.ChainManager),
	}
}
