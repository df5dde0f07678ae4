package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// newest is how many events Open checks: what a crash could have touched.
const newest = 2048

// Damage says which event is the first that is not as it was written. It is
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
// be decoded; then the medium. It returns how many events are sound; the error is
// a *Damage if an event is not. It reads what is on disk while the log goes on.
func (l *Log) Verify(ctx context.Context) (uint64, error) {
	l.mu.Lock()
	base, last := l.base, l.durable
	l.mu.Unlock()
	checked, err := verifyRows(ctx, l.store, base, last, true)
	if err != nil {
		return checked, fmt.Errorf("verify: %w", err)
	}
	if err := l.store.Check(ctx); err != nil {
		return checked, fmt.Errorf("verify: %w", err)
	}
	return checked, nil
}

// checkNewest checks the end of the log, so that a damaged one is refused at once
// and a year's log still opens as fast as a day's.
func (l *Log) checkNewest() error {
	if l.durable.Seq == l.base.Seq {
		return nil
	}
	from := l.base
	if l.durable.Seq-l.base.Seq > newest {
		var err error
		if from, err = l.markAt(l.durable.Seq - newest); err != nil {
			return err
		}
	}
	_, err := verifyRows(context.Background(), l.store, from, l.durable, true)
	return err
}

// verifyRows checks the events behind from up to last, and returns how many it found sound.
func verifyRows(ctx context.Context, store Store, from, last Mark, decodable bool) (uint64, error) {
	at, checked := from, uint64(0)
	var scratch, hash []byte
	for at.Seq < last.Seq {
		if err := ctx.Err(); err != nil {
			return checked, err
		}
		rows, err := store.Read(at.Seq, page, Whole)
		if err != nil {
			return checked, fmt.Errorf("read events behind %d: %w", at.Seq, err)
		}
		if len(rows) == 0 {
			return checked, &Damage{at.Seq + 1, "it is missing"}
		}
		for i := range rows {
			row := &rows[i]
			if row.Seq > last.Seq {
				return checked, nil
			}
			if row.Seq != at.Seq+1 {
				return checked, &Damage{at.Seq + 1, fmt.Sprintf("it is missing, event %d follows", row.Seq)}
			}
			if hash, scratch = chain(at.Hash, row, scratch); !bytes.Equal(hash, row.Hash) {
				return checked, &Damage{row.Seq, "it does not match its hash"}
			}
			if decodable {
				_, err := row.record()
				if errors.Is(err, ErrUnknownType) { // sound, but not for this program
					return checked, err
				}
				if err != nil {
					return checked, &Damage{row.Seq, err.Error()}
				}
			}
			at = row.mark()
			checked++
		}
	}
	if !bytes.Equal(at.Hash, last.Hash) {
		return checked, &Damage{at.Seq, "it is not the event that was last"}
	}
	return checked, nil
}
