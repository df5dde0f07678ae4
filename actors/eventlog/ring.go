package eventlog

import (
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
)

// RingState gives an actor's state at event number through, which the log still has.
type RingState func(log *Log, through uint64) (actor string, state json.RawMessage, err error)

// Keeping lets a ring remember actor's state when it forgets the events before: a
// Keeper of it then goes on as if nothing had been forgotten.
func Keeping[S Decider[S]](actor string, empty S) RingState {
	return func(log *Log, through uint64) (string, json.RawMessage, error) {
		state, seq, err := Begin(log, actor, empty)
		if err == nil {
			err = log.Fold(seq, through, func(_ uint64, event proto.Message) { state = state.Apply(event) })
		}
		if err != nil {
			return actor, nil, err
		}
		data, err := json.Marshal(state)
		return actor, data, err
	}
}

// OpenRing is Open for a log that remembers only its newest keep events, and up to
// a quarter more, so that not every append has to drop something: a listener's own
// journal. Of the actors in states it remembers the state where it begins; others begin
// empty there.
func OpenRing(store Store, now func() time.Time, keep int, states ...RingState) (*Log, error) {
	l, err := Open(store, now)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.keep, l.keeping = uint64(max(keep, 1)), states
	l.mu.Unlock()
	return l, nil
}

// trim drops what has fallen out of the ring. What was appended is kept, so that a
// failure is no reason to deny it: the next append tries again.
func (l *Log) trim() error {
	l.mu.Lock()
	keep, base, last := l.keep, l.base.Seq, l.durable.Seq
	l.mu.Unlock()
	if keep == 0 || last-base <= keep+keep/4 {
		return nil
	}
	states := map[string]json.RawMessage{}
	for _, at := range l.keeping {
		// A state that cannot be had is no reason to grow without end: its actor begins empty.
		if actor, state, err := at(l, last-keep); err == nil {
			states[actor] = state
		}
	}
	if err := l.Drop(last-keep, states); err != nil {
		return fmt.Errorf("trim ring: %w", err)
	}
	return nil
}
