package actors

import (
	"fmt"

	"conga/actors/catalog"
	"conga/actors/catalog/library"
	"conga/actors/chainmanager"
	"conga/actors/chainmanager/chain"
	"conga/actors/eventlog"
	"conga/actors/pacer"
	"conga/actors/pacer/place"
	"conga/actors/scheduler"
	"conga/actors/scheduler/queue"
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// ServerState is all that follows from the server's log: the same events give the same
// state, in a running server, after a crash, and on another machine.
type ServerState struct {
	Scheduler    queue.State   `json:"scheduler"`
	Catalog      library.State `json:"catalog"`
	Pacer        place.State   `json:"pacer"`
	ChainManager chain.State   `json:"chainManager"`
}

// Apply returns the state after event.
func (s ServerState) Apply(event proto.Message) ServerState {
	s.Scheduler = s.Scheduler.Apply(event)
	s.Catalog = s.Catalog.Apply(event)
	s.Pacer = s.Pacer.Apply(event)
	s.ChainManager = s.ChainManager.Apply(event)
	return s
}

// Decide passes cmd to the actor whose command it is.
func (s ServerState) Decide(cmd proto.Message) []proto.Message {
	for _, decide := range []func(proto.Message) []proto.Message{
		s.Scheduler.Decide, s.Catalog.Decide, s.Pacer.Decide, s.ChainManager.Decide,
	} {
		if events := decide(cmd); len(events) > 0 {
			return events
		}
	}
	return nil
}

// align brings the actors' states to one event. Each is correct at its own event; to those behind the
// newest it applies the events in between, as the actor itself would.
func (s *Server) align(views map[string]messages.View) (state ServerState, event uint64, err error) {
	for _, view := range views {
		event = max(event, view.Seq)
	}
	if state.Scheduler, err = forward[queue.State](s.cfg.Log, scheduler.Actor, views[scheduler.Actor], event); err != nil {
		return state, 0, err
	}
	if state.Catalog, err = forward[library.State](s.cfg.Log, catalog.Actor, views[catalog.Actor], event); err != nil {
		return state, 0, err
	}
	if state.Pacer, err = forward[place.State](s.cfg.Log, pacer.Actor, views[pacer.Actor], event); err != nil {
		return state, 0, err
	}
	state.ChainManager, err = forward[chain.State](s.cfg.Log, chainmanager.Actor, views[chainmanager.Actor], event)
	return state, event, err
}

func forward[S eventlog.Decider[S]](log *eventlog.Log, name string, view messages.View, to uint64) (S, error) {
	state, ok := view.State.(S)
	if !ok {
		return state, fmt.Errorf("%q gave no state", view.Actor)
	}
	apply := func(_ uint64, event proto.Message) { state = state.Apply(event) }
	err := log.Fold(view.Seq, to, apply)
	if err == nil {
		return state, nil
	}
	// An actor that had nothing to do for long may be behind what the log still has.
	var empty S
	var seq uint64
	if state, seq, err = eventlog.Begin(log, name, empty); err == nil {
		err = log.Fold(seq, to, apply)
	}
	if err != nil {
		return state, fmt.Errorf("bring %s from event %d to %d: %w", view.Actor, view.Seq, to, err)
	}
	return state, nil
}
