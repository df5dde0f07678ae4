package main

import (
	"context"
	"encoding/json"
	"iter"
	"net"
	"os"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/cmd/conga/internal/why"
	"conga/transport"
)

// listenHTTP takes the port of a node's debug answers; nil for off.
func listenHTTP(addr string) (net.Listener, error) {
	if addr == noHTTP {
		return nil, nil
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, cannotListen("--http", addr, err)
	}
	return listener, nil
}

// shownHTTP is the address for the ready line.
func shownHTTP(listener net.Listener) string {
	if listener == nil {
		return noHTTP
	}
	return shown(listener.Addr())
}

// debugAddr is the address for others; empty: there is none.
func debugAddr(listener net.Listener) string {
	if listener == nil {
		return ""
	}
	return advertised(listener.Addr())
}

// hangUp closes what listenHTTP took.
func hangUp(listener net.Listener) error {
	if listener == nil {
		return nil
	}
	return listener.Close()
}

// serveHTTP serves a node's dump and log until ctx ends, even if there is no listener, which
// was made for addr. It closes the listener.
func serveHTTP(ctx context.Context, listener net.Listener, addr string, log *eventlog.Log, dump func(context.Context) (actors.Dump, error)) <-chan error {
	done := make(chan error, 1)
	if listener == nil {
		go func() {
			<-ctx.Done()
			done <- nil
		}()
		return done
	}
	handler := transport.HTTP(func(ctx context.Context) (any, error) { return dump(ctx) }, recent(log), storyOf(log))
	go func() { done <- transport.Serve(ctx, listener, handler, ownNames(listener.Addr(), addr)...) }()
	return done
}

// ownNames are the names under which others may ask a node that listens at addr, as the user
// said it: that name, and this machine's, unless only this machine can ask.
func ownNames(listening net.Addr, addr string) []string {
	if isLoopback(listening.String()) {
		return nil
	}
	host, _, _ := net.SplitHostPort(addr)
	names := []string{host}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	return names
}

// recent is the log for those who ask over HTTP what happened.
func recent(log *eventlog.Log) transport.Events {
	return func(ctx context.Context, since time.Time) iter.Seq2[[]byte, error] {
		return func(yield func([]byte, error) bool) {
			seq, err := log.SeqAt(since)
			if err != nil {
				yield(nil, err)
				return
			}
			for record, err := range log.Since(seq) {
				if err == nil {
					err = ctx.Err()
				}
				var line []byte
				if err == nil {
					line, err = eventlog.EncodeJSON(record)
				}
				if !yield(line, err) || err != nil {
					return
				}
			}
		}
	}
}

// storyOf is what conga why needs of the log.
func storyOf(log *eventlog.Log) transport.Story {
	return func(ctx context.Context, since time.Time, about, song string) ([][]byte, error) {
		events, begins, err := gather(ctx, log, since, about, song)
		if err != nil {
			return nil, err
		}
		head, err := json.Marshal(storyHead{begins, len(events)})
		lines := [][]byte{head}
		for _, r := range events {
			if err != nil {
				return nil, err
			}
			var line []byte
			line, err = eventlog.EncodeJSON(r)
			lines = append(lines, line)
		}
		return lines, err
	}
}

// storyHead is a story's first line.
type storyHead struct {
	Begins time.Time `json:"begins"` // since when the events are all that a story needs
	Events int       `json:"events"` // how many follow
}

// gather reads the log's events since then, and keeps what a story about the name needs. begins is since
// when that is all.
func gather(ctx context.Context, log *eventlog.Log, since time.Time, about, song string) (events []eventlog.Record, begins time.Time, err error) {
	seq, err := log.SeqAt(since)
	if err != nil {
		return nil, begins, err
	}
	begins = since
	if base := log.BaseMark(); base.Seq > 0 && time.UnixMicro(base.Time).After(since) {
		begins = time.UnixMicro(base.Time)
	}
	g := why.NewGatherer(about, song, begins)
	for r, err := range log.Pick(seq, why.Wanted) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, begins, err
		}
		g.Add(r)
	}
	events, begins = g.Gathered()
	return events, begins, nil
}
