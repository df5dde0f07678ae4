package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"conga/cmd/conga-bench/internal/result"
	"conga/cmd/internal/cli"
)

// kept is where runs are kept that new ones are compared with.
const kept = "cmd/conga-bench/results"

type checkCmd struct {
	New   string  `arg:"" placeholder:"FILE" help:"The new run's JSON."`
	Old   string  `placeholder:"FILE" help:"The run to compare it with (the newest in ${kept})."`
	Worse float64 `default:"20" placeholder:"PERCENT" help:"By how much a ratio may be worse (${default})."`
}

// Help shows examples.
func (checkCmd) Help() string {
	return `It names each line whose ratio to its baseline got worse, and fails if there is one.

` + cli.Examples(
		"conga-bench run --json new.json && conga-bench check new.json", "measure, and compare with the last run that was kept",
		"conga-bench check new.json --old old.json --worse 10", "another run, and a closer look",
	)
}

// Validate refuses what would name every line.
func (c *checkCmd) Validate() error {
	if c.Worse <= 0 {
		return errors.New("--worse is a number of per cent above 0")
	}
	return nil
}

// Run compares.
func (c *checkCmd) Run(_ context.Context, streams *cli.Streams) error {
	now, err := readRun(c.New)
	if err != nil {
		return err
	}
	old, err := c.old()
	if err != nil {
		return err
	}
	if old.IsBusy() || now.IsBusy() {
		fmt.Fprintf(streams.Out, "The machine was busy (load %.2f then, %.2f now): what follows is worth little.\n", float64(old.Load[0]), float64(now.Load[0]))
	}
	worse, missing := result.Compare(old, now, c.Worse/100)
	for _, key := range missing {
		fmt.Fprintf(streams.Out, "not measured now: %v\n", key)
	}
	for _, line := range worse {
		fmt.Fprintln(streams.Out, line)
	}
	if len(worse) > 0 {
		return fmt.Errorf("%d of %d lines got worse by more than %v %% since %s", len(worse), len(old.Lines), c.Worse, old.Date.Format("2006-01-02"))
	}
	fmt.Fprintf(streams.Out, "None of %d lines got worse by more than %v %% since %s.\n", len(old.Lines)-len(missing), c.Worse, old.Date.Format("2006-01-02"))
	return nil
}

func (c *checkCmd) old() (result.Run, error) {
	if c.Old != "" {
		return readRun(c.Old)
	}
	files, err := filepath.Glob(filepath.Join(kept, "*.json"))
	if err != nil || len(files) == 0 {
		return result.Run{}, fmt.Errorf("there is no run in %s to compare with: run it in the repository, or name one with --old FILE", kept)
	}
	return readRun(slices.Max(files)) // their names begin with the date
}

func readRun(file string) (result.Run, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return result.Run{}, err
	}
	run, err := result.Decode(data)
	if err != nil {
		return run, fmt.Errorf("%s: %w", file, err)
	}
	return run, nil
}
