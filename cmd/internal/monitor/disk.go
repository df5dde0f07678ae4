package monitor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"conga/actors/eventlog"
)

// Disk measures how the disk below a log is doing.
type Disk struct {
	writes  prometheus.Histogram
	trouble prometheus.Counter
	state   *prometheus.GaugeVec
}

// diskStates are the states by their names.
var diskStates = map[eventlog.DiskState]string{eventlog.DiskFine: "fine", eventlog.DiskFull: "full", eventlog.DiskAway: "away"}

// NewDisk is a disk that is fine.
func NewDisk() *Disk {
	d := &Disk{
		writes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "conga_log_write_seconds", Help: "How long a write into the log took, with the sync of its disk.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
		}),
		trouble: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "conga_disk_trouble_total", Help: "Times that the log's disk became full or could not be written.",
		}),
		state: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "conga_disk_state", Help: "How the log's disk does: 1 for its state, 0 for the others.",
		}, []string{"state"}),
	}
	d.become(eventlog.DiskFine)
	return d
}

// Wrote takes how long a write took.
func (d *Disk) Wrote(took time.Duration) { d.writes.Observe(took.Seconds()) }

// Told takes a change of the state.
func (d *Disk) Told(state eventlog.DiskState) {
	if state != eventlog.DiskFine {
		d.trouble.Inc()
	}
	d.become(state)
}

func (d *Disk) become(now eventlog.DiskState) {
	for state, name := range diskStates {
		d.state.WithLabelValues(name).Set(truth(state == now))
	}
}

// Describe describes the three figures.
func (d *Disk) Describe(ch chan<- *prometheus.Desc) {
	d.writes.Describe(ch)
	d.trouble.Describe(ch)
	d.state.Describe(ch)
}

// Collect collects them.
func (d *Disk) Collect(ch chan<- prometheus.Metric) {
	d.writes.Collect(ch)
	d.trouble.Collect(ch)
	d.state.Collect(ch)
}
