package main

import (
	"context"
	"iter"
	"net"
	"os"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
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
	handler := transport.HTTP(func(ctx context.Context) (any, error) { return dump(ctx) }, recent(log))
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
