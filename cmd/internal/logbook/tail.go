package logbook

import (
	"context"
	"errors"
	"time"

	"conga/actors/eventlog"
	"conga/cmd/internal/cli"
)

const (
	// lookAgain is how often the log of a running server is looked at.
	lookAgain = 100 * time.Millisecond
	// tailEvents is how many past events tail shows at first.
	tailEvents = 10
)

type logTailCmd struct {
	logData
	logFilter
}

// Help shows examples.
func (logTailCmd) Help() string {
	return `It begins with the last ten events and goes on until Ctrl-C.

` + cli.Examples(
		"conga log tail", "everything that the server decides",
		"conga log tail --json | jq .type", "for a program",
	)
}

// Run prints events until ctx ends.
func (c *logTailCmd) Run(ctx context.Context, streams *cli.Streams) error {
	log, err := c.home().log(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	looked := make(chan error, 1)
	go func() {
		looked <- look(ctx, log)
		cancel()
	}()
	start := max(log.Last(), tailEvents) - tailEvents
	for record, err := range log.Watch(ctx, start) {
		if err == nil && c.wants(record) {
			err = c.print(streams.Out, record)
		}
		if err != nil {
			cancel()
			return errors.Join(c.home().salvage(errors.Join(err, <-looked)), log.Close())
		}
	}
	cancel()
	return errors.Join(c.home().salvage(<-looked), log.Close())
}

// look lets the log find what another process has written, until ctx ends.
func look(ctx context.Context, log *eventlog.Log) error {
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
		if err := log.Refresh(); err != nil {
			return err
		}
	}
}
