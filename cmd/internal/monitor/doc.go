// Package monitor tells those who watch over a node how it does: /metrics for Prometheus, /healthz for whoever starts
// it again, and, if wanted, the profiles of Go below /debug/pprof/.
//
// Nothing here is on the way of the music: figures are what the actors say in a dump, what the log tells as it
// grows, and counters that were there before. What peers say never becomes a label, so nobody can make them grow.
package monitor
