package logbook

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/cmd/internal/cli"
)

type logReplayCmd struct {
	logSource
	At string `setting:"-" placeholder:"MOMENT" help:"The moment: an event number or a time (the log's last event)."`
}

// Help shows examples.
func (logReplayCmd) Help() string {
	return `It prints what conga dump --key state printed at that moment, byte for byte.

` + cli.Examples(
		"conga log replay", "the state now",
		"conga log replay --at 10:11 | jq .scheduler.queue", "the queue as it was at eleven minutes past ten",
		"conga log replay incident.jsonl --at 120", "an exported log up to event 120",
	)
}

// Run prints the state.
func (c *logReplayCmd) Run(ctx context.Context, streams *cli.Streams) error {
	return c.with(ctx, func(log *eventlog.Log) error {
		raw, err := stateAt(log, c.At)
		if err != nil {
			return err
		}
		_, err = streams.Out.Write(Pretty(raw))
		return err
	})
}

// stateAt is the state at the moment as JSON; an empty moment is the log's end.
func stateAt(log *eventlog.Log, text string) (json.RawMessage, error) {
	at := log.Last()
	if text != "" {
		var err error
		if at, err = lived(log, text, time.Now()); err != nil {
			return nil, err
		}
	}
	state, err := actors.StateAt(log, at)
	if err != nil {
		return nil, err
	}
	return json.Marshal(state)
}

type logDiffCmd struct {
	logData
	A  string `arg:"" help:"A moment of the log in --data; or another log: a folder or an exported file."`
	B  string `arg:"" help:"Another one."`
	At string `setting:"-" placeholder:"MOMENT" help:"The moment at which the logs are compared (the end of each)."`
}

// Help shows examples.
func (logDiffCmd) Help() string {
	return `It prints one line for each value of the state that differs.

` + cli.Examples(
		"conga log diff 100 120", "what twenty events changed",
		"conga log diff 10m 5m", "what changed between ten and five minutes ago",
		"conga log diff /srv/conga backup.jsonl --at 500", "two logs at event 500",
	)
}

// Run prints the differences.
func (c *logDiffCmd) Run(ctx context.Context, streams *cli.Streams) error {
	a, err := c.state(ctx, c.A)
	if err != nil {
		return err
	}
	b, err := c.state(ctx, c.B)
	if err != nil {
		return err
	}
	for _, line := range differences(a, b) {
		if _, err := fmt.Fprintln(streams.Out, line); err != nil {
			return err
		}
	}
	return nil
}

// state is the state at a moment, or of another log.
func (c *logDiffCmd) state(ctx context.Context, name string) (raw json.RawMessage, err error) {
	source, at := logSource{logData: c.logData}, name
	file, err := os.Stat(name)
	if err == nil {
		source, at = logSource{File: name}, c.At
		if file.IsDir() {
			source = logSource{logData: logData{Data: name}}
		}
	}
	if err != nil && !isMoment(name) {
		return nil, cli.Mistakef("%s is neither a log nor a moment: name a folder, an exported file, an event number, or a time like 10:11:12 or 10m", name)
	}
	err = source.with(ctx, func(log *eventlog.Log) error {
		raw, err = stateAt(log, at)
		return err
	})
	return raw, err
}
