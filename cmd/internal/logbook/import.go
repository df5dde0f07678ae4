package logbook

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"conga/actors/eventlog"
	"conga/actors/eventlog/export"
	"conga/cmd/internal/cli"
)

type logImportCmd struct {
	Files []string `arg:"" name:"file.jsonl" help:"Exported or archived events, the oldest file first."`
	Data  string   `setting:"-" placeholder:"DIR" help:"A folder that has no log yet."`
	Shared
	Sound bool `setting:"-" help:"If an event is not sound, take those before it."`
}

// Help shows examples.
func (logImportCmd) Help() string {
	return `All files are checked before anything is imported.

` + cli.Examples(
		"conga log import incident.jsonl --data /tmp/incident", "then conga serve --data /tmp/incident",
		"conga log import archive/*.jsonl rest.jsonl --data whole", "join archives and the log after them into one",
		"conga log import sound.jsonl --sound --data rescued", "what export saved of a damaged log",
	)
}

// Run fills the folder's log with all of the events or with none; with --sound, with those before the
// first damaged one.
func (c *logImportCmd) Run(ctx context.Context, streams *cli.Streams) error {
	at := home{c.Data, c.Shared}
	if at.Is() == (c.Data != "") {
		return cli.Mistakef("name either a folder that has no log yet with --data DIR, or a new radio with --log URL --radio NAME")
	}
	if last, err := at.last(ctx); err == nil && last > 0 {
		return fmt.Errorf("%s has a log of %s already: name a %s that has none", at, plural(last, "event"), at.kind())
	}
	sound, err := c.check()
	switch {
	case err != nil && sound == 0:
		return err
	case err != nil && !c.Sound:
		return fmt.Errorf("nothing was imported: %w; the %s before it can be: add --sound", err, plural(sound, "event"))
	}
	store, err2 := at.writer(ctx)
	if err2 != nil {
		return err2
	}
	n, failed := export.Import(store, upTo(sound, readLines(c.Files...)))
	if failed := errors.Join(failed, store.Close()); failed != nil {
		return fmt.Errorf("%s has only the first %s: %w", at, plural(n, "event"), failed)
	}
	fmt.Fprintf(streams.Out, "%s has %s\n", at, plural(n, "event"))
	if err != nil {
		fmt.Fprintf(streams.Err, "the rest was left out: %v\n", err)
	}
	return nil
}

// last is the number of the log's last event.
func (h home) last(ctx context.Context) (uint64, error) {
	store, err := h.reader(ctx)
	if err != nil {
		return 0, err
	}
	_, last, err := store.Marks()
	return last.Seq, errors.Join(err, store.Close())
}

// check reads all files before a log is made from them. It returns the number of the last event of the sound
// commits, and what is wrong after it.
func (c *logImportCmd) check() (sound uint64, err error) {
	file, chain := "", eventlog.ChainFrom(eventlog.Mark{})
	for _, file = range c.Files {
		first := true
		for r, err := range readLines(file) {
			if err == nil && first && r.Seq != chain.At().Seq+1 {
				err = misplaced(file, r.Seq, chain.At().Seq)
			} else if err == nil {
				row := r.Row()
				err = chain.Add(&row)
			}
			if err != nil {
				return sound, badFile(file, err)
			}
			if first = false; chain.Whole() {
				sound = chain.At().Seq
			}
		}
	}
	switch err := chain.End(); {
	case err != nil:
		return sound, badFile(file, err)
	case sound == 0:
		return 0, fmt.Errorf("%s: it has no events: name files that conga log export wrote", c.Files[0])
	}
	return sound, nil
}

// misplaced returns why a file that begins with event first cannot follow event last.
func misplaced(file string, first, last uint64) error {
	switch {
	case first <= last:
		return fmt.Errorf("it begins with event %d, which was in a file before it: give each file once, the oldest first", first)
	case last == 0:
		return fmt.Errorf("it begins with event %d: name the file with the events before it first", first)
	}
	return fmt.Errorf("it begins with event %d, but event %d is due: name the file that has it before this one", first, last+1)
}

// upTo yields the records up to that number.
func upTo(last uint64, records iter.Seq2[eventlog.Record, error]) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for r, err := range records {
			if err == nil && r.Seq > last || !yield(r, err) || r.Seq == last {
				return
			}
		}
	}
}
