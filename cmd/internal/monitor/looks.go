package monitor

import (
	"context"
	"iter"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"conga/actors"
	"conga/actors/chainmanager"
	"conga/actors/lease"
	"conga/actors/pacer"
	"conga/actors/player"
	"conga/actors/relay"
	"conga/actors/requester"
	"conga/cmd/internal/songstore"
)

// look is a node at one moment. Some fields are only for its kind.
type look struct {
	Node
	state  *actors.ServerState // nil: the node is a listener
	pacer  pacer.Live
	chain  chainmanager.Live
	relay  relay.Live
	player player.Live
	asks   requester.Live
	lease  lease.Live      // of one of several servers
	songs  *songstore.Live // of such a server; nil: nobody knows yet
	bytes  int64           // of the log
}

// figure is one metric, taken from a look.
type figure struct {
	name, help string
	kind       prometheus.ValueType
	of         func(look) float64
	label      string // if the metric has several values
	each       func(look) iter.Seq2[string, int64]
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// anyNode, aServer and aListener are the figures of each kind of node.
var (
	anyNode = []figure{
		{name: "music_ahead_seconds", help: "Music that the node has beyond what is heard now; 0 or less: no music flows.", kind: gauge, of: func(l look) float64 { return l.Ahead().Seconds() }},
		{name: "items_sent_total", help: "Items that were sent to the next listeners.", kind: counter, of: func(l look) float64 { return float64(l.Sent.Chunks.Load()) }},
		{name: "sent_bytes_total", help: "Bytes that were sent to the next listeners.", kind: counter, of: func(l look) float64 { return float64(l.Sent.Bytes.Load()) }},
		{name: "connections_cut_total", help: "Connections that were cut because their peer did not read.", kind: counter, of: func(l look) float64 { return float64(l.Sent.Cut.Load()) }},
		{name: "refused_total", help: "Connections and listeners that were refused or had to go, by reason.", kind: counter, label: "reason", each: refused},
		{name: "log_bytes", help: "Size of the event log.", kind: gauge, of: func(l look) float64 { return float64(l.bytes) }},
	}
	aServer = []figure{
		{name: "listeners", help: "Listeners in the chain.", kind: gauge, of: func(l look) float64 { return float64(l.state.ChainManager.Chain.Len()) }},
		{name: "queue_length", help: "Requests that wait.", kind: gauge, of: func(l look) float64 { return float64(len(l.state.Scheduler.Queue)) }},
		{name: "requests_total", help: "Requests for a song, by result.", kind: counter, label: "result", each: requested},
		{name: "songs", help: "Songs in the folder.", kind: gauge, of: func(l look) float64 { return float64(l.state.Catalog.Songs.Len()) }},
		{name: "songs_rejected", help: "Files in the folder that cannot be played.", kind: gauge, of: func(l look) float64 { return float64(l.state.Catalog.Rejected.Len()) }},
		{name: "songs_away", help: "1 if the folder cannot be read or is empty.", kind: gauge, of: func(l look) float64 { return truth(l.state.Catalog.Away != "") }},
		{name: "items_given_out_total", help: "Number of the newest item, through all songs and restarts.", kind: counter, of: func(l look) float64 { return float64(max(l.pacer.Next, 1) - 1) }},
		{name: "slack_seconds", help: "How long before it is heard the music is sent now.", kind: gauge, of: func(l look) float64 { return float64(l.pacer.SlackMs) / 1e3 }},
		{name: "reports_dropped_total", help: "Reports of listeners that say too much.", kind: counter, of: func(l look) float64 { return float64(l.chain.DroppedReports) }},
		{name: "audits_running", help: "Listeners that the server looks at now.", kind: gauge, of: func(l look) float64 { return float64(l.chain.Audits) }},
	}
	// aMember are those of one of several servers of a radio.
	aMember = []figure{
		{name: "leads", help: "1 if this server leads, 0 if it stands by.", kind: gauge, of: func(l look) float64 { return truth(l.lease.Leads) }},
		{name: "songs_lacking", help: "Songs of the radio that this server could not play; while it leads: those that it has lacked since it took over. NaN: not known yet.", kind: gauge, of: lacking},
		{name: "lead_start_time_seconds", help: "When the server that leads began to, in seconds since 1970; 0: none leads, or that is not known.", kind: gauge, of: func(l look) float64 { return startOf(l.lease.Since) }},
	}
	aListener = []figure{
		{name: "items_received_total", help: "Items that arrived.", kind: counter, of: func(l look) float64 { return float64(l.relay.Received) }},
		{name: "items_lost_total", help: "Items that nobody above could give.", kind: counter, of: func(l look) float64 { return float64(l.relay.Lost) }},
		{name: "items_unproved_total", help: "Items without the server's signature.", kind: counter, of: func(l look) float64 { return float64(l.relay.Unproved) }},
		{name: "lies_total", help: "Upstreams that were cut for what they sent.", kind: counter, of: func(l look) float64 { return float64(l.relay.Lies) }},
		{name: "splices_total", help: "Changes of the upstream.", kind: counter, of: func(l look) float64 { return float64(l.relay.Splices) }},
		{name: "downstreams", help: "Listeners that this one feeds.", kind: gauge, of: func(l look) float64 { return float64(len(l.relay.Downstream)) }},
		{name: "underruns_total", help: "Times that there was nothing to play when it was due.", kind: counter, of: func(l look) float64 { return float64(l.player.Underruns) }},
		{name: "silence_seconds_total", help: "Silence in the middle of music.", kind: counter, of: func(l look) float64 { return float64(l.player.SilentMs) / 1e3 }},
		{name: "sound", help: "1 if what is played can be heard.", kind: gauge, of: func(l look) float64 { return truth(l.player.Silenced == "") }},
		{name: "late_seconds", help: "What is heard is this much too late; less than 0: too early.", kind: gauge, of: func(l look) float64 { return float64(l.player.ErrorUs) / 1e6 }},
		{name: "moves_total", help: "Times that the sound was moved to be in time again: in a crossfade (step), or with a cut.", kind: counter, label: "kind", each: moves},
		{name: "clock_error_seconds", help: "How wrong the listener's idea of the server's clock probably is.", kind: gauge, of: func(l look) float64 { return l.asks.ClockErrorMs / 1e3 }},
		{name: "clock_bound_seconds", help: "How wrong it is at most.", kind: gauge, of: func(l look) float64 { return l.asks.ClockBoundMs / 1e3 }},
		{name: "server_connected", help: "1 if the server answers.", kind: gauge, of: func(l look) float64 { return truth(l.asks.Connected) }},
		{name: "round_trip_seconds", help: "To the server and back.", kind: gauge, of: func(l look) float64 { return l.asks.RoundTripMs / 1e3 }},
	}
)

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func lacking(l look) float64 {
	if l.songs == nil {
		return math.NaN()
	}
	return float64(l.songs.Lacks)
}

func startOf(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixMicro()) / 1e6
}

