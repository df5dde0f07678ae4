package main

import (
	"context"
	"fmt"

	"conga/cmd/conga-bench/internal/result"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/plot"
)

type plotCmd struct {
	File string `arg:"" name:"file" placeholder:"FILE" help:"The JSON of a run."`
}

// Help shows an example.
func (plotCmd) Help() string {
	return "It writes an SVG.\n\n" + cli.Examples("conga-bench plot new.json > new.svg", "draw a run")
}

// panel is a part of the drawing, and the lines of a run that it shows.
type panel struct {
	title, unit string
	curves      []curve
}

// curve is conga's figures of the lines with that name, or those of one of their baselines.
type curve struct{ label, line, baseline string }

// panels are what is drawn: how costs grow with the chain.
var panels = []panel{
	{"Latency of a hop, median", "us", []curve{{"conga", hopLatency, ""}, {"raw relay", hopLatency, rawFrames}}},
	{"Processor time of all listeners", "s/s", []curve{{"conga", listenersCPU, ""}, {"raw relay", listenersCPU, rawFrames}}},
	{"Processor time of the server", "s/s", servers(serverCPU)},
	{"Upload of the server", "kbit/s", servers(serverUpload)},
	{"Memory of the server", "MB", servers(serverRSS)},
	{"Memory of a listener", "MB", []curve{{"conga", listenerMemory, ""}, {"raw relay", listenerMemory, rawChunks}}},
	{"Joining, all one after another", "s", []curve{{"conga", joining, ""}, {greeting, joining, greeting}}},
	{"Splice, from death to answer", "ms", []curve{{"conga", splicing, ""}, {greeting, splicing, greeting}}},
}

func servers(line string) []curve {
	return []curve{{"conga", line, ""}, {fanOut, line, fanOut}, {icecast, line, icecast}}
}

// Run draws.
func (c *plotCmd) Run(_ context.Context, streams *cli.Streams) error {
	run, err := readRun(c.File)
	if err != nil {
		return err
	}
	_, err = streams.Out.Write(drawing(run).SVG())
	return err
}

// drawing draws the run.
func drawing(run result.Run) plot.Drawing {
	d := plot.Drawing{
		About: "How costs grow with the chain", X: "nodes",
		Foot: fmt.Sprintf("conga %s; %s; %d cores; %s; load %.2f", run.Version, run.Date.Format("2006-01-02"), run.Cores, run.System, float64(run.Load[0])),
	}
	for _, p := range panels {
		drawn := plot.Panel{Title: p.title, Unit: p.unit}
		for _, c := range p.curves {
			drawn.Series = append(drawn.Series, plot.Series{Label: c.label, Points: c.points(run)})
		}
		d.Panels = append(d.Panels, drawn)
	}
	return d
}

// points returns the curve's figures, one for each length of the chain.
func (c curve) points(run result.Run) (points []plot.Point) {
	has := map[int]bool{}
	for _, l := range run.Lines {
		if l.Name != c.line || l.Nodes == 0 || c.baseline != "" && l.Baseline != c.baseline {
			continue
		}
		value := l.Conga
		if c.baseline != "" {
			value = l.Base
		}
		if !has[l.Nodes] && value > 0 {
			has[l.Nodes] = true
			points = append(points, plot.Point{X: float64(l.Nodes), Y: value})
		}
	}
	return points
}
