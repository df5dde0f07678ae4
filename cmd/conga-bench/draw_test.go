package main

import (
	"strings"
	"testing"

	"conga/cmd/conga-bench/internal/result"
)

// A run has a curve for conga and one for each baseline, with a dot for each length of the chain.
func TestDrawing(t *testing.T) {
	var run result.Run
	for nodes, value := range map[int]float64{10: 80, 1: 40, 1000: 90} {
		for _, base := range []string{rawFrames, rawChunks} {
			run.Add(result.Key{Name: hopLatency, Nodes: nodes, Baseline: base}, "us", result.Less, result.Round{Conga: value, Base: 8})
		}
	}
	svg := string(drawing(run).SVG())
	if curves, dots := strings.Count(svg, `class="curve"`), strings.Count(svg, "<circle"); curves != 2 || dots != 6 {
		t.Errorf("%d curves, %d dots:\n%s", curves, dots, svg)
	}
}
