package logbook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/eventlog/export"
	"conga/actors/eventlog/jetstream"
	"conga/actors/eventlog/sqlite"
	"conga/actors/lease"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/disk"
)

type logArchiveCmd struct {
	logData
	Before string `setting:"-" required:"" placeholder:"TIME" help:"Events before this time (or number) are archived."`
}

// Help shows examples.
func (logArchiveCmd) Help() string {
	return `The events go into a file in the folder archive/ beside the log; those of a radio whose log is on servers of NATS into
archive/RADIO in the --data folder. They are removed from the log when that file
has been read back and checked. The log keeps the state that they led to and the hash of the last one, so that
conga log verify can check archive and log together. No server of the log may run.

` + cli.Examples("conga log archive --before 2026-01-01", "last year's events")
}

// Run moves the events.
func (c *logArchiveCmd) Run(ctx context.Context, streams *cli.Streams) error {
	if c.Is() {
		return c.distant(ctx, streams)
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

const (
	// archiveLease is for how long the command claims the radio at a time, and archivePatience how long NATS may take to say whether
	// a server of the radio runs.
	archiveLease, archivePatience = time.Second, 15 * time.Second
	// archiveRelease is how long it may take to say that servers may start again.
	archiveRelease = time.Second
)

var errUnseen = fmt.Errorf("NATS does not say within %v whether a server of the radio is running: try again", archivePatience)

// distant archives a log on servers of NATS. It claims the radio as a server does, so that none begins to write meanwhile.
func (c *logArchiveCmd) distant(ctx context.Context, streams *cli.Streams) error {
	at, err := c.Servers()
	if err != nil {
		return err
	}
	reader, err := jetstream.OpenReader(ctx, at) // it makes no log
	if err != nil {
		return err
	}
	if err := reader.Close(); err != nil {
		return err
	}
	beside, err := jetstream.Open(ctx, at)
	if err != nil {
		return err
	}
	defer beside.Close()
	claim := lease.Start(lease.Config{
		Claims: beside.Claims(), Length: archiveLease, Requests: "conga log archive",
		Now: func() int64 { return time.Now().UnixMicro() }, Logger: slog.New(slog.DiscardHandler),
	})
	defer claim.Close()
	defer func() {
		within, cancel := context.WithTimeout(context.Background(), archiveRelease)
		defer cancel()
		claim.Release(within)
	}()
	within, cancel := context.WithTimeoutCause(ctx, archivePatience, errUnseen)
	defer cancel()
	switch other, err := claim.Alone(within); {
	case err != nil:
		return err
	case other != nil:
		return fmt.Errorf("a server of the radio %s is running, at %s: stop it first; conga serve --keep bounds the log while it runs", c.Radio, other.GetRequests())
	}
	at.On = beside
	store, err := jetstream.Open(ctx, at)
	if err != nil {
		return err
	}
	log, err := eventlog.Open(eventlog.Fence(store, claim.Leads, claim.Fall), time.Now)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	return errors.Join(c.archive(ctx, streams, log), log.Close())
}

func (c *logArchiveCmd) archive(ctx context.Context, streams *cli.Streams, log *eventlog.Log) error {
	if listener, err := actors.IsListeners(log); err != nil || listener {
		return errors.Join(err, fmt.Errorf("%s is a listener's log, which forgets old events by itself", c.home()))
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
	file := filepath.Join(c.home().archive(), fmt.Sprintf("%012d-%012d.jsonl", base.Seq+1, through))
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
