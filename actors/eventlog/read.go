package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
)

const (
	// tailEvents and tailBytes bound how much of the log's end stays in memory, so that
	// actors catch up without the disk.
	tailEvents = 4096
	tailBytes  = 8 << 20
	// page is how many rows are read from the store at once.
	page = 1024
)

// tail is the end of the log in memory: the last durable records. Slices that were
// handed out are never changed.
type tail struct {
	records []Record
	start   int // records before this index have fallen out
	bytes   int
}

func (t *tail) add(records []Record) {
	for i := range records {
		t.bytes += records[i].row.size()
	}
	t.records = append(t.records, records...)
	for len(t.records)-t.start > tailEvents || (t.bytes > tailBytes && len(t.records)-t.start > 1) {
		t.bytes -= t.records[t.start].row.size()
		t.start++
	}
	if t.start >= tailEvents { // a new array: readers may still hold the old one
		t.records = append(make([]Record, 0, 2*tailEvents), t.records[t.start:]...)
		t.start = 0
	}
}

// drop forgets the records up to number through.
func (t *tail) drop(through uint64) {
	for t.start < len(t.records) && t.records[t.start].Seq <= through {
		t.bytes -= t.records[t.start].row.size()
		t.start++
	}
}

// since returns the records behind seq; false if the tail does not reach back that far.
func (t *tail) since(seq uint64) ([]Record, bool) {
	kept := t.records[t.start:]
	if len(kept) == 0 || seq+1 < kept[0].Seq { // perhaps archived: the store knows
		return nil, false
	}
	skip := min(seq+1-kept[0].Seq, uint64(len(kept)))
	return kept[skip:len(kept):len(kept)], true
}

// batch is a part of the log: records if they were in memory, else rows.
type batch struct {
	records []Record
	rows    []Row
}

func (b batch) len() int { return len(b.records) + len(b.rows) }

// next returns the durable events behind seq, at least one if there is one.
func (l *Log) next(seq uint64, part Part) (batch, error) {
	l.mu.Lock()
	if seq >= l.durable.Seq {
		l.mu.Unlock()
		return batch{}, nil
	}
	if records, ok := l.tail.since(seq); ok {
		l.mu.Unlock()
		return batch{records: records}, nil
	}
	durable := l.durable.Seq
	base := l.base.Seq
	l.mu.Unlock()

	if seq = max(seq, base); seq >= durable { // all was dropped
		return batch{}, nil
	}
	rows, err := l.store.Read(seq, page, part)
	if err != nil {
		return batch{}, fmt.Errorf("read events behind %d: %w", seq, err)
	}
	for i := range rows {
		if rows[i].Seq > durable { // not yet acknowledged
			rows = rows[:i]
			break
		}
	}
	if len(rows) == 0 {
		return batch{}, l.missing(seq)
	}
	for i := range rows {
		if rows[i].Seq != seq+1+uint64(i) {
			return batch{}, l.missing(seq + uint64(i))
		}
	}
	return batch{rows: rows}, nil
}

// batches yields the durable events behind seq as next returns them, until the last event was among them, or event end. If
// some were dropped, it yields what comes then. If there is more than a page, it reads the next batch while one is worked on.
func (l *Log) batches(seq, end uint64, part Part) iter.Seq2[batch, error] {
	read := func() (batch, error) {
		if seq >= min(end, l.Last()) {
			return batch{}, errNoMore
		}
		b, err := l.next(seq, part)
		seq += uint64(b.len())
		return b, err
	}
	if min(end, l.Last()) > seq+page {
		return ahead(read)
	}
	return inTurn(read)
}

// errNoMore ends what ahead and inTurn yield, and is not yielded.
var errNoMore = errors.New("no more")

