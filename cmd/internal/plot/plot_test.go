package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// elements counts the elements of the SVG by name, and fails if it is not XML.
func elements(t rapid.TB, svg []byte) map[string]int {
	counts := map[string]int{}
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return counts
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if e, is := token.(xml.StartElement); is {
			counts[e.Name.Local]++
		}
	}
}

// Whatever was measured, the drawing is XML, has a dot for each figure above zero, and each dot is inside its panel.
func TestSVG_Property(t *testing.T) {
	place := regexp.MustCompile(`cx="([^"]*)" cy="([^"]*)"`)
	rapid.Check(t, func(t *rapid.T) {
		var points []Point
		want := 0
		for _, nodes := range rapid.SliceOfDistinct(rapid.IntRange(0, 5000), rapid.ID).Draw(t, "nodes") {
			point := Point{float64(nodes), rapid.Float64Range(0, 1e9).Draw(t, "figure")}
			points = append(points, point)
			if nodes > 0 && point.Y > 0 {
				want++
			}
		}
		svg := Drawing{About: "<all>", X: "nodes", Foot: "1 <2>", Panels: []Panel{
			{Title: "Latency < of a hop", Unit: "us", Series: []Series{{"a & b", points}}}, {Title: "Nothing", Unit: "s", Series: []Series{{"c", nil}}},
		}}.SVG()
		if got := elements(t, svg)["circle"]; got != want {
			t.Fatalf("%d dots for %d figures", got, want)
		}
		for _, at := range place.FindAllStringSubmatch(string(svg), -1) {
			x, errX := strconv.ParseFloat(at[1], 64)
			y, errY := strconv.ParseFloat(at[2], 64)
			if errX != nil || errY != nil || x < left-0.1 || x > left+plotWide+0.1 || y < top-0.1 || y > top+plotHigh+0.1 {
				t.Fatalf("a dot is at %s, %s", at[1], at[2])
			}
		}
	})
}

func TestSVG(t *testing.T) {
	points := []Point{{10, 80}, {1, 40}, {1000, 90}}
	svg := string(Drawing{About: "costs", X: "nodes", Panels: []Panel{
		{Title: "Latency < of a hop", Unit: "us", Series: []Series{{"conga", points}, {"raw & relay", points}}},
	}}.SVG())
	// Three decades wide: 1, 10 and 1,000 nodes are at 0, a third and the end; the shortest chain is drawn first.
	curve := regexp.MustCompile(`class="curve" d="M66\.0 [\d.]+L185\.3 [\d.]+L424\.0 [\d.]+"`)
	if got := len(curve.FindAllString(svg, -1)); got != 2 {
		t.Errorf("%d curves from 1 over 10 to 1000 nodes, want two:\n%s", got, svg)
	}
	for _, text := range []string{"Latency &lt; of a hop", "raw &amp; relay", "1000</text>", "100 us</text>", "1 nodes</text>"} {
		if !strings.Contains(svg, text) {
			t.Errorf("the drawing has no %q", text)
		}
	}
}
