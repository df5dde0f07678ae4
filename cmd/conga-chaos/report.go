package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"conga/actors"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/node"
	"conga/messages"
)

// unprovoked are searches that no failure explains.
const unprovoked schedule.Kind = "unprovoked"

// outcome is the result of a run.
type outcome struct {
	counts     map[schedule.Kind]*count
	splices    map[schedule.Kind][]time.Duration // sorted
	total      tally
	recoveries []recovery
	left       int      // listeners at the end that were never frozen
	before     int      // listeners that left before, unharmed until then
	hurt       int      // listeners that were frozen or cut off for a while, and cannot have heard everything
	bad        []string // broken promises
}

// tally adds up receipts.
type tally struct {
	heard, lost, twice, unproved, lies int64
	underruns                          int
	longestMs                          float64
	margin                             *float64
	marginOf                           string
	songs, equal                       int
}

func (t *tally) add(r *actors.Receipt, sent []messages.SongSum) {
	t.heard += r.Heard
	t.lost += r.Lost
	t.twice += r.Twice
	t.unproved += r.Unproved
	t.lies += r.Lies
	t.underruns += r.Underruns
	t.longestMs = max(t.longestMs, r.LongestSearchMs)
	if m := r.LowestMarginMs; m != nil && (t.margin == nil || *m < *t.margin) {
		t.margin, t.marginOf = m, r.Name
	}
	for _, song := range r.Songs {
		t.songs++
		if slices.Contains(sent, song) {
			t.equal++
		}
	}
}

// whole reports whether the receipts show that everything was heard, once and in time.
func (t *tally) whole() bool {
	return t.lost == 0 && t.twice == 0 && t.unproved == 0 && t.lies == 0 && t.underruns == 0 && t.songs == t.equal
}

func (t *tally) String() string {
	return fmt.Sprintf("heard %d, lost %d, twice %d, unproved %d, lies %d, underruns %d, songs equal to the server's %d of %d, longest search %.0f ms, lowest margin %s",
		t.heard, t.lost, t.twice, t.unproved, t.lies, t.underruns, t.equal, t.songs, t.longestMs, node.InMs(t.margin))
}

func (a *experiment) outcome(sent []messages.SongSum) *outcome {
	o := &outcome{counts: a.counts, splices: map[schedule.Kind][]time.Duration{}, bad: a.faults, recoveries: a.recoveries}
	for _, c := range a.all {
		if c.target == nil {
			continue
		}
		for _, s := range c.found {
			kind := a.cause(s)
			if c.disturbed && a.hit(c.name, s.at) {
				continue // its own cable, and nobody's above it
			}
			if a.excuses(c.name, s.at) {
				continue // it took as long as the outage
			}
			if kind == schedule.Freeze || kind == schedule.Link || kind == schedule.Asleep {
				s.took += messages.SilenceIsDeath // since the last byte
			}
			o.splices[kind] = append(o.splices[kind], s.took)
		}
		switch {
		case c.deaf:
			o.bad = append(o.bad, c.name+" hears nothing any more")
		case c.proof == nil:
		case c.disturbed:
			o.hurt++
		default:
			one, proof := tally{}, c.takes(*c.proof)
			one.add(proof, sent)
			o.total.add(proof, sent)
			if !one.whole() {
				o.bad = append(o.bad, c.name+" "+one.String())
			}
			if c.gone {
				o.before++
			} else {
				o.left++
			}
		}
	}
	if o.left == 0 || o.total.heard == 0 {
		o.bad = append(o.bad, "no listener is left to tell what it heard")
	}
	for _, took := range o.splices {
		slices.Sort(took)
	}
	return o
}

// excuses reports whether at that time the listener could find nobody.
func (a *experiment) excuses(name string, at time.Time) bool {
	return slices.ContainsFunc(a.spans, func(s stretch) bool {
		return (s.silent || s.asleep[name]) && at.After(s.begin) && (s.end.IsZero() || at.Before(s.end))
	})
}

// asideMost is how far clocks and goroutines may be apart.
const asideMost = 20 * time.Millisecond

// cause is the last failure that hit the lost upstream before it was missed.
func (a *experiment) cause(s search) schedule.Kind {
	kind := unprovoked
	for _, h := range a.hits[s.lost] {
		if !h.at.After(s.at.Add(asideMost)) {
			kind = h.kind
		}
	}
	return kind
}

// hit reports whether a failure had hit the node by then.
func (a *experiment) hit(name string, by time.Time) bool {
	return slices.ContainsFunc(a.hits[name], func(h hit) bool { return !h.at.After(by.Add(asideMost)) })
}

// percentile of sorted durations by nearest rank; 0 if there are none.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max((len(sorted)*p+99)/100, 1)-1]
}

// showRecoveries prints how long after the outages music was back for the last listener.
func (o *outcome) showRecoveries(w io.Writer) {
	if len(o.recoveries) == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\nlast to end\ttimes\tshortest s\tlongest s\tmusic back p50 s\tmax s\t")
	for _, b := range schedule.Outages {
		var lasts, took []time.Duration
		for _, r := range o.recoveries {
			if r.kind == b.Kind {
				lasts, took = append(lasts, r.lasts), append(took, r.took)
			}
		}
		if len(took) == 0 {
			continue
		}
		slices.Sort(took)
		fmt.Fprintf(table, "%s\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t\n", b.Kind, len(took), slices.Min(lasts).Seconds(), slices.Max(lasts).Seconds(),
			percentile(took, 50).Seconds(), percentile(took, 100).Seconds())
	}
	_ = table.Flush()
}

// mostBad is how many broken promises are shown: the first ones cause the others.
const mostBad = 20

// show prints the table.
func (o *outcome) show(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "failure\ttimes\tnodes\tsplices\tp50 ms\tp99 ms\tmax ms\t")
	row := func(name string, kinds ...schedule.Kind) {
		var n count
		var took []time.Duration
		for _, kind := range kinds {
			if c := o.counts[kind]; c != nil {
				n.times, n.nodes = n.times+c.times, n.nodes+c.nodes
			}
			took = append(took, o.splices[kind]...)
		}
		if n.times == 0 && len(took) == 0 {
			return
		}
		slices.Sort(took)
		fmt.Fprintf(table, "%s\t%d\t%d\t%d", name, n.times, n.nodes, len(took))
		for _, p := range []int{50, 99, 100} {
			fmt.Fprintf(table, "\t%.1f", float64(percentile(took, p).Microseconds())/1000)
		}
		fmt.Fprint(table, "\t\n")
	}
	for _, b := range slices.Concat(schedule.Usual, schedule.Outages) {
		row(string(b.Kind), b.Kind)
	}
	row(string(unprovoked), unprovoked)
	row("sockets closed", schedule.Kill, schedule.End, schedule.Neighbours, schedule.Half)
	row("silence", schedule.Freeze, schedule.Link, schedule.Asleep)
	_ = table.Flush()
	o.showRecoveries(w)
	fmt.Fprintf(w, "\nreceipts: %d survivors, %d until they went; %d were frozen, alone or slow, and are not counted\n", o.left, o.before, o.hurt)
	fmt.Fprintf(w, "%s (%s)\n", o.total.String(), o.total.marginOf)
	showBad(w, o.bad)
}

func showBad(w io.Writer, bad []string) {
	for _, trouble := range bad[:min(len(bad), mostBad)] {
		fmt.Fprintln(w, "BAD:", trouble)
	}
	if more := len(bad) - mostBad; more > 0 {
		fmt.Fprintf(w, "BAD: and %d more\n", more)
	}
}
