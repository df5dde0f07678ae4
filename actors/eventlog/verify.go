package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
)

// newest is how many events Open checks: those that a crash could have damaged. Older events are checked
// when a state is built on them, and by Verify.
const newest = 2048

// Damage is the error for the first event that is not as it was written. It wraps
// ErrDamaged.
type Damage struct {
	Seq    uint64
	Reason string
}

func (d *Damage) Error() string {
	return fmt.Sprintf("%v: event %d: %s", ErrDamaged, d.Seq, d.Reason)
}

// Unwrap makes errors.Is(err, ErrDamaged) true.
func (d *Damage) Unwrap() error { return ErrDamaged }

// Verify checks every event: numbers without a gap, the hash chain, that each can
// be decoded; then the base, the snapshot and the medium. It returns how many events are
// sound; the error is a *Damage if one is not. The log may grow meanwhile.
func (l *Log) Verify(ctx context.Context) (uint64, error) {
	l.mu.Lock()
	base, last := l.base, l.durable
	l.mu.Unlock()
	checked, err := check(ctx, l.store, base, last)
	if err == nil {
		err = l.checkKept()
	}
	if err == nil {
		err = l.store.Check(ctx)
	}
	if err != nil {
		return checked, fmt.Errorf("verify: %w", err)
	}
	return checked, nil
}

// Prove checks the events on which states will be built: those behind the snapshot, or all.
func (l *Log) Prove() error {
	seq := l.Base()
	if f, ok := l.snapshot(); ok {
		seq = f.Seq
	}
	return l.prove(seq, nil)
}

// prove checks the events behind seq, unless that was done before. States are built only on checked events. If it has to
// check any, it gives them to use, so that they need not be read again for a state; use may be nil. If prove then fails,
// that state is worth nothing: the first event may be of another log.
func (l *Log) prove(seq uint64, use func(sound []Row) error) error {
	l.proving.Lock()
	defer l.proving.Unlock()
	if seq >= l.proven {
		return nil
	}
	from, err := l.MarkAt(seq)
	if err != nil {
		return err
	}
	to, err := l.MarkAt(l.proven)
	if err != nil {
		return err
	}
	var unused error // damage behind it counts more
	for rows, err := range walk(context.Background(), l.store, from, to) {
		if err != nil {
			return err
		}
		if use != nil && unused == nil {
			unused = use(rows)
		}
	}
	l.proven = seq
	return unused
}

// checkNewest checks only the end of the log, so that a year's log opens as fast as a day's, and of that only what this process has
// not checked before.
func (l *Log) checkNewest() error {
	seq := max(l.base.Seq, l.durable.Seq-min(l.durable.Seq, newest))
	if own := l.own.Load(); own != nil {
		seq = max(seq, own.Seq)
	}
	from, err := l.MarkAt(seq)
	if err == nil {
		_, err = check(context.Background(), l.store, from, l.durable)
	}
	l.proven = from.Seq
	return err
}

// check checks the events behind from up to last, and returns how many it found sound.
func check(ctx context.Context, store Store, from, last Mark) (checked uint64, err error) {
	for _, err := range sound(ctx, store, from, last) {
		if err != nil {
			return checked, err
		}
		checked++
	}
	return checked, nil
}

// Sound yields the events on disk as long as each follows from the one before, and then the error: a
// *Damage, or the store's error for an event that it cannot read.
func (l *Log) Sound(ctx context.Context) iter.Seq2[Record, error] {
	l.mu.Lock()
	defer l.mu.Unlock()
	return sound(ctx, l.store, l.base, l.durable)
}

func sound(ctx context.Context, store Store, from, last Mark) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for rows, err := range walk(ctx, store, from, last) {
			if err != nil {
				yield(Record{}, err)
				return
			}
			for i := range rows {
				r, err := rows[i].Decode()
				if err != nil && !errors.Is(err, ErrUnknownType) { // such an event is sound, but of another program
					err = &Damage{rows[i].Seq, err.Error()}
				}
				if !yield(r, err) || err != nil {
					return
				}
			}
		}
	}
}

// checkKept checks the base and the snapshot.
func (l *Log) checkKept() error {
	if data, err := l.store.Kept("base"); err != nil {
		return err
	} else if data != nil {
		if _, err := melt(data); err != nil {
			return fmt.Errorf("the state with which the log begins: %w: import the archived events again", err)
		}
	}
	if data, err := l.store.Kept("snapshot"); err != nil {
		return err
	} else if data != nil {
		if _, err := melt(data); err != nil {
			return errors.New("all events are sound, but the snapshot beside them is not what was saved: nothing is lost, " +
				"and the next server saves another one; look at the disk")
		}
	}
	return nil
}

// walk yields the rows of store behind from, up to last, page by page, as long as each follows from the one
// before, and then the error. While one page is worked on, it reads and checks the next.
func walk(ctx context.Context, store Store, from, last Mark) iter.Seq2[[]Row, error] {
	return func(yield func([]Row, error) bool) {
		chain := &Chain{at: from, left: unknown}
		var failed error
		ahead(func() ([]Row, error) {
			for failed == nil {
				if chain.at.Seq >= last.Seq {
					failed = errNoMore
					if !bytes.Equal(chain.at.Hash, last.Hash) {
						failed = &Damage{chain.at.Seq, "it is not the event that was last"}
					}
					break
				}
				var rows []Row
				rows, chain, failed = soundPage(ctx, store, chain, last)
				if len(rows) > 0 {
					return rows, nil
				}
			}
			return nil, failed
		})(yield)
	}
}

// soundPage returns the next rows of the chain, up to last, as long as each follows from the one before, and why there are
// no more if that is an error. If a server has dropped them, the chain is another.
func soundPage(ctx context.Context, store Store, chain *Chain, last Mark) ([]Row, *Chain, error) {
	rows, err := readSound(ctx, store, chain.at.Seq, int(min(page, last.Seq-chain.at.Seq)))
	if err != nil {
		return nil, chain, err
	}
	if len(rows) == 0 || rows[0].Seq != chain.at.Seq+1 {
		chain, err = dropped(store, chain.at, last)
		return nil, chain, err
	}
	for i := range rows {
		if err := chain.Add(&rows[i]); err != nil {
			return rows[:i], chain, err
		}
	}
	return rows, chain, nil
}

// readSound returns at most so many rows behind seq, up to the first that cannot be read.
func readSound(ctx context.Context, store Store, seq uint64, most int) ([]Row, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	rows, err := store.Read(seq, most, Whole)
	if errors.Is(err, ErrDamaged) {
		rows, err = store.Read(seq, 1, Whole)
	}
	if err != nil {
		return nil, fmt.Errorf("read event %d: %w", seq+1, err)
	}
	return rows, nil
}

// dropped returns the chain from where the log begins now, if a server has dropped the events behind at.
func dropped(store Store, at, last Mark) (*Chain, error) {
	base, _, err := store.Marks()
	if err != nil {
		return nil, err
	}
	if base.Seq <= at.Seq || base.Seq > last.Seq {
		return nil, &Damage{at.Seq + 1, "it is missing"}
	}
	return &Chain{at: base, left: unknown}, nil
}
