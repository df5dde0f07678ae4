package eventlog

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
)

// RingState returns an actor's state at event number through, which the log still has.
type RingState func(log *Log, through uint64) (actor string, state Frozen, err error)

// Keeping makes a ring keep actor's state when it drops events, so that the actor's Keeper goes on as if
// they were still there.
func Keeping[S Decider[S]](actor string, empty S) RingState {
	return func(log *Log, through uint64) (string, Frozen, error) {
		state, seq, err := Begin(log, actor, empty)
		if err == nil {
			err = log.Fold(seq, through, func(_ uint64, event proto.Message) { state = state.Apply(event) })
		}
		if err != nil {
			return actor, Frozen{}, err
		}
		return actor, Freeze(state), nil
	}
}

// OpenRing is Open for a log that keeps only its newest keep events, such as a listener's. It may have a
// quarter more, so that not every append drops some. When it drops events, it keeps the states of the actors
// in states; other actors start empty.
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

// trim drops the events that have fallen out of the ring. If that fails, the append was still successful,
// and the next append tries again.
func (l *Log) trim() error {
	l.mu.Lock()
	keep, base, last := l.keep, l.base.Seq, l.durable.Seq
	l.mu.Unlock()
	if keep == 0 || last-base <= keep+keep/4 {
		return nil
	}
	states := map[string]Frozen{}
	for _, at := range l.keeping {
		// If a state cannot be read, its actor begins empty: the ring must not grow without end.
		if actor, state, err := at(l, last-keep); err == nil {
			states[actor] = state
		}
	}
	if err := l.Drop(last-keep, states); err != nil {
		return fmt.Errorf("trim ring: %w", err)
	}
	return nil
}
