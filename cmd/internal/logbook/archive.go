package logbook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/eventlog/export"
	"conga/actors/eventlog/sqlite"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/disk"
)

type logArchiveCmd struct {
	logData
	Before string `setting:"-" required:"" placeholder:"TIME" help:"Events before this time (or number) are archived."`
}

// Help shows examples.
func (logArchiveCmd) Help() string {
	return `The events go into a file in the folder archive/ beside the log. They are removed from the log when that file
has been read back and checked. The log keeps the state that they led to and the hash of the last one, so that
conga log verify can check archive and log together. The server must not run.

` + cli.Examples("conga log archive --before 2026-01-01", "last year's events")
}

// Run moves the events.
func (c *logArchiveCmd) Run(ctx context.Context, streams *cli.Streams) error {
	if c.Is() {
		return errors.New("a log on servers of NATS is not archived: conga serve --keep bounds it; conga log export writes all of it into a file")
	}
	if _, err := os.Stat(filepath.Join(c.Data, "conga.db")); err != nil {
		return fmt.Errorf("no log in %s: %w: name the folder that the server was given with --data", c.Data, err)
	}
	store, err := sqlite.Open(c.Data)
	if err != nil {
		return err
	}
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		return errors.Join(Salvage(c.Data, err), store.Close())
	}
	return errors.Join(Salvage(c.Data, c.archive(ctx, streams, log)), log.Close())
}

func (c *logArchiveCmd) archive(ctx context.Context, streams *cli.Streams, log *eventlog.Log) error {
	if listener, err := actors.IsListeners(log); err != nil || listener {
		return errors.Join(err, fmt.Errorf("%s is a listener's log, which forgets old events by itself", c.Data))
	}
	after, err := before(log, c.Before, time.Now())
	if err != nil {
		return fmt.Errorf("--before %w", err)
	}
	through, err := log.CommitEnd(after)
	if err != nil {
		return err
	}
	base := log.BaseMark()
	if through <= base.Seq {
		return fmt.Errorf("no event is before %s: the log begins with event %d", c.Before, base.Seq+1)
	}
	file := filepath.Join(archiveDir(c.Data), fmt.Sprintf("%012d-%012d.jsonl", base.Seq+1, through))
	if err := writeArchive(ctx, file, log, base, through); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	state, err := actors.ServerStateAt(log, through)
	if err != nil {
		return err
	}
	if err := log.Drop(through, state.Frozen()); err != nil {
		return err
	}
	fmt.Fprintf(streams.Out, "events %d to %d are in %s; the log begins with event %d\n", base.Seq+1, through, file, through+1)
	return nil
}

// writeArchive writes the events after base, up to through, and reads them back, because they
// will be removed from the log.
func writeArchive(ctx context.Context, file string, log *eventlog.Log, base eventlog.Mark, through uint64) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	part := file + ".part"
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(part) }() // it is still there if something failed
	_, err = writeLines(ctx, f, log.Since(base.Seq), through)
	if err := cmp.Or(err, notWritten(f.Sync()), notWritten(f.Close())); err != nil {
		if reason := (unwritten{}); errors.As(err, &reason) {
			err = fmt.Errorf("nothing was moved: %s was not written: %w%s", file, reason, reason.remedy())
		}
		return err
	}
	end, err := export.Prove(base, readLines(part))
	if err != nil {
		return fmt.Errorf("read %s back: %w", part, err)
	}
	want, err := log.MarkAt(through)
	if err != nil {
		return err
	}
	if end.Seq != want.Seq || string(end.Hash) != string(want.Hash) {
		return fmt.Errorf("read %s back: it ends with event %d, not %d", part, end.Seq, want.Seq)
	}
	if err := os.Rename(part, file); err != nil {
		return err
	}
	return disk.SyncFolder(filepath.Dir(file)) // the name must be on disk before the events are removed from the log
}
