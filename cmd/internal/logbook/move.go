package logbook

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/export"
	"conga/actors/eventlog/sqlite"
	"conga/cmd/internal/cli"
)

// MaxJSONLine bounds a line of an exported log.
const MaxJSONLine = 64 << 20

// readLines yields the records of an exported log.
func readLines(files ...string) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for _, file := range files {
			if !readFile(file, yield) {
				return
			}
		}
	}
}

// readFile is false when there is no more to yield.
func readFile(file string, yield func(eventlog.Record, error) bool) bool {
	f, err := os.Open(file)
	if err != nil {
		yield(eventlog.Record{}, err)
		return false
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 1<<16), MaxJSONLine)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		record, err := export.DecodeJSON(lines.Bytes())
		if err != nil {
			err = fmt.Errorf("line %d: %w: was it written by conga log export?", n, err)
		}
		if !yield(record, err) || err != nil {
			return false
		}
	}
	if err := lines.Err(); err != nil {
		yield(eventlog.Record{}, err)
		return false
	}
	return true
}

// writeLines writes the records and returns how many there were, also after an error.
func writeLines(ctx context.Context, w io.Writer, records iter.Seq2[eventlog.Record, error], last uint64) (n int, err error) {
	out := bufio.NewWriter(w)
	for record, err := range records {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && record.Seq > last {
			break
		}
		var line []byte
		if err == nil {
			line, err = export.EncodeJSON(record)
		}
		if err == nil {
			_, err = out.Write(append(line, '\n'))
		}
		if err != nil {
			return n, errors.Join(err, out.Flush())
		}
		n++
	}
	return n, out.Flush()
}

type logExportCmd struct {
	logData
	File string `arg:"" name:"file.jsonl" help:"File to write; - is the standard output."`
	To   string `placeholder:"MOMENT" help:"Last event: a number or a time (the log's last)."`
}

// Help shows examples.
func (logExportCmd) Help() string {
	return `The file holds everything in the log; conga log import makes the same log from it. From a damaged log
it saves the sound events.

` + cli.Examples(
		"conga log export incident.jsonl", "save the log, even while the server runs",
		"conga log export - | gzip > log.gz", "into a pipe",
	)
}

// Run writes the file whole, or says how much of it is.
func (c *logExportCmd) Run(ctx context.Context, streams *cli.Streams) error {
	log, err := OpenFolder(c.Data)
	if errors.Is(err, eventlog.ErrDamaged) {
		return c.save(ctx, streams, err)
	}
	if err != nil {
		return err
	}
	err = someEvents(log, c.Data)
	if err == nil {
		err = c.export(ctx, streams, log)
	}
	return errors.Join(Salvage(c.Data, err), log.Close())
}

func (c *logExportCmd) export(ctx context.Context, streams *cli.Streams, log *eventlog.Log) error {
	_, last, err := span(log, "", c.To, time.Now())
	if err != nil {
		return err
	}
	if last, err = log.CommitEnd(last); err != nil {
		return err
	}
	n, err := c.write(ctx, streams, log.Sound(ctx), last)
	switch {
	case n > 0 && errors.Is(err, eventlog.ErrDamaged):
		return c.saved(n, err)
	case n > 0 && err != nil:
		return fmt.Errorf("%s has only the first %d events: %w", c.File, n, err)
	case err != nil:
		return err
	}
	if c.File != "-" {
		fmt.Fprintf(streams.Out, "%s has %d events, up to number %d\n", c.File, n, last)
	}
	return nil
}

// save writes what is sound of a damaged log, and reports the damage all the same.
func (c *logExportCmd) save(ctx context.Context, streams *cli.Streams, damage error) error {
	store, err := sqlite.OpenDamaged(c.Data)
	if err != nil {
		return damage
	}
	log, err := eventlog.OpenDamaged(store, time.Now)
	if err != nil {
		return errors.Join(damage, store.Close())
	}
	defer log.Close()
	n, err := c.write(ctx, streams, log.Sound(ctx), eventlog.Any)
	if n == 0 {
		return errors.Join(damage, err)
	}
	if err == nil {
		err = damage // of none of them, or of what was lost behind them
	}
	return c.saved(n, err)
}

func (c *logExportCmd) saved(n int, err error) error {
	return fmt.Errorf("the first %d events are sound and now in %s (conga log import %s --data NEW makes a log of them); the rest is damaged: %w", n, c.File, c.File, err)
}

func (c *logExportCmd) write(ctx context.Context, streams *cli.Streams, records iter.Seq2[eventlog.Record, error], last uint64) (int, error) {
	if c.File == "-" {
		return writeLines(ctx, streams.Out, records, last)
	}
	f, err := newFile(c.File)
	if err != nil {
		return 0, err
	}
	n, err := writeLines(ctx, f, records, last)
	if info, statErr := f.Stat(); statErr == nil && info.Mode().IsRegular() {
		err = errors.Join(err, f.Sync())
	}
	return n, errors.Join(err, f.Close())
}

// newFile makes the file, and writes over none: it may be the only copy of another run. What is no
// file, a pipe or a device, is opened as it is.
func newFile(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return os.OpenFile(path, os.O_WRONLY, 0)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, fmt.Errorf("%s exists: name another file, or remove it first", path)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: make its folder first, or name another file", err)
	}
	return f, err
}

type logImportCmd struct {
	Files []string `arg:"" name:"file.jsonl" help:"Exported or archived events, the oldest file first."`
	Data  string   `required:"" placeholder:"DIR" help:"A folder that has no log yet."`
}

// Help shows examples.
func (logImportCmd) Help() string {
	return cli.Examples(
		"conga log import incident.jsonl --data /tmp/incident", "then conga serve --data /tmp/incident",
		"conga log import archive/*.jsonl rest.jsonl --data whole", "join archives and the log after them into one",
	)
}

// Run fills the folder's log.
func (c *logImportCmd) Run(_ context.Context, streams *cli.Streams) error {
	if err := importable(c.Files); err != nil {
		return err
	}
	store, err := sqlite.Open(c.Data)
	if err != nil {
		return err
	}
	n, err := export.Import(store, readLines(c.Files...))
	if err := errors.Join(err, store.Close()); err != nil {
		return fmt.Errorf("%d events are in %s: %w", n, c.Data, err)
	}
	fmt.Fprintf(streams.Out, "%s has %d events\n", c.Data, n)
	return nil
}

// importable says why nothing at all could be imported, BEFORE a log is made for it.
func importable(files []string) error {
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("%w: name files that conga log export wrote", err)
		}
		_ = f.Close() // it was only read
	}
	first := func(yield func(eventlog.Record, error) bool) { // the first commit
		left := 0
		for record, err := range readLines(files...) {
			if left == 0 {
				left = record.Of
			}
			if left--; !yield(record, err) || left <= 0 {
				return
			}
		}
	}
	end, err := export.Prove(eventlog.Mark{}, first)
	if err == nil && end.Seq == 0 {
		err = errors.New("it has no events")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", files[0], err)
	}
	return nil
}
