package eventlog

import (
	"fmt"
	"sort"
	"time"

	"google.golang.org/protobuf/proto"
)

// Begin returns actor's state where the log begins, and the number of the last event in that state: empty
// and 0, or what an archive or a ring kept of the events before. The events behind it are checked.
func Begin[S Decider[S]](log *Log, actor string, empty S) (S, uint64, error) {
	state, seq, err := BeginUnchecked(log, actor, empty)
	if err == nil {
		err = log.prove(seq, nil)
	}
	if err != nil {
		return empty, seq, err
	}
	return state, seq, nil
}

// BeginUnchecked is Begin for whoever then goes on with FoldSound, which checks the events.
func BeginUnchecked[S Decider[S]](log *Log, actor string, empty S) (S, uint64, error) {
	seq, data, err := log.baseState(actor)
	if err != nil || data == nil {
		return empty, seq, err
	}
	state, err := thawBase[S](data)
	if err != nil {
		return empty, 0, fmt.Errorf("state of %s at event %d, where the log begins: %w: import the archived events again", actor, seq, err)
	}
	return state, seq, nil
}

// Fold calls apply for each event with number > seq, up to and including last, in order. It decodes only
// the events, not their causes.
func (l *Log) Fold(seq, last uint64, apply func(seq uint64, event proto.Message)) error {
	for b, err := range l.batches(seq, last, EventOnly) {
		if err != nil {
			return err
		}
		if b.first() != seq+1 {
			return fmt.Errorf("event %d is no longer in the log, which begins with %d", seq+1, l.Base()+1)
		}
		if err := b.fold(last, apply); err != nil {
			return err
		}
		seq += uint64(b.len())
	}
	if seq < last {
		return fmt.Errorf("event %d is not in the log, which ends with %d", last, l.Last())
	}
	return nil
}

// FoldSound is Fold, and checks all events behind seq, unless that was done before. Whoever has not checked them reads the log
// only once so. After an error, what apply has made of the events is worth nothing: one of them may be damaged.
func (l *Log) FoldSound(seq, last uint64, apply func(seq uint64, event proto.Message)) error {
	err := l.prove(seq, func(sound []Row) error {
		if sound[0].Seq != seq+1 || seq >= last { // some were dropped meanwhile: Fold sees that, too
			return nil
		}
		seq += uint64(len(sound))
		return batch{rows: sound}.fold(last, apply)
	})
	if err != nil {
		return err
	}
	return l.Fold(min(seq, last), last, apply)
}

// fold calls apply for each event up to last.
func (b batch) fold(last uint64, apply func(seq uint64, event proto.Message)) error {
	for i := range b.rows {
		if b.rows[i].Seq > last {
			return nil
		}
		event, err := b.rows[i].event()
		if err != nil {
			return err
		}
		apply(b.rows[i].Seq, event)
	}
	for i := range b.records {
		if b.records[i].Seq > last {
			return nil
		}
		apply(b.records[i].Seq, b.records[i].Event)
	}
	return nil
}

// first returns the number of the batch's first event, 0 if it is empty.
func (b batch) first() uint64 {
	switch {
	case len(b.rows) > 0:
		return b.rows[0].Seq
	case len(b.records) > 0:
		return b.records[0].Seq
	}
	return 0
}

// SeqAt returns the number of the last event that had happened by the time at, or the log's base if none
// had. It is a binary search: times never go back.
func (l *Log) SeqAt(at time.Time) (uint64, error) {
	base, last := l.Base(), l.Last()
	var failed error
	later := sort.Search(int(last-base), func(i int) bool {
		mark, err := l.MarkAt(base + 1 + uint64(i))
		if err != nil {
			failed = err
			return true
		}
		return mark.Time > at.UnixMicro()
	})
	if failed != nil {
		return 0, fmt.Errorf("find the events of %s: %w", at.Format(time.RFC3339), failed)
	}
	return base + uint64(later), nil
}

// BaseActors returns the names, sorted, of the actors whose states the base has.
func (l *Log) BaseActors() ([]string, error) {
	if l.Base() == 0 {
		return nil, nil
	}
	data, err := l.store.Kept("base")
	if err != nil || data == nil {
		return nil, err
	}
	k, err := melt(data)
	if err != nil {
		return nil, err
	}
	var names []string // pack sorts them
	for _, state := range k.States {
		names = append(names, state.Actor)
	}
	return names, nil
}
