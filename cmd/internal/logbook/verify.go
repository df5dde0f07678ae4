package logbook

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/eventlog/export"
	"conga/cmd/internal/cli"
)

type logVerifyCmd struct{ logSource }

// Help shows examples.
func (logVerifyCmd) Help() string {
	return `It checks that no event is missing, that each event matches its hash and the event before it, and
that the file can be read. It names the first event that is wrong. It also checks that archives
beside the log are sound and lead to the state with which the log begins.

` + cli.Examples(
		"conga log verify", "the log of this machine's server, even while it runs",
		"conga log verify incident.jsonl", "an exported log",
	)
}

// Run says that all is sound, or what is damaged.
func (c *logVerifyCmd) Run(ctx context.Context, streams *cli.Streams) error {
	return c.with(ctx, func(log *eventlog.Log) error {
		n, err := log.Verify(ctx)
		if err != nil {
			return fmt.Errorf("%d events are sound, then: %w", n, err)
		}
		mark, err := log.MarkAt(log.Base() + n)
		if err != nil {
			return err
		}
		fmt.Fprintf(streams.Out, "%d events are sound, up to number %d with hash %s\n", n, mark.Seq, hex.EncodeToString(mark.Hash))
		if c.File != "" || log.Base() == 0 {
			return nil
		}
		return verifyArchives(c.home().archive(), log, streams)
	})
}

// archive is the folder where conga log archive puts old events. Several radios may share the data folder.
func (h home) archive() string {
	dir := filepath.Join(h.dir, "archive")
	if h.Is() {
		dir = filepath.Join(dir, h.Radio)
	}
	return dir
}

// archives are the files of old events in the folder, oldest first.
func archives(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl")) // the only error is a malformed pattern
	slices.Sort(files)
	return files
}

// verifyArchives proves that the archives lead to where the log begins, in events and state.
func verifyArchives(dir string, log *eventlog.Log, streams *cli.Streams) error {
	base := log.BaseMark()
	files := archives(dir)
	if listener, err := actors.IsListeners(log); err != nil || listener {
		return err
	}
	if len(files) == 0 {
		fmt.Fprintf(streams.Out, "events 1 to %d were archived and are not in %s: they were not checked\n", base.Seq, dir)
		return nil
	}
	end, err := export.Prove(eventlog.Mark{}, readLines(files...))
	if err != nil {
		return fmt.Errorf("archives in %s: %w", dir, err)
	}
	if end.Seq != base.Seq || string(end.Hash) != string(base.Hash) {
		return fmt.Errorf("archives in %s end with event %d, the log begins behind event %d", dir, end.Seq, base.Seq)
	}
	var state actors.ServerState
	for record, err := range readLines(files...) {
		if err != nil {
			return err
		}
		state = state.Apply(record.Event)
	}
	begins, err := actors.ServerStateAt(log, base.Seq)
	if err != nil {
		return err
	}
	was, err := json.Marshal(state)
	is, err2 := json.Marshal(begins)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if string(was) != string(is) {
		return fmt.Errorf("archives in %s lead to another state than that with which the log begins", dir)
	}
	fmt.Fprintf(streams.Out, "%d archived events are sound and lead to the state with which the log begins (%s)\n",
		base.Seq, strings.Join(files, " "))
	return nil
}
