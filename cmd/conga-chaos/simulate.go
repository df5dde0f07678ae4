package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"conga/cmd/conga-chaos/internal/simulate"
	"conga/cmd/internal/cli"
	"conga/messages"
)

type simulateCmd struct {
	Nodes     []int         `default:"1000" placeholder:"N,..." help:"How many listeners there are at a time; a run for each (${default})."`
	For       time.Duration `default:"10m" placeholder:"TIME" help:"How long it is measured, in virtual time (${default})."`
	Fill      time.Duration `default:"1m" placeholder:"TIME" help:"How long the first listeners take to come, at most (${default})."`
	Settle    time.Duration `default:"30s" placeholder:"TIME" help:"How long before that, after the first listeners have come (${default})."`
	Seed      uint64        `default:"1" placeholder:"N" help:"The same seed gives the same run (${default})."`
	Stay      time.Duration `default:"30m" placeholder:"TIME" help:"How long a listener stays, in the mean (${default})."`
	Crashes   float64       `default:"0.3" placeholder:"PART" help:"How many go without a goodbye (${default})."`
	Silent    float64       `default:"0.5" placeholder:"PART" help:"How many of these vanish, so that no connection is closed (${default})."`
	RoundTrip time.Duration `default:"40ms" placeholder:"TIME" help:"Median round trip between two hosts (${default})."`
	Hop       time.Duration `default:"30us" placeholder:"TIME" help:"What a node needs for a message (${default}, as conga-bench measures)."`
	Uplinks   []int         `default:"2000,10000,40000" placeholder:"KBITS,..." help:"Listeners' uplinks, each as frequent as the others; 0: they take no time (${default})."`
	Uplink    int           `default:"100000" placeholder:"KBITS" help:"The server's (${default})."`
	Bitrate   int           `default:"128" placeholder:"KBITS" help:"Of the music (${default})."`
	Chains    int           `default:"1" placeholder:"N" help:"How many chains the server feeds (${default})."`
	AtMost    int           `name:"chains-at-most" default:"0" placeholder:"N" help:"How many it may feed if the chain is too deep, as serve --chains auto may 4; 0: no more (${default})."`
	Feed      int           `default:"1" placeholder:"N" help:"How many listeners one offers to feed at most, if its uplink carries twice as much (${default})."`
	Song      time.Duration `default:"3m" placeholder:"TIME" help:"How long a song is (${default})."`
	JSON      string        `name:"json" placeholder:"FILE" help:"Write the figures to this file."`
}

// Help shows examples.
func (simulateCmd) Help() string {
	return `Each listener is the real relay core, the server has the real chain. Time is virtual: nothing waits, and the same seed
gives the same run. Listeners come and go, their ways and uplinks differ; what is drawn how, and what is left out, is in
the documentation of package simulate.

` + cli.Examples(
		"conga-chaos simulate --nodes 1000,10000", "two runs, side by side",
		"conga-chaos simulate --round-trip 0s --uplinks 0", "as on one machine",
	)
}

// Validate refuses what cannot be simulated.
func (c *simulateCmd) Validate() error {
	for _, n := range c.Nodes {
		if n < 1 || n > 1_000_000 {
			return fmt.Errorf("--nodes %d: from 1 to 1000000", n)
		}
	}
	for _, kbits := range append([]int{c.Uplink}, c.Uplinks...) {
		if kbits < 0 || kbits > 0 && kbits < c.Bitrate/4 {
			return fmt.Errorf("an uplink of %d kbit/s: at least a quarter of --bitrate, or 0", kbits)
		}
	}
	switch {
	case c.For < time.Second || c.Settle < 0 || c.Fill < time.Second || c.Stay < time.Second || c.RoundTrip < 0 || c.Song < time.Second || c.Hop < time.Microsecond:
		return errors.New("--for, --fill, --stay and --song are at least 1s, --hop is at least 1us, --settle and --round-trip are not negative")
	case c.Crashes < 0 || c.Crashes > 1 || c.Silent < 0 || c.Silent > 1:
		return errors.New("--crashes and --silent are from 0 to 1")
	case c.Chains < 1 || c.Chains > messages.MaxChains || c.AtMost < 0 || c.AtMost > messages.MaxChains || c.Feed < 1 || c.Feed > messages.MaxFeed:
		return fmt.Errorf("--chains is from 1 to %d, --chains-at-most from 0 to %[1]d, --feed from 1 to %d", messages.MaxChains, messages.MaxFeed)
	case c.Bitrate < 8 || c.Bitrate > 320:
		return fmt.Errorf("--bitrate %d: from 8 to 320", c.Bitrate)
	}
	return nil
}

// Run simulates, prints the table and writes the JSON.
func (c *simulateCmd) Run(ctx context.Context, streams *cli.Streams) error {
	var all []simulate.Figures
	for _, nodes := range c.Nodes {
		began := time.Now()
		found, err := simulate.Run(ctx, simulate.Plan{
			Nodes: nodes, For: c.For, Settle: c.Settle, Fill: c.Fill, Seed: c.Seed, Stay: c.Stay, Crashes: c.Crashes, Silent: c.Silent,
			RoundTrip: c.RoundTrip, Hop: c.Hop, Uplinks: c.Uplinks, Server: c.Uplink, Bitrate: c.Bitrate, Song: c.Song, Chains: c.Chains, ChainsAtMost: c.AtMost, Feed: c.Feed,
		}, func(at time.Duration, listeners int) {
			if at%time.Minute == 0 {
				fmt.Fprintf(streams.Err, "%d nodes: %v, %d listeners\n", nodes, at, listeners)
			}
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(streams.Err, "%d nodes: done in %v\n", nodes, time.Since(began).Round(time.Second))
		all = append(all, found)
		if err := c.write(all); err != nil {
			return err
		}
	}
	showFigures(streams.Out, all)
	simulate.ShowUplinks(streams.Out, all[len(all)-1])
	return nil
}

// write writes the figures to the file.
func (c *simulateCmd) write(all []simulate.Figures) error {
	if c.JSON == "" {
		return nil
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(c.JSON, append(text, '\n'), 0o644)
}

// showFigures prints a column for each run.
func showFigures(w io.Writer, all []simulate.Figures) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, line := range simulate.Lines {
		fmt.Fprint(table, line.Name)
		for _, found := range all {
			fmt.Fprintf(table, "\t%s", line.Of(found))
		}
		fmt.Fprint(table, "\t\n")
	}
	_ = table.Flush()
}
