package export

import (
	"errors"
	"fmt"
	"iter"

	"conga/actors/eventlog"
)

// group is how many events Import appends at once.
const group = 1024

// Import fills an empty store with records, which keep their numbers, times and hashes, and returns how many it
// kept. If a record does not follow from the one before, the error is an *eventlog.Damage, and the whole
// commits before it are kept. Records must begin with event 1: archives come first.
func Import(store eventlog.Store, records iter.Seq2[eventlog.Record, error]) (kept uint64, err error) {
	_, last, err := store.Marks()
	if err != nil {
		return 0, fmt.Errorf("import: %w", err)
	}
	if last.Seq != 0 {
		return 0, fmt.Errorf("import: the log has %d events already: import into an empty data folder", last.Seq)
	}
	var rows []eventlog.Row // read but not appended yet
	whole := 0              // how many of rows are in whole commits
	keep := func() error {
		if whole == 0 {
			return nil
		}
		if err := store.Append(kept, rows[:whole]); err != nil {
			return fmt.Errorf("import behind event %d: %w", kept, err)
		}
		kept, rows, whole = rows[whole-1].Seq, append([]eventlog.Row(nil), rows[whole:]...), 0
		return nil
	}
	chain := eventlog.ChainFrom(eventlog.Mark{})
	for row, err := range proven(chain, records) {
		if err != nil {
			err = errors.Join(err, keep())
			return kept, err
		}
		if rows = append(rows, row); chain.Whole() {
			whole = len(rows)
		}
		if whole >= group {
			if err := keep(); err != nil {
				return kept, err
			}
		}
	}
	err = keep()
	return kept, err
}

// Prove checks that records are the events behind from, in whole commits, and returns where they end. If a
// record does not follow from the one before, the error is an *eventlog.Damage.
func Prove(from eventlog.Mark, records iter.Seq2[eventlog.Record, error]) (eventlog.Mark, error) {
	chain := eventlog.ChainFrom(from)
	for _, err := range proven(chain, records) {
		if err != nil {
			return chain.At(), err
		}
	}
	return chain.At(), nil
}

// proven yields the records' rows as long as they form a chain, and then the error.
func proven(chain *eventlog.Chain, records iter.Seq2[eventlog.Record, error]) iter.Seq2[eventlog.Row, error] {
	return func(yield func(eventlog.Row, error) bool) {
		for r, err := range records {
			row := r.Row()
			if err == nil {
				err = chain.Add(&row)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
		if err := chain.End(); err != nil {
			yield(eventlog.Row{}, err)
		}
	}
}