// inTurn yields what read returns, up to its first error.
func inTurn[T any](read func() (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			t, err := read()
			if errors.Is(err, errNoMore) || !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// ahead is inTurn, but while one is worked on, another goroutine reads the next. It has ended when the loop has.
func ahead[T any](read func() (T, error)) iter.Seq2[T, error] {
	type result struct {
		t   T
		err error
	}
	return func(yield func(T, error) bool) {
		results, stop := make(chan result, 1), make(chan struct{})
		var wg sync.WaitGroup
		defer wg.Wait()
		defer close(stop)
		wg.Go(func() {
			defer close(results)
			for t, err := range inTurn(read) {
				select {
				case results <- result{t, err}:
				case <-stop:
					return
				}
			}
		})
		for r := range results {
			if !yield(r.t, r.err) {
				return
			}
		}
	}
}

// missing returns the error for the hole behind seq; nil if a Drop made it meanwhile, perhaps in
// another process.
func (l *Log) missing(seq uint64) error {
	base, _, err := l.store.Marks()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if base.Seq > seq {
		l.base = base
		return nil
	}
	return fmt.Errorf("%w: event %d is missing", ErrDamaged, seq+1)
}

// Since yields the records with Seq > seq that are on disk, in order. It skips
// archived events, and ends after an error.
func (l *Log) Since(seq uint64) iter.Seq2[Record, error] { return l.Pick(seq, nil) }

// Pick is Since for the types for which wanted returns true; it does not decode others. If wanted is nil,
// it yields all.
func (l *Log) Pick(seq uint64, wanted func(kind string) bool) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for end := l.Last(); seq < end; {
			var ok bool
			if seq, ok = l.yield(seq, end, wanted, yield); !ok {
				return
			}
		}
	}
}

// Watch yields like Since, and then each event as it becomes durable, until ctx
// ends. If the log is closed, the last error is ErrClosed.
func (l *Log) Watch(ctx context.Context, from uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for seq := from; ctx.Err() == nil; {
			l.mu.Lock()
			moved, closed, end := l.moved, l.closed, l.durable.Seq
			l.mu.Unlock()
			if seq < end {
				var ok bool
				if seq, ok = l.yield(seq, end, nil, yield); !ok {
					return
				}
				continue
			}
			if closed {
				yield(Record{}, ErrClosed)
				return
			}
			select {
			case <-ctx.Done():
			case <-moved:
			}
		}
	}
}

// yield yields one batch behind seq, up to end, and returns the number of the last event in it.
func (l *Log) yield(seq, end uint64, wanted func(string) bool, yield func(Record, error) bool) (uint64, bool) {
	b, err := l.next(seq, Whole)
	if err != nil {
		yield(Record{}, err)
		return seq, false
	}
	if b.len() == 0 { // dropped meanwhile
		return max(seq, l.Base()), true
	}
	for i := range b.rows {
		if b.rows[i].Seq > end {
			return end, true
		}
		if wanted != nil && !wanted(b.rows[i].Type) {
			seq = b.rows[i].Seq
			continue
		}
		r, err := b.rows[i].Decode()
		if !yield(r, err) || err != nil {
			return seq, false
		}
		seq = r.Seq
	}
	for _, r := range b.records {
		if r.Seq > end {
			return end, true
		}
		if (wanted == nil || wanted(r.Type)) && !yield(r, nil) {
			return seq, false
		}
		seq = r.Seq
	}
	return seq, true
}

// pending returns the records behind seq that are admitted but not yet on disk,
// the number of the last admitted event, and how often appends have failed. ok is
// false if seq is not the last event on disk.
func (l *Log) pending(seq uint64) (records []Record, head, failed uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq != l.durable.Seq {
		return nil, 0, 0, false
	}
	for _, c := range l.waiting {
		records = append(records, c.records...)
	}
	return records, l.head.Seq, l.failed, true
}

// settle waits until event number seq is on disk; false if an append has failed
// since failed was read, or the log was closed.
func (l *Log) settle(seq, failed uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.durable.Seq < seq && l.failed == failed && !l.closed {
		l.wait()
	}
	return l.durable.Seq >= seq && l.failed == failed
}
