package monitor

import (
	"context"
	"net/http"
	"net/http/pprof"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/transport"
)

const (
	// lookPatience is how long a busy node may take to tell its state.
	lookPatience = 3 * time.Second
	// scrapes is how many clients may read the figures at once.
	scrapes = 4
	// longestProfile is how long a profile may take.
	longestProfile = 5 * time.Minute
)

// Node is what is watched.
type Node struct {
	Dump func(context.Context) (actors.Dump, error)
	Log  *eventlog.Log
	Sent *transport.Counters
	Disk *Disk // below the log; nil: no actor waits for a disk
	// Ahead is how much music there is beyond what is heard now; negative: no music flows.
	Ahead func() time.Duration
	// Away is why nothing is broadcast, according to the server; empty: it gives no reason.
	Away func() string
}

// Watch returns the handler for a node. It follows the node's log until ctx ends or the log is closed.
func (n Node) Watch(ctx context.Context, profiles bool) http.Handler {
	all := prometheus.NewRegistry()
	told := newTold(n.Log)
	all.MustRegister(build(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), told, &looks{node: n})
	if n.Disk != nil {
		all.MustRegister(n.Disk)
	}
	go told.follow(ctx)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(all, promhttp.HandlerOpts{MaxRequestsInFlight: scrapes}))
	mux.HandleFunc("GET /healthz", n.health)
	if profiles {
		mux.Handle("GET /debug/pprof/", unhurried(pprof.Index))
		mux.Handle("GET /debug/pprof/cmdline", unhurried(pprof.Cmdline))
		mux.Handle("GET /debug/pprof/profile", unhurried(pprof.Profile))
		mux.Handle("GET /debug/pprof/symbol", unhurried(pprof.Symbol))
		mux.Handle("GET /debug/pprof/trace", unhurried(pprof.Trace))
	}
	return mux
}

// unhurried gives a profile more time than other answers, as long as it was asked to last.
func unhurried(profile http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(longestProfile))
		ctx := context.WithValue(r.Context(), http.ServerContextKey, &http.Server{WriteTimeout: longestProfile, ReadHeaderTimeout: time.Second})
		profile(w, r.WithContext(ctx))
	})
}

// build tells the program's version.
func build() prometheus.Collector {
	version, revision, goes := "unknown", "unknown", "unknown"
	if info, is := debug.ReadBuildInfo(); is {
		version, goes = info.Main.Version, info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	is := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "conga_build_info", Help: "Always 1. The labels say which program this is.",
	}, []string{"version", "revision", "goversion"})
	is.WithLabelValues(version, revision, goes).Set(1)
	return is
}
