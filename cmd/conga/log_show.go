package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"time"

	"conga/actors/eventlog"
)

type logShowCmd struct {
	logSource
	logFilter
	From string `placeholder:"MOMENT" help:"First event: a number or a time (the log's first)."`
	To   string `placeholder:"MOMENT" help:"Last event: a number or a time (the log's last)."`
}

// logFilter says which events are printed, and how.
type logFilter struct {
	Actor string `placeholder:"A" help:"Only what this actor decided: scheduler, catalog, pacer, chainmanager; relay, player, requester."`
	JSON  bool   `help:"Print JSON lines, as conga log export writes them."`
}

// Help shows examples.
func (logShowCmd) Help() string {
	return examples(
		"conga log show --from 10m", "the last ten minutes",
		"conga log show --from 100 --to 120 --json | jq .event", "twenty events for a program",
		"conga log show incident.jsonl", "an exported log",
	)
}

// Run prints the events.
func (c *logShowCmd) Run(ctx context.Context, streams *streams) error {
	return c.with(func(log *eventlog.Log) error {
		after, last, err := span(log, c.From, c.To, time.Now())
		if err != nil {
			return err
		}
		out := bufio.NewWriter(streams.out)
		for record, err := range log.Since(after) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			if record.Seq > last {
				break
			}
			if err := c.print(out, record); err != nil {
				return err
			}
		}
		return out.Flush()
	})
}

// print writes one event, if it is wanted.
func (f logFilter) print(out io.Writer, record eventlog.Record) error {
	if f.Actor != "" && record.Actor != f.Actor {
		return nil
	}
	line := []byte(record.Line())
	if f.JSON {
		var err error
		if line, err = eventlog.EncodeJSON(record); err != nil {
			return err
		}
	}
	if _, err := out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("print event %d: %w", record.Seq, err)
	}
	return nil
}
