package simulate

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Load is what a server sends, as a run shows.
type Load struct {
	Stream  float64 // kbit/s for each listener that it feeds
	Control float64 // kbit/s for each listener in the chain, with the headers of TLS, TCP and IP
}

// Load returns it.
func (f Figures) Load() Load {
	return Load{f.ServerUpload / max(1, f.ServerStreams), f.ServerSays / max(1, f.Listeners)}
}

// Carries returns how many listeners an uplink carries, in kbit/s, that feeds so many of them; 0: not even these.
func (l Load) Carries(uplink, streams int) int {
	left := float64(uplink) - float64(streams)*l.Stream
	if left < float64(streams)*l.Control {
		return 0
	}
	return int(left / l.Control)
}

// icecast is how much Icecast sends for each listener, in parts of the music (conga-bench measures it: 130.6 kbit/s at 128).
const icecast = 1.02

// ShowUplinks tells a host what his uplink carries, beside Icecast's listeners, who are all fed by the server. It counts
// bytes; how many listeners hear well behind so many streams, the runs show.
func ShowUplinks(w io.Writer, f Figures) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	l := f.Load()
	fmt.Fprintf(w, "\nWhat an uplink carries: %.1f kbit/s a stream, %.2f kbit/s of control a listener\n", l.Stream, l.Control)
	fmt.Fprintln(table, "kbit/s\tIcecast\tconga, 1 stream\t2 streams\t4 streams\t")
	for _, uplink := range []int{200, 500, 1000, 2000, 5000, 10_000, 50_000, 100_000} {
		fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t\n", uplink, int(float64(uplink)/(icecast*float64(f.Plan.Bitrate))),
			l.Carries(uplink, 1), l.Carries(uplink, 2), l.Carries(uplink, 4))
	}
	_ = table.Flush()
}
