// Package result is what a run of conga-bench found: lines, each of which compares conga with a baseline. It makes the
// table, the JSON, and the comparison of two runs. It is pure: it measures nothing and reads no clock.
package result

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
)

// Run is what one run found, and on which machine.
type Run struct {
	Date    time.Time `json:"date"`
	Version string    `json:"version"` // conga's
	Go      string    `json:"go"`
	System  string    `json:"system"`
	Cores   int       `json:"cores"`
	Load    [2]Load   `json:"load"` // at the start, at the end
	Rounds  int       `json:"rounds"`
	Lines   []Line    `json:"lines"`
	// Missing says what could not be measured, and what to do about it.
	Missing []string `json:"missing,omitempty"`
}

// Load is the machine's load average of the last minute.
type Load float64

// Line is one figure of conga, beside that of a baseline.
type Line struct {
	Key
	Unit   string `json:"unit"`
	Better Better `json:"better"`
	// Rounds are the single measurements; those of a round were taken in the same minute.
	Rounds []Round `json:"rounds"`
	// Conga and Base are the medians of the rounds, Ratio is the median of their ratios.
	Conga float64 `json:"conga"`
	Base  float64 `json:"base"`
	Ratio float64 `json:"ratio"`
}

// Key tells lines apart.
type Key struct {
	Name     string `json:"name"`
	Nodes    int    `json:"nodes,omitempty"` // listeners in the chain; 0: the line is about something else
	Baseline string `json:"baseline"`
}

// String names the line for people.
func (k Key) String() string {
	if k.Nodes == 0 {
		return fmt.Sprintf("%s, against %s", k.Name, k.Baseline)
	}
	return fmt.Sprintf("%s, %d nodes, against %s", k.Name, k.Nodes, k.Baseline)
}

// Better says which figures are the better ones.
type Better string

// Less is better, as of times; or More, as of throughput.
const (
	Less Better = "less"
	More Better = "more"
)

// Round is one measurement of conga and of the baseline.
type Round struct {
	Conga float64 `json:"conga"`
	Base  float64 `json:"base"`
}

func (r Round) ratio() float64 {
	if r.Base == 0 {
		return 0
	}
	return r.Conga / r.Base
}

// Add adds a measurement to the line with that key, which it makes if it is new.
func (r *Run) Add(key Key, unit string, better Better, round Round) {
	at := slices.IndexFunc(r.Lines, func(l Line) bool { return l.Key == key })
	if at < 0 {
		at = len(r.Lines)
		r.Lines = append(r.Lines, Line{Key: key, Unit: unit, Better: better})
	}
	line := &r.Lines[at]
	line.Rounds = append(line.Rounds, round)
	line.sum()
}

func (l *Line) sum() {
	var conga, base, ratios []float64
	for _, round := range l.Rounds {
		conga, base, ratios = append(conga, round.Conga), append(base, round.Base), append(ratios, round.ratio())
	}
	l.Conga, l.Base, l.Ratio = Median(conga), Median(base), Median(ratios)
}

// Arrange puts lines of one kind together, in the order of their chains' lengths.
func (r *Run) Arrange() {
	first := map[string]int{}
	for i, l := range r.Lines {
		for _, part := range []string{l.Name, l.Name + "\x00" + l.Baseline} {
			if _, has := first[part]; !has {
				first[part] = i
			}
		}
	}
	slices.SortStableFunc(r.Lines, func(a, b Line) int {
		return cmp.Or(
			cmp.Compare(first[a.Name], first[b.Name]),
			cmp.Compare(first[a.Name+"\x00"+a.Baseline], first[b.Name+"\x00"+b.Baseline]),
			cmp.Compare(a.Nodes, b.Nodes))
	})
}

// Lacks notes once what could not be measured.
func (r *Run) Lacks(what string) {
	if !slices.Contains(r.Missing, what) {
		r.Missing = append(r.Missing, what)
	}
}

// Find returns the line with that key.
func (r Run) Find(key Key) (Line, bool) {
	at := slices.IndexFunc(r.Lines, func(l Line) bool { return l.Key == key })
	if at < 0 {
		return Line{}, false
	}
	return r.Lines[at], true
}

// Median returns the middle of values, the mean of the two in the middle if their number is even; 0 of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Percentile returns the smallest of values that at least p per cent of them do not exceed; 0 of none.
func Percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := int(math.Ceil(p/100*float64(len(sorted)))) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

// Encode returns the run as JSON, rounded to six digits: more are noise.
func (r Run) Encode() ([]byte, error) {
	rounded := r
	rounded.Lines = slices.Clone(r.Lines)
	for i := range rounded.Lines {
		l := &rounded.Lines[i]
		l.Conga, l.Base, l.Ratio = six(l.Conga), six(l.Base), six(l.Ratio)
		l.Rounds = slices.Clone(l.Rounds)
		for j := range l.Rounds {
			l.Rounds[j] = Round{six(l.Rounds[j].Conga), six(l.Rounds[j].Base)}
		}
	}
	data, err := json.MarshalIndent(rounded, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the run: %w", err)
	}
	return append(data, '\n'), nil
}

// Decode reads what Encode wrote.
func Decode(data []byte) (Run, error) {
	var r Run
	if err := json.Unmarshal(data, &r); err != nil {
		return Run{}, fmt.Errorf("this is no JSON of conga-bench: %w", err)
	}
	return r, nil
}

func six(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	scale := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// Busy is the load, for each core, from which on the figures are not worth much.
const Busy = 0.5

// IsBusy reports whether something else kept the machine busy when the run began.
func (r Run) IsBusy() bool { return r.Cores > 0 && float64(r.Load[0]) > Busy*float64(r.Cores) }
