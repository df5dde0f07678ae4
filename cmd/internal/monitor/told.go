package monitor

import (
	"context"
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"conga/actors/eventlog"
	"conga/messages"
)

// searchBuckets are for the time in which nobody fed a listener, in seconds. messages.Slack is two.
var searchBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5}

// told counts events of the log, from the node's start on.
type told struct {
	log  *eventlog.Log
	from uint64 // number of the last event before the start

	events, joined, returned, repairs, silences, missing, songs, broken prometheus.Counter
	left, audits                                                        *prometheus.CounterVec
	searches                                                            prometheus.Histogram
}

func newTold(log *eventlog.Log) *told {
	count := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "conga_" + name, Help: help})
	}
	by := func(name, help, label string, values ...string) *prometheus.CounterVec {
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "conga_" + name, Help: help}, []string{label})
		for _, value := range values { // so that each counter exists from the beginning
			vec.WithLabelValues(value)
		}
		return vec
	}
	return &told{
		log: log, from: log.Last(),
		events:   count("log_events_total", "Events that were written into the log since the start."),
		joined:   count("listeners_joined_total", "Listeners that came into the chain."),
		returned: count("listeners_returned_total", "Listeners that came back after the server's restart."),
		left:     by("listeners_left_total", "Listeners that left the chain, by cause.", "cause", names(messages.ListenerLeft_Cause(0).Descriptor())...),
		repairs:  count("chain_repairs_total", "Splices of the chain around nodes that were lost."),
		searches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "conga_splice_seconds", Help: "How long a listener looked for another upstream, as it says itself.", Buckets: searchBuckets,
		}),
		silences: count("underruns_reported_total", "Listeners that fell silent before another upstream was found, as they say themselves."),
		missing:  count("items_missing_total", "Items that nobody above a listener could give, as listeners say themselves."),
		songs:    count("songs_started_total", "Songs that began."),
		broken:   count("songs_broken_off_total", "Songs that broke off."),
		audits:   by("audits_total", "Times that the server looked at what a listener sends, by what it found.", "result", "sound", "fault"),
	}
}

// names turns the values of an enum into labels: REASON_NO_SUCH_SONG becomes no_such_song.
func names(of protoreflect.EnumDescriptor) (all []string) {
	for i := range of.Values().Len() {
		all = append(all, label(of, protoreflect.EnumNumber(i)))
	}
	return all
}

// label is the label for a value of an enum. All values that this program does not know have the same label.
func label(of protoreflect.EnumDescriptor, n protoreflect.EnumNumber) string {
	value := of.Values().ByNumber(n)
	if value == nil {
		return "unspecified"
	}
	_, name, _ := strings.Cut(string(value.Name()), "_")
	return strings.ToLower(name)
}

func (t *told) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		t.events, t.joined, t.returned, t.left, t.repairs, t.searches, t.silences, t.missing, t.songs, t.broken, t.audits,
	}
}

// Describe describes the counters.
func (t *told) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range t.collectors() {
		c.Describe(ch)
	}
}

// Collect collects them.
func (t *told) Collect(ch chan<- prometheus.Metric) {
	for _, c := range t.collectors() {
		c.Collect(ch)
	}
}

// follow counts until ctx ends or the log is closed. It does not count events that were folded before it read them.
func (t *told) follow(ctx context.Context) {
	for ctx.Err() == nil {
		for record, err := range t.log.Watch(ctx, t.from) {
			if errors.Is(err, eventlog.ErrClosed) {
				return
			}
			if err != nil { // events that were folded or cannot be read are not counted
				t.from = t.log.Last()
				break
			}
			t.count(record.Event)
			t.from = record.Seq
		}
	}
}

func (t *told) count(e proto.Message) {
	t.events.Inc()
	switch e := e.(type) {
	case *messages.ListenerJoined:
		t.joined.Inc()
	case *messages.ListenerReturned:
		t.returned.Inc()
	case *messages.ListenerLeft:
		t.left.WithLabelValues(label(e.GetCause().Descriptor(), e.GetCause().Number())).Inc()
	case *messages.ChainSpliced:
		if len(e.GetAround()) > 0 {
			t.repairs.Inc()
		}
	case *messages.ListenerReconnected: // the server's
		t.search(e.GetSearchUs(), e.GetMissing())
		if e.GetBufferedUs() <= 0 {
			t.silences.Inc()
		}
	case *messages.UpstreamConnected: // the listener's own
		if e.GetSearchUs() > 0 {
			t.search(e.GetSearchUs(), e.GetMissing())
		}
	case *messages.SongStarted:
		t.songs.Inc()
	case *messages.SongEnded:
		if e.GetReason() != "" {
			t.broken.Inc()
		}
	case *messages.ListenerAudited:
		found := "sound"
		if e.GetFault() != messages.Fault_FAULT_UNSPECIFIED {
			found = "fault"
		}
		t.audits.WithLabelValues(found).Inc()
	}
}

func (t *told) search(us int64, missing uint64) {
	t.searches.Observe(float64(max(us, 0)) / 1e6)
	t.missing.Add(float64(missing))
}
