package eventlog

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
)

// Keeper keeps one actor's state equal to a replay of the log. It is safe for concurrent use: commits of one
// Keeper run one after another, commits of several share a disk sync.
type Keeper[S Decider[S]] struct {
	log   *Log
	actor string

	mu sync.Mutex // one Commit or CatchUp at a time
	at atomic.Pointer[moment[S]]
}

// moment is a state and the number of the last event in it.
type moment[S any] struct {
	seq   uint64
	state S
}

// NewKeeper returns the keeper of actor's state: empty, with every event of the log applied, also those of
// other actors. If there is a valid snapshot, only the events behind it are read.
func NewKeeper[S Decider[S]](log *Log, actor string, empty S) (*Keeper[S], error) {
	k := &Keeper[S]{log: log, actor: actor}
	start, err := restore(log, actor, empty)
	if err == nil {
		start, err = sure(log, start)
	}
	if err != nil {
		return nil, fmt.Errorf("rebuild %s: %w", actor, err)
	}
	k.at.Store(&start)
	if err := k.CatchUp(); err != nil {
		return nil, fmt.Errorf("rebuild %s: %w", actor, err)
	}
	return k, nil
}

// State returns the state at event Seq. Only Commit and CatchUp change it.
func (k *Keeper[S]) State() S { return k.at.Load().state }

// Seq returns the number of the last event that State reflects.
func (k *Keeper[S]) Seq() uint64 { return k.at.Load().seq }

// Moment returns State and Seq of the same instant.
func (k *Keeper[S]) Moment() (S, uint64) {
	at := k.at.Load()
	return at.state, at.seq
}

// CatchUp applies the events that have become durable since. After an error the state is the correct
// one at Seq, but older than the log.
func (k *Keeper[S]) CatchUp() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.catchUp()
}

func (k *Keeper[S]) catchUp() error {
	at := *k.at.Load()
	for at.seq < k.log.Last() {
		for b, err := range k.log.batches(at.seq, Any, EventOnly) {
			jumps := err == nil && b.first() != at.seq+1 // events that it had not applied were dropped meanwhile
			switch {
			case err != nil:
			case jumps:
				at, err = overtaken(k.log, k.actor, at)
			default:
				at, err = behind(at, b)
			}
			if err != nil {
				return err
			}
			done := at
			k.at.Store(&done) // nothing may follow: all events may have been dropped
			if jumps {
				break
			}
		}
	}
	return nil
}

// behind returns the moment after the events, which are the next.
func behind[S Decider[S]](at moment[S], b batch) (moment[S], error) {
	err := b.fold(Any, func(seq uint64, event proto.Message) { at = moment[S]{seq, at.state.Apply(event)} })
	return at, err
}

// Commit decides on cmd, appends the events and applies them. It returns the events once they are on disk
// and in State; none if nothing follows from cmd. If another actor appended first, it decides again on the
// new state. After an error nobody may act on cmd: the actor panics, and starts again from the log.
func (k *Keeper[S]) Commit(cmd proto.Message) ([]proto.Message, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		if err := k.catchUp(); err != nil {
			return nil, fmt.Errorf("%s: %w", k.actor, err)
		}
		at := k.at.Load()
		pending, head, failed, ok := k.log.pending(at.seq)
		if !ok {
			continue // an event became durable in between
		}
		state := at.state
		for i := range pending {
			state = state.Apply(pending[i].Event)
		}
		events := state.Decide(cmd)
		if len(events) == 0 {
			// Nothing follows, but perhaps only because of an event that may still fail to reach the disk.
			if head > at.seq && !k.log.settle(head, failed) {
				if k.log.isClosed() {
					return nil, fmt.Errorf("%s: %w", k.actor, ErrClosed)
				}
				continue
			}
			return nil, nil
		}
		last, err := k.log.Append(head, k.actor, cmd, events...)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.actor, err)
		}
		k.at.Store(&moment[S]{last, Replay(state, events...)})
		return events, nil
	}
}

// overtaken returns the state where the log begins, for a keeper that is still before that place because
// its actor had nothing to do for long. If the base has no state of this actor (a ring), the keeper goes
// on with the state it has.
func overtaken[S Decider[S]](log *Log, actor string, at moment[S]) (moment[S], error) {
	seq, data, err := log.baseState(actor)
	if err != nil {
		return at, err
	}
	if seq <= at.seq {
		return at, fmt.Errorf("%w: event %d is missing", ErrDamaged, at.seq+1)
	}
	if data == nil {
		return moment[S]{seq, at.state}, nil
	}
	state, err := thawBase[S](data)
	if err != nil {
		return at, fmt.Errorf("state at event %d, where the log begins: %w", seq, err)
	}
	return moment[S]{seq, state}, nil
}

// restore returns the latest start for a replay: the snapshot, the base, or empty.
func restore[S Decider[S]](log *Log, actor string, empty S) (moment[S], error) {
	if k, ok := log.snapshot(); ok {
		if state, err := thaw[S](k.state(actor)); err == nil {
			return moment[S]{k.Seq, state}, nil
		}
	}
	state, seq, err := BeginUnchecked(log, actor, empty)
	return moment[S]{seq, state}, err
}

// sure checks the events behind at, unless that was done before, and applies those that it checks. It returns the later
// moment once all are checked.
func sure[S Decider[S]](log *Log, at moment[S]) (moment[S], error) {
	err := log.prove(at.seq, func(sound []Row) (err error) {
		if sound[0].Seq == at.seq+1 { // else events before were dropped meanwhile: CatchUp sees that, too
			at, err = behind(at, batch{rows: sound})
		}
		return err
	})
	return at, err
}
