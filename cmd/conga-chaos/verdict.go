package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// verdict is the result of a trial.
type verdict struct {
	results   []result
	total     tally
	listeners int
	asked     int
	kept      int
	unsure    int
	logged    int
	refused   map[string]int
	// Broken promises: items that two servers gave out at once, requests that were lost, takeovers that failed, what listeners
	// did not hear.
	both, lost, faults, unheard []string
}

func (v *verdict) bad() []string { return slices.Concat(v.both, v.lost, v.faults, v.unheard) }

// verdict compares what listeners and the guest were told with what is.
func (t *trial) verdict(g *guest, log []request) *verdict {
	v := &verdict{results: t.results, asked: g.asked, kept: len(g.kept), unsure: g.unsure, refused: g.refused, logged: len(log), both: t.both, faults: t.faults}
	sent := t.stations.sent()
	for _, c := range t.all {
		if c.deaf {
			v.unheard = append(v.unheard, c.name+" hears nothing any more")
		}
		if c.proof == nil {
			continue
		}
		one := tally{}
		one.add(c.proof, sent)
		v.total.add(c.proof, sent)
		if v.listeners++; !one.whole() {
			v.unheard = append(v.unheard, c.name+" "+one.String())
		}
	}
	if v.listeners == 0 || v.total.heard == 0 {
		v.unheard = append(v.unheard, "no listener is left to tell what it heard")
	}
	if v.kept == 0 {
		v.faults = append(v.faults, "no request was acknowledged")
	}
	for _, r := range lostOf(g.kept, log) {
		v.lost = append(v.lost, fmt.Sprintf("the request for %s was acknowledged at %s and is not in the log", r.song, r.confirmed.UTC().Format("15:04:05.000")))
	}
	return v
}

// show prints the table.
func (v *verdict) show(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "failure\ttimes\ttakeovers\tlast item p50 ms\tmost\tnext item p50 ms\tmost\tbetween, least ms\tlongest pause ms\tunderruns\tsilent ms\t")
	for _, f := range faults {
		var last, first, between []time.Duration
		var pause time.Duration
		times, underruns, silent := 0, 0, int64(0)
		for _, r := range v.results {
			if r.fault != f {
				continue
			}
			times, underruns, silent, pause = times+1, underruns+r.underruns, silent+r.silentMs, max(pause, r.pause)
			for _, h := range r.handovers {
				last, first, between = append(last, h.last), append(first, h.first), append(between, h.first-h.last)
			}
		}
		if times == 0 {
			continue
		}
		for _, all := range [][]time.Duration{last, first, between} {
			slices.Sort(all)
		}
		fmt.Fprintf(table, "%s\t%d\t%d", f, times, len(first))
		for _, took := range []time.Duration{percentile(last, 50), percentile(last, 100), percentile(first, 50), percentile(first, 100), percentile(between, 0)} {
			if len(first) == 0 {
				fmt.Fprint(table, "\t–")
				continue
			}
			fmt.Fprintf(table, "\t%d", took.Milliseconds())
		}
		fmt.Fprintf(table, "\t%d\t%d\t%d\t\n", pause.Milliseconds(), underruns, silent)
	}
	_ = table.Flush()
	fmt.Fprintf(w, "\nreceipts of %d listeners: %s (%s)\n", v.listeners, v.total.String(), v.total.marginOf)
	fmt.Fprintf(w, "requests: %d asked, %d acknowledged, %d without an answer; %d in the log\n", v.asked, v.kept, v.unsure, v.logged)
	showBad(w, v.bad())
}