func moves(l look) iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		_ = yield("step", int64(l.player.Steps)) && yield("cut", int64(l.player.Jumps))
	}
}

func refused(l look) iter.Seq2[string, int64]   { return l.Sent.Refused() }
func requested(l look) iter.Seq2[string, int64] { return l.Sent.Requested() }

func (f figure) desc() *prometheus.Desc {
	var labels []string
	if f.label != "" {
		labels = []string{f.label}
	}
	return prometheus.NewDesc("conga_"+f.name, f.help, labels, nil)
}

// looks asks the node for a look at each scrape.
type looks struct {
	node Node
	size size
}

// Describe says nothing, because only a look says which kind of node it is.
func (*looks) Describe(chan<- *prometheus.Desc) {}

// Collect leaves out everything while the node is busy or restarts an actor.
func (l *looks) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lookPatience)
	defer cancel()
	dump, err := l.node.Dump(ctx)
	if err != nil {
		return
	}
	now := look{Node: l.node, bytes: l.size.of(l.node.Log.Size)}
	figures := aListener
	if state, is := dump.State.(actors.ServerState); is {
		now.state, figures = &state, aServer
	}
	if in, is := dump.Live[lease.Actor].(lease.Live); is {
		now.lease, figures = in, slices.Concat(figures, aMember)
		if songs, known := dump.Live[songstore.DumpName].(songstore.Live); known {
			now.songs = &songs
		}
	}
	now.pacer, _ = dump.Live["pacer"].(pacer.Live)
	now.chain, _ = dump.Live["chainManager"].(chainmanager.Live)
	now.relay, _ = dump.Live["relay"].(relay.Live)
	now.player, _ = dump.Live["player"].(player.Live)
	now.asks, _ = dump.Live["requester"].(requester.Live)
	for _, f := range append(figures[:len(figures):len(figures)], anyNode...) {
		if f.each == nil {
			ch <- prometheus.MustNewConstMetric(f.desc(), f.kind, f.of(now))
			continue
		}
		for label, value := range f.each(now) {
			ch <- prometheus.MustNewConstMetric(f.desc(), f.kind, float64(value), label)
		}
	}
}

// sizePatience is how long a disk may take to say how long the log is.
const sizePatience = 100 * time.Millisecond

// size is the last known size of a log. A disk that hangs holds up nobody.
type size struct {
	mu    sync.Mutex
	known int64
	look  chan struct{} // closed when the look at the disk ends; nil: no look is under way
}

func (s *size) of(ask func() (int64, error)) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.look == nil {
		look := make(chan struct{})
		s.look = look
		go func() {
			bytes, err := ask()
			s.mu.Lock()
			defer s.mu.Unlock()
			if err == nil {
				s.known = bytes
			}
			s.look = nil
			close(look)
		}()
	}
	look := s.look
	s.mu.Unlock()
	select {
	case <-look:
	case <-time.After(sizePatience):
	}
	s.mu.Lock()
	return s.known
}
