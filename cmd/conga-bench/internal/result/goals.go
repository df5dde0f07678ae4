package result

import "fmt"

// Goal is what a line is to reach on the machine that the goals were set for: two cores, loopback.
type Goal struct {
	Key    Key
	Of     GoalOf
	Bound  float64
	Better Better // Less: at most Bound
}

// GoalOf says whether the ratio or conga's figure is bounded.
type GoalOf string

// A goal bounds the ratio to the baseline, or the figure itself.
const (
	Ratio  GoalOf = "ratio"
	Figure GoalOf = "figure"
)

// String says the goal for the table.
func (g Goal) String() string {
	sign := "≤"
	if g.Better == More {
		sign = "≥"
	}
	if g.Of == Ratio {
		return fmt.Sprintf("%s %s×", sign, short(g.Bound))
	}
	return fmt.Sprintf("%s %s", sign, short(g.Bound))
}

// Met reports whether the line reaches the goal.
func (g Goal) Met(l Line) bool {
	is := l.Conga
	if g.Of == Ratio {
		is = l.Ratio
	}
	if g.Better == More {
		return is >= g.Bound
	}
	return is <= g.Bound
}

// GoalFor returns the line's goal.
func GoalFor(goals []Goal, key Key) (Goal, bool) {
	for _, g := range goals {
		if g.Key.Name == key.Name && g.Key.Baseline == key.Baseline && (g.Key.Nodes == 0 || g.Key.Nodes == key.Nodes) {
			return g, true
		}
	}
	return Goal{}, false
}
