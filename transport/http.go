package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"time"

	"conga/messages/plain"
)

// Events yields a node's events since then, each as one line of JSON without a newline.
type Events func(ctx context.Context, since time.Time) iter.Seq2[[]byte, error]

// Story returns what the node's events since then say about a name, which may mean song; if the name is
// empty, about everybody. The result is lines of JSON without a newline, as many as fit into an answer.
type Story func(ctx context.Context, since time.Time, about, song string) ([][]byte, error)

// answerTakes is how long each piece of a long answer may take.
const answerTakes = 30 * time.Second

// recently is how far back /debug/log goes without since.
const recently = 10 * time.Minute

// HTTP returns the handler of a node's debug port:
//
//	GET /                              one line that names the others
//	GET /debug/dump                    dump's value as indented JSON
//	GET /debug/log?since=10m           events as JSON lines, since a duration or an RFC 3339 time
//	GET /debug/story?since=…&about=amy the events that a story about amy needs; one request at a time
func HTTP(dump func(context.Context) (any, error), events Events, story Story) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/dump", answerDump(dump))
	mux.HandleFunc("GET /debug/log", answerLog(events))
	mux.HandleFunc("GET /debug/story", answerStory(story))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "This is a conga node. Everything that it knows: /debug/dump, what happened: /debug/log?since=10m, figures: /metrics, does music flow: /healthz\n")
	})
	return mux
}

func answerDump(dump func(context.Context) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := dump(r.Context())
		var body []byte
		if err == nil {
			body, err = json.MarshalIndent(value, "", "  ")
		}
		if err != nil {
			slog.Warn("dump", "err", err)
			http.Error(w, "The dump could not be made: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(append(plain.JSON(body), '\n')) // a client that has gone misses nothing
	}
}

func answerLog(events Events) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		since, ok := sinceOf(w, r)
		if !ok {
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		n, until := 0, http.NewResponseController(w)
		for line, err := range events(r.Context(), since) {
			if n%1024 == 0 { // a client that keeps reading gets all, however long it takes
				_ = until.SetWriteDeadline(time.Now().Add(answerTakes))
			}
			n++
			if err == nil {
				_, err = w.Write(append(line, '\n'))
			}
			if err != nil {
				if r.Context().Err() == nil {
					slog.Warn("send the log", "err", err)
				}
				panic(http.ErrAbortHandler) // half a log must not look like a whole one
			}
		}
	}
}

func answerStory(story Story) http.HandlerFunc {
	one := make(chan struct{}, 1)
	return func(w http.ResponseWriter, r *http.Request) {
		since, ok := sinceOf(w, r)
		if !ok {
			return
		}
		until := http.NewResponseController(w)
		_ = until.SetWriteDeadline(time.Now().Add(4 * answerTakes))
		select {
		case one <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		lines, err := story(r.Context(), since, r.URL.Query().Get("about"), r.URL.Query().Get("song"))
		<-one
		if err != nil {
			http.Error(w, "The log could not be read: "+err.Error(), http.StatusInternalServerError)
			return
		}
		_ = until.SetWriteDeadline(time.Now().Add(answerTakes))
		w.Header().Set("Content-Type", "application/x-ndjson")
		for _, line := range lines {
			if _, err := w.Write(append(line, '\n')); err != nil {
				return // the half line shows that the answer is incomplete
			}
		}
	}
}

// sinceOf reads since when the events are wanted. If ok is false, the request was refused.
func sinceOf(w http.ResponseWriter, r *http.Request) (since time.Time, ok bool) {
	since, err := sinceWhen(r.URL.Query().Get("since"), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return since, err == nil
}

// sinceWhen reads a duration ("10m" is ten minutes before now) or an RFC 3339 time.
func sinceWhen(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now.Add(-recently), nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, fmt.Errorf("since=%q is neither a duration like 10m nor a time like %s", text, time.RFC3339)
	}
	return at, nil
}

// Serve answers HTTP on the listener, which it closes, until ctx ends; then running requests have a second
// left. It returns nil when ctx ended it. The Host of a request must be an address, localhost or one of the
// names; requests from web pages of other sites are refused.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, names ...string) error {
	server := &http.Server{
		Handler:           ownOnly(listener.Addr(), names, handler),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(listener)
	if !stop() {
		<-closed
	}
	if ctx.Err() != nil && errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve HTTP at %s: %w", listener.Addr(), err)
}
