// Package monitor tells a node's operators how it is doing: /metrics for Prometheus, /healthz for supervisors that
// restart it, and, if wanted, Go's profiles below /debug/pprof/.
//
// Nothing here is in the way of the music: the figures come from the actors' dump, from the log as it
// grows, and from counters that exist anyway. Words of peers never become labels, so peers cannot make the figures
// more.
package monitor
