package logbook

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/export"
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

// readFile returns false when the caller wants no more records.
func readFile(file string, yield func(eventlog.Record, error) bool) bool {
	f, err := os.Open(file)
	if err != nil {
		yield(eventlog.Record{}, err)
		return false
	}
	defer func() { _ = f.Close() }() // nothing was written
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 1<<16), MaxJSONLine)
	n := 1
	for ; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		record, err := export.DecodeJSON(lines.Bytes())
		if errors.Is(err, eventlog.ErrUnknownType) || errors.Is(err, eventlog.ErrDamaged) {
			err = fmt.Errorf("line %d: %w", n, err)
		} else if err != nil {
			err = noEvent(n)
		}
		if !yield(record, err) || err != nil {
			return false
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		yield(eventlog.Record{}, noEvent(n))
		return false
	} else if err != nil {
		yield(eventlog.Record{}, err)
		return false
	}
	return true
}

func noEvent(line int) error {
	return fmt.Errorf("line %d is no event: was it written by conga log export?", line)
}

// unwritten is why a write to a file failed. It does not name the file; its caller does.
type unwritten struct{ error }

func (u unwritten) Unwrap() error { return u.error }

var errStopped = errors.New("it was stopped before the end")

// remedy says what to do about it.
func (u unwritten) remedy() string {
	switch {
	case errors.Is(u, errStopped):
		return ""
	case errors.Is(u, syscall.ENOSPC):
		return ": make room there"
	}
	return ": look at its disk"
}

// notWritten is the error of a write, without the file's name; nil stays nil.
func notWritten(err error) error {
	if err == nil {
		return nil
	}
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	return unwritten{err}
}

// writeLines writes the records and returns how many it has written, even if the next cannot be read.
func writeLines(ctx context.Context, w io.Writer, records iter.Seq2[eventlog.Record, error], last uint64) (n int, err error) {
	out := bufio.NewWriter(w)
	for record, err := range records {
		if err == nil && record.Seq > last {
			break
		}
		var line []byte
		if err == nil {
			line, err = export.EncodeJSON(record)
		}
		switch {
		case ctx.Err() != nil:
			return n, unwritten{errStopped}
		case err != nil:
			return n, errors.Join(err, notWritten(out.Flush()))
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return n, notWritten(err)
		}
		n++
	}
	return n, notWritten(out.Flush())
}

type logExportCmd struct {
	logData
	File string `arg:"" name:"file.jsonl" help:"File to write; - is the standard output."`
	To   string `setting:"-" placeholder:"MOMENT" help:"Last event: a number or a time (the log's last)."`
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

// Run writes the whole file or none; from a damaged log, the events that are sound.
func (c *logExportCmd) Run(ctx context.Context, streams *cli.Streams) error {
	log, err := c.home().log(ctx)
	if errors.Is(err, eventlog.ErrDamaged) {
		return c.save(ctx, streams, err)
	}
	if err != nil {
		return err
	}
	err = someEvents(log, c.home().String())
	if err == nil {
		err = c.export(ctx, streams, log)
	}
	return errors.Join(c.home().salvage(err), log.Close())
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
	case err == nil && c.File != "-":
		fmt.Fprintln(streams.Out, c.wrote(n, last, log))
	case n > 0 && errors.Is(err, eventlog.ErrDamaged):
		return c.saved(n, err)
	case n > 0 && err != nil && !errors.As(err, &unwritten{}):
		return fmt.Errorf("%s has only the first %d events: %w", c.File, n, err)
	}
	return err
}

// wrote says in words what was written to the file.
func (c *logExportCmd) wrote(n int, last uint64, log *eventlog.Log) string {
	if n > 0 {
		return fmt.Sprintf("%s has %s, up to number %d", c.File, plural(n, "event"), last)
	}
	where := ""
	if dir := c.home().archive(); len(archives(dir)) > 0 {
		where = "; the archived ones are in " + dir
	}
	return fmt.Sprintf("%s is empty: %s%s", c.File, extent(log), where)
}

// save writes the sound events of a damaged log, and still returns the damage as an error.
func (c *logExportCmd) save(ctx context.Context, streams *cli.Streams, damage error) error {
	store, err := c.home().damaged(ctx)
	if err != nil {
		return damage
	}
	log, err := eventlog.OpenDamaged(store, time.Now)
	if err != nil {
		return errors.Join(damage, store.Close())
	}
	defer func() { _ = log.Close() }() // it was only read
	n, err := c.write(ctx, streams, log.Sound(ctx), eventlog.Any)
	switch {
	case errors.As(err, &unwritten{}):
		return err
	case n == 0:
		return errors.Join(damage, err)
	case err == nil:
		err = damage // no event is sound, or those after the sound ones are lost
	}
	return c.saved(n, err)
}

func (c *logExportCmd) saved(n int, err error) error {
	return fmt.Errorf("the first %s of the log are sound and now in %s (conga log import %s --sound --data NEW makes a log of them); the rest is damaged: %w",
		plural(n, "event"), c.File, c.File, err)
}

// write writes the records. It removes a file that it could not write whole, but keeps events before damage.
func (c *logExportCmd) write(ctx context.Context, streams *cli.Streams, records iter.Seq2[eventlog.Record, error], last uint64) (int, error) {
	if c.File == "-" {
		n, err := writeLines(ctx, streams.Out, records, last)
		if errors.As(err, &unwritten{}) {
			err = fmt.Errorf("the standard output does not have all: %w", err)
		}
		return n, err
	}
	if info, err := os.Stat(c.File); err == nil && !info.Mode().IsRegular() && !info.IsDir() { // a pipe or a device is opened as it is
		f, err := os.OpenFile(c.File, os.O_WRONLY, 0)
		if err != nil {
			return 0, err
		}
		n, err := writeLines(ctx, f, records, last)
		return n, errors.Join(err, f.Close())
	}
	n := 0
	err := newFile(c.File, func(f *os.File) (err error) {
		n, err = writeLines(ctx, f, records, last)
		return err
	})
	return n, err
}

// newFile creates the file with what fill writes. It overwrites no file, which may be the only copy of another log.
// Until it is whole, the file has another name. If it cannot be written, or nothing could be read for it,
// no file is left.
func newFile(path string, fill func(*os.File) error) error {
	if _, err := os.Lstat(path); err == nil {
		return existsAlready(path)
	}
	part := fmt.Sprintf("%s.%d.part", path, os.Getpid())
	f, err := os.Create(part)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s: make it first, or name another file", filepath.Dir(path))
	case err != nil:
		return fmt.Errorf("%w: name a file in a folder that you may write to", err)
	}
	filled := fill(f)
	written := notWritten(cmp.Or(f.Sync(), f.Close()))
	size, _ := os.Stat(part)
	if filled == nil {
		filled = written
	}
	var reason unwritten
	switch {
	case errors.As(filled, &reason):
		return errors.Join(fmt.Errorf("%s was not written: %w%s", path, reason, reason.remedy()), os.Remove(part))
	case filled != nil && size != nil && size.Size() == 0:
		return errors.Join(filled, os.Remove(part))
	}
	return errors.Join(filled, publish(part, path))
}

// publish gives the file its name unless another file has it by now.
func publish(part, path string) error {
	err := os.Link(part, path)
	if errors.Is(err, fs.ErrExist) {
		return errors.Join(existsAlready(path), os.Remove(part))
	}
	if err != nil { // not every file system has links
		return os.Rename(part, path)
	}
	return os.Remove(part)
}

func existsAlready(path string) error {
	return fmt.Errorf("%s exists: name another file, or remove it first", path)
}
