package logbook

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"conga/actors/catalog"
	"conga/actors/chainmanager"
	"conga/actors/eventlog"
	"conga/actors/eventlog/export"
	"conga/actors/pacer"
	"conga/actors/player"
	"conga/actors/relay"
	"conga/actors/requester"
	"conga/actors/scheduler"
	"conga/cmd/internal/cli"
)

type logShowCmd struct {
	logSource
	logFilter
	From string `setting:"-" placeholder:"MOMENT" help:"First event: a number or a time (the log's first)."`
	To   string `setting:"-" placeholder:"MOMENT" help:"Last event: a number or a time (the log's last)."`
}

// actorNames are the actors of a server and a listener whose decisions a log has.
var actorNames = []string{scheduler.Actor, catalog.Actor, pacer.Actor, chainmanager.Actor, relay.Actor, player.Actor, requester.Actor}

// Validate refuses names of actors and events that no log has.
func (f logFilter) Validate() error {
	if f.Actor != "" && !slices.Contains(actorNames, f.Actor) {
		return fmt.Errorf("--actor %s is not one of %s", f.Actor, strings.Join(actorNames, ", "))
	}
	return nil
}

// logFilter says which events are printed, and how.
type logFilter struct {
	Actor string `setting:"-" words:"scheduler,catalog,pacer,chainmanager,relay,player,requester" placeholder:"A" help:"Only the events of this actor: scheduler, catalog, pacer, chainmanager; relay, player, requester."`
	JSON  bool   `setting:"-" help:"Print JSON lines, as conga log export writes them."`
}

// Help shows examples.
func (logShowCmd) Help() string {
	return cli.Examples(
		"conga log show --from 10m", "the last ten minutes",
		"conga log show --from 100 --to 120 --json | jq .event", "twenty events for a program",
		"conga log show incident.jsonl", "an exported log",
	)
}

// Run prints the events.
func (c *logShowCmd) Run(ctx context.Context, streams *cli.Streams) error {
	return c.with(ctx, func(log *eventlog.Log) error {
		after, last, err := span(log, c.From, c.To, time.Now())
		if err != nil {
			return err
		}
		out, shown := bufio.NewWriter(streams.Out), 0
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
			if !c.wants(record) {
				continue
			}
			if err := c.print(out, record); err != nil {
				return err
			}
			shown++
		}
		if shown == 0 {
			fmt.Fprintln(streams.Err, c.nothing(log))
		}
		return out.Flush()
	})
}

// nothing says why no event is shown.
func (c *logShowCmd) nothing(log *eventlog.Log) string {
	whose := ""
	if c.Actor != "" {
		whose = " of " + c.Actor
	}
	switch {
	case log.Base() == log.Last():
		return "nothing to show: " + extent(log)
	case c.From == "" && c.To == "":
		return fmt.Sprintf("the log in %s has no event%s", c.name(), whose)
	}
	return fmt.Sprintf("no event%s in that time: %s, without --from and --to all are shown", whose, extent(log))
}

// wants says whether the event is to be shown.
func (f logFilter) wants(record eventlog.Record) bool {
	return f.Actor == "" || record.Actor == f.Actor
}

// print writes one event.
func (f logFilter) print(out io.Writer, record eventlog.Record) error {
	line := []byte(export.LineIn(record, time.Local)) // as --from and --to read times
	if f.JSON {
		var err error
		if line, err = export.EncodeJSON(record); err != nil {
			return err
		}
	}
	if _, err := out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("print event %d: %w", record.Seq, err)
	}
	return nil
}
