package main

import (
	"context"

	"conga/cmd/conga-bench/internal/plot"
	"conga/cmd/internal/cli"
)

type plotCmd struct {
	File string `arg:"" name:"file" placeholder:"FILE" help:"The JSON of a run."`
}

// Help shows an example.
func (plotCmd) Help() string {
	return "It writes an SVG.\n\n" + cli.Examples("conga-bench plot new.json > new.svg", "draw a run")
}

// panels are what is drawn: how costs grow with the chain.
var panels = []plot.Panel{
	{Title: "Latency of a hop, median", Unit: "us", Series: []plot.Series{{Label: "conga", Line: hopLatency}, {Label: "raw relay", Line: hopLatency, Baseline: rawFrames}}},
	{Title: "Processor time of all listeners", Unit: "s/s", Series: []plot.Series{{Label: "conga", Line: listenersCPU}, {Label: "raw relay", Line: listenersCPU, Baseline: rawFrames}}},
	{Title: "Processor time of the server", Unit: "s/s", Series: servers(serverCPU)},
	{Title: "Upload of the server", Unit: "kbit/s", Series: servers(serverUpload)},
	{Title: "Memory of the server", Unit: "MB", Series: servers(serverRSS)},
	{Title: "Memory of a listener", Unit: "MB", Series: []plot.Series{{Label: "conga", Line: listenerMemory}, {Label: "raw relay", Line: listenerMemory, Baseline: rawChunks}}},
	{Title: "Joining, all one after another", Unit: "s", Series: []plot.Series{{Label: "conga", Line: joining}, {Label: greeting, Line: joining, Baseline: greeting}}},
	{Title: "Splice, from death to answer", Unit: "ms", Series: []plot.Series{{Label: "conga", Line: splicing}, {Label: greeting, Line: splicing, Baseline: greeting}}},
}

func servers(line string) []plot.Series {
	return []plot.Series{{Label: "conga", Line: line}, {Label: fanOut, Line: line, Baseline: fanOut}, {Label: icecast, Line: line, Baseline: icecast}}
}

// Run draws.
func (c *plotCmd) Run(_ context.Context, streams *cli.Streams) error {
	run, err := readRun(c.File)
	if err != nil {
		return err
	}
	_, err = streams.Out.Write(plot.SVG(run, panels))
	return err
}
