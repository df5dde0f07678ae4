package result

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Table writes the run for people.
func (r Run) Table(w io.Writer, goals []Goal) error {
	fmt.Fprintf(w, "conga %s, %s, %s, %d cores, %s, load %.2f at the start, %.2f at the end\n",
		r.Version, r.Go, r.System, r.Cores, r.Date.Format(time.RFC3339), float64(r.Load[0]), float64(r.Load[1]))
	if r.IsBusy() {
		fmt.Fprintf(w, "THE MACHINE IS BUSY: with a load above %.1f for each core these figures are worth little. Run it again when the machine is quiet.\n", Busy)
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "what\tnodes\tunit\tconga\tbaseline\tratio\tspread\tgoal\tagainst")
	for _, l := range r.Lines {
		nodes, goal := "", ""
		if l.Nodes > 0 {
			nodes = strconv.Itoa(l.Nodes)
		}
		if g, has := GoalFor(goals, l.Key); has {
			goal = g.String() + " " + map[bool]string{true: "met", false: "missed"}[g.Met(l)]
		}
		low, high := l.spread()
		fmt.Fprintln(table, strings.Join([]string{
			l.Name, nodes, l.Unit, short(l.Conga), short(l.Base), short(l.Ratio), short(low) + "–" + short(high), goal, l.Baseline,
		}, "\t"))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	for _, what := range r.Missing {
		fmt.Fprintf(w, "not measured: %s\n", what)
	}
	return nil
}

// spread returns the smallest and the largest ratio of the rounds.
func (l Line) spread() (low, high float64) {
	low = math.Inf(1)
	for _, round := range l.Rounds {
		low, high = min(low, round.ratio()), max(high, round.ratio())
	}
	return min(low, high), high
}

// short is the figure with three digits.
func short(v float64) string {
	switch size := math.Abs(v); {
	case size >= 99.95 || v == 0:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case size >= 0.9995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
