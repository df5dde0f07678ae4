package node

import (
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/export"
	"conga/cmd/internal/address"
	"conga/cmd/internal/monitor"
	"conga/cmd/internal/why"
	"conga/transport"
	"conga/transport/web"
)

// NoHTTP is the address of a node without a debug port.
const NoHTTP = "off"

// Debug is the port at which a node tells what it knows; with NoHTTP there is none.
type Debug struct {
	Profiles bool // it also answers with Go's profiles

	listener net.Listener // nil: there is none
	addr     string       // as the user typed it
}

// ListenDebug opens the port.
func ListenDebug(addr string) (*Debug, error) {
	if addr == NoHTTP {
		return &Debug{}, nil
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, address.CannotListen("--http", addr, err)
	}
	return &Debug{listener: listener, addr: addr}, nil
}

// String is the address for the ready line. It shows also that the port is open to others.
func (d *Debug) String() string {
	if d.listener == nil {
		return NoHTTP
	}
	return d.listener.Addr().String()
}

// WarnOpen warns if other machines can read what the node knows.
func (d *Debug) WarnOpen(logger *slog.Logger) {
	if d.listener == nil || address.IsLoopback(d.listener.Addr().String()) {
		return
	}
	_, port, _ := net.SplitHostPort(d.listener.Addr().String())
	logger.Warn("everyone who can reach the debug port can read this node's dump and log: --http 127.0.0.1:"+port+" lets only this machine", "http", d)
}

// Advertised is the address for others; empty: there is none.
func (d *Debug) Advertised() string {
	if d.listener == nil {
		return ""
	}
	return address.Advertised(d.listener.Addr())
}

// Close gives back a port that is not served.
func (d *Debug) Close() error {
	if d.listener == nil {
		return nil
	}
	return d.listener.Close()
}

// Serve serves what the node knows, how it is doing, and its music. When ctx ends it closes the port.
func (d *Debug) Serve(ctx context.Context, music *web.Music, n monitor.Node) <-chan error {
	done := make(chan error, 1)
	go func() {
		if d.listener == nil {
			<-ctx.Done()
			done <- nil
			return
		}
		handler := http.NewServeMux()
		handler.Handle("/", transport.HTTP(func(ctx context.Context) (any, error) { return n.Dump(ctx) }, recent(n.Log), storyOf(n.Log)))
		watch := n.Watch(ctx, d.Profiles)
		for _, path := range []string{"/metrics", "/healthz", "/debug/pprof/"} {
			handler.Handle(path, watch)
		}
		if music != nil {
			music.On(handler)
		}
		done <- transport.Serve(ctx, d.listener, handler, ownNames(d.listener.Addr(), d.addr)...)
	}()
	return done
}

// ownNames are the names under which others may ask a node that listens at addr, which is as the user
// typed it: that name, and this machine's, unless only this machine can ask.
func ownNames(listening net.Addr, addr string) []string {
	if address.IsLoopback(listening.String()) {
		return nil
	}
	host, _, _ := net.SplitHostPort(addr)
	names := []string{host}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	return names
}

// recent is the log for those who ask over HTTP for events.
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
					line, err = export.EncodeJSON(record)
				}
				if !yield(line, err) || err != nil {
					return
				}
			}
		}
	}
}

// storyOf gathers from the log what conga why needs.
func storyOf(log *eventlog.Log) transport.Story {
	return func(ctx context.Context, since time.Time, about, song string) ([][]byte, error) {
		events, begins, err := why.Gather(ctx, log, since, about, song)
		if err != nil {
			return nil, err
		}
		head, err := json.Marshal(why.Head{Begins: begins, Events: len(events)})
		lines := [][]byte{head}
		for _, r := range events {
			if err != nil {
				return nil, err
			}
			var line []byte
			line, err = export.EncodeJSON(r)
			lines = append(lines, line)
		}
		return lines, err
	}
}
