package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"conga/cmd/conga-chaos/internal/simulate"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/plot"
)

type plotCmd struct {
	Files []string `arg:"" name:"file" placeholder:"FILE" help:"What simulate --json wrote; each file is a curve, called as its file is."`
}

// Help shows an example.
func (plotCmd) Help() string {
	return "It writes an SVG.\n\n" + cli.Examples("conga-chaos plot line.json branches.json > simulate.svg", "draw two simulations of several sizes")
}

// drawn are the panels: what they are called, and the figures in them.
var drawn = []struct {
	title, unit string
	of          func(simulate.Figures) float64
}{
	{"Depth, median", "nodes", func(f simulate.Figures) float64 { return float64(f.DepthP50) }},
	{"Depth, most", "nodes", func(f simulate.Figures) float64 { return float64(f.DepthMax) }},
	{"Margin, median", "ms", func(f simulate.Figures) float64 { return f.MarginP50 }},
	{"Margin, one item in a hundred has less", "ms", func(f simulate.Figures) float64 { return f.MarginP1 }},
	{"Silence, of all that is listened to", "ppm", func(f simulate.Figures) float64 { return 1e6 * f.SilencePart }},
	{"Search for another upstream, p99", "ms", func(f simulate.Figures) float64 { return f.SearchP99 }},
	{"Music that the server gives out", "kbit/s", func(f simulate.Figures) float64 { return f.ServerUpload }},
	{"Control at the server, both ways", "kbit/s", func(f simulate.Figures) float64 { return f.ServerControl }},
	{"Splices a minute", "", func(f simulate.Figures) float64 { return float64(f.Splices) / f.Plan.For.Minutes() }},
	{"Control for each listener, both ways", "bytes/s", func(f simulate.Figures) float64 { return f.NodeControl }},
}

// Run draws.
func (c *plotCmd) Run(_ context.Context, streams *cli.Streams) error {
	d := plot.Drawing{About: "What a simulated radio needs as it grows", X: "listeners"}
	runs := map[string][]simulate.Figures{}
	for _, file := range c.Files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var all []simulate.Figures
		if err := json.Unmarshal(text, &all); err != nil || len(all) == 0 {
			return fmt.Errorf("%s holds no simulation: simulate --json writes one: %w", file, errors.Join(err, errNoFigures))
		}
		runs[file] = all
		d.Foot = all[0].Plan.String()
	}
	for _, of := range drawn {
		panel := plot.Panel{Title: of.title, Unit: of.unit}
		for _, file := range c.Files {
			curve := plot.Series{Label: label(file)}
			for _, found := range runs[file] {
				curve.Points = append(curve.Points, plot.Point{X: float64(found.Plan.Nodes), Y: of.of(found)})
			}
			panel.Series = append(panel.Series, curve)
		}
		d.Panels = append(d.Panels, panel)
	}
	_, err := streams.Out.Write(d.SVG())
	return err
}

// label is the file's name without its folder and ending.
func label(file string) string { return strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)) }

var errNoFigures = errors.New("there are no figures")
