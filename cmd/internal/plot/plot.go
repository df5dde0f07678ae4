// Package plot draws figures as SVG: how they grow with the number of nodes, or of anything else. It is pure, and it uses
// no library for charts: gonum/plot brings a dozen modules and draws its letters itself, go-chart is no longer kept, and all
// that is needed here is lines over two logarithmic axes.
package plot

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Drawing is what it shows, in words for those who cannot see it; what its horizontal axes count; a line below all; and its
// panels.
type Drawing struct {
	About, X, Foot string
	Panels         []Panel
}

// Panel is one part of it: what it is called, and its curves. Both axes are logarithmic.
type Panel struct {
	Title, Unit string
	Series      []Series
}

// Series is one curve. Points of which a coordinate is not above zero have no place and are left out.
type Series struct {
	Label  string
	Points []Point
}

// Point is a figure at a number of nodes.
type Point struct{ X, Y float64 }

const (
	columns                  = 2
	panelWide, panelHigh     = 440.0, 250.0
	left, right, top, bottom = 66.0, 16.0, 46.0, 34.0 // around the curves
	plotWide, plotHigh       = panelWide - left - right, panelHigh - top - bottom
	margin                   = 12.0
	leastDecades             = 1.0 // of an axis, so that noise does not fill it
	dot                      = 3.0
	letter                   = 6.2 // about how wide one is
	colours                  = 4
)

// style has colours for light and dark pages.
const style = `
text { font: 11px system-ui, sans-serif; fill: #444 }
.title { font-size: 14px; font-weight: 600; fill: #111 }
.grid { stroke: #ddd; stroke-width: 1 }
.curve { fill: none; stroke: currentColor; stroke-width: 2 }
.dot, .name { fill: currentColor }
.c0 { color: #b3282d } .c1 { color: #2b6cb0 } .c2 { color: #6b8500 } .c3 { color: #8a63a8 }
@media (prefers-color-scheme: dark) {
text { fill: #bbb }
.title { fill: #eee }
.grid { stroke: #3a3a3a }
.name { fill: currentColor }
.c0 { color: #ff7b72 } .c1 { color: #79b8ff } .c2 { color: #b5cf4b } .c3 { color: #c9a4e4 }
}
`

// SVG draws it.
func (d Drawing) SVG() []byte {
	var xs []float64
	for _, panel := range d.Panels {
		for _, s := range panel.Series {
			for _, point := range s.drawn() {
				xs = append(xs, point.X)
			}
		}
	}
	x := axisOver(xs) // one for all, so that they can be compared
	rows := (len(d.Panels) + columns - 1) / columns
	wide, high := columns*panelWide+2*margin, float64(rows)*panelHigh+4*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, wide, high, html.EscapeString(d.About))
	fmt.Fprintf(&b, "<style>%s</style>\n", style)
	for i, panel := range d.Panels {
		fmt.Fprintf(&b, `<g transform="translate(%.0f %.0f)">`+"\n", margin+float64(i%columns)*panelWide, margin+float64(i/columns)*panelHigh)
		panel.draw(&b, x, d.X)
		b.WriteString("</g>\n")
	}
	fmt.Fprintf(&b, `<text x="%.0f" y="%.0f">%s</text>`+"\n", margin+left, high-margin, html.EscapeString(d.Foot))
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// drawn returns the points that have a place, from the left.
func (s Series) drawn() (points []Point) {
	for _, point := range s.Points {
		if point.X > 0 && point.Y > 0 {
			points = append(points, point)
		}
	}
	slices.SortStableFunc(points, func(a, b Point) int { return cmp.Compare(a.X, b.X) })
	return points
}

// axis is a logarithmic one, from one power of ten to another.
type axis struct{ from, to float64 }

func axisOver(values []float64) axis {
	if len(values) == 0 {
		return axis{0, leastDecades}
	}
	from, to := math.Floor(math.Log10(slices.Min(values))), math.Ceil(math.Log10(slices.Max(values)))
	return axis{from, max(to, from+leastDecades)}
}

// place is where the value is, from 0 to 1.
func (a axis) place(value float64) float64 { return (math.Log10(value) - a.from) / (a.to - a.from) }

// draw draws the panel with its left upper corner at the origin.
func (p Panel) draw(b *strings.Builder, x axis, unit string) {
	var all [][]Point
	var ys []float64
	for _, s := range p.Series {
		points := s.drawn()
		all = append(all, points)
		for _, point := range points {
			ys = append(ys, point.Y)
		}
	}
	y := axisOver(ys)
	fmt.Fprintf(b, `<text class="title" x="%.0f" y="14">%s</text>`+"\n", left, html.EscapeString(p.Title))
	grid(b, x, y, unit, p.Unit)
	label := left
	for i, points := range all {
		if len(points) == 0 {
			continue
		}
		name := html.EscapeString(p.Series[i].Label)
		fmt.Fprintf(b, `<g class="c%d"><text class="name" x="%.0f" y="33">%s</text>`, i%colours, label, name)
		label += letter * float64(len(p.Series[i].Label)+3)
		curve := ""
		for j, point := range points {
			cx, cy := left+plotWide*x.place(point.X), top+plotHigh*(1-y.place(point.Y))
			fmt.Fprintf(b, `<circle class="dot" cx="%.1f" cy="%.1f" r="%.0f"><title>%s, %.0f %s: %.4g %s</title></circle>`,
				cx, cy, dot, name, point.X, html.EscapeString(unit), point.Y, html.EscapeString(p.Unit))
			curve += fmt.Sprintf("%c%.1f %.1f", "ML"[min(j, 1)], cx, cy)
		}
		fmt.Fprintf(b, `<path class="curve" d="%s"/></g>`+"\n", curve)
	}
}

// grid draws a line and a number for each power of ten.
func grid(b *strings.Builder, x, y axis, across, unit string) {
	for e := y.from; e <= y.to; e++ {
		at := top + plotHigh*(1-(e-y.from)/(y.to-y.from))
		name := fmt.Sprintf("%g", math.Pow(10, e))
		if e == y.to {
			name += " " + unit
		}
		fmt.Fprintf(b, `<path class="grid" d="M%.1f %.1fH%.1f"/><text x="%.1f" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, at, left+plotWide, left-6, at+4, html.EscapeString(name))
	}
	for e := x.from; e <= x.to; e++ {
		at := left + plotWide*(e-x.from)/(x.to-x.from)
		name := fmt.Sprintf("%.0f", math.Pow(10, e))
		if e == x.from {
			name += " " + across
		}
		fmt.Fprintf(b, `<path class="grid" d="M%.1f %.1fV%.1f"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n",
			at, top, top+plotHigh, at, top+plotHigh+16, html.EscapeString(name))
	}
}
