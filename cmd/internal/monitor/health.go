package monitor

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"conga/actors"
)

// health answers 200 while music flows, or if a restart would change nothing; else 503 and why.
func (n Node) health(w http.ResponseWriter, r *http.Request) {
	code, text := http.StatusOK, "music flows"
	if !n.flows() {
		ctx, cancel := context.WithTimeout(r.Context(), lookPatience)
		defer cancel()
		dump, err := n.Dump(ctx)
		code, text = judge(dump, err, n.Away(), n.Ahead())
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, text)
}

func (n Node) flows() bool { return n.Ahead() > 0 }

// judge says how healthy a node is. If its silence has a cause elsewhere, a restart would not help, so it counts as
// healthy.
func judge(dump actors.Dump, err error, away string, ahead time.Duration) (code int, text string) {
	state, isServer := dump.State.(actors.ServerState)
	switch {
	case err != nil:
		return http.StatusServiceUnavailable, err.Error()
	case isServer && state.Catalog.Away != "":
		return http.StatusOK, "no music: " + state.Catalog.Away
	case isServer && state.Catalog.Songs.Len() == 0:
		return http.StatusOK, "no music: there are no songs in the folder"
	case away != "":
		return http.StatusOK, "no music: the server says: " + away
	}
	return http.StatusServiceUnavailable, fmt.Sprintf("no music for %v", (-ahead).Round(time.Second))
}
