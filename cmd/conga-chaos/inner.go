package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/player"
	"conga/actors/relay"
	"conga/cmd/internal/node"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

// inner is a listener in this process, with its own wire.
type inner struct {
	wire *wire
	node *node.Listener
	gone sync.Once
	left error
}

func startInner(ctx context.Context, n network, system *actor.ActorSystem, server, name string, logger *slog.Logger) (*inner, error) {
	output, err := player.ParseOutput("none")
	if err != nil {
		return nil, err
	}
	w := newWire(n)
	node, err := node.StartListener(ctx, node.ListenerOptions{
		Server: server, Name: name, Listen: n.addr + ":0", Output: output, Logger: logger, System: system,
		Feed: n.feed, News: func(*messages.Playing) {}, Dial: w.dial, Bind: w.bind,
	})
	if err != nil {
		w.cut()
		return nil, err
	}
	return &inner{wire: w, node: node}, nil
}

func (v *inner) fall()      { v.wire.fall() }
func (v *inner) kill()      { v.wire.die() }
func (v *inner) freeze()    { v.wire.freeze() }
func (v *inner) thaw()      { v.wire.thaw() }
func (v *inner) end() error { v.gone.Do(func() { v.left = v.node.Leave() }); return v.left }

func (v *inner) close() {
	v.wire.cut()
	v.gone.Do(func() {
		v.node.Client.Stop()
		v.left = v.node.Log.Close()
	})
}

func (v *inner) receipt(ctx context.Context) (actors.Receipt, error) {
	return v.node.Client.Receipt(ctx)
}

func (v *inner) hears(ctx context.Context) (hearing, error) {
	receipt, err := v.node.Client.Receipt(ctx)
	if err != nil {
		return hearing{}, err
	}
	dump, err := v.node.Client.Dump(ctx)
	live, _ := dump.Live[relay.Actor].(relay.Live)
	return hearing{receipt, live.Upstream}, err
}

func (v *inner) searches() []search { return searchesIn(v.node.Log) }

func searchesIn(log *eventlog.Log) []search {
	var all []search
	lost := ""
	for record, err := range log.Since(0) {
		if err != nil {
			break // its log is closed
		}
		switch event := record.Event.(type) {
		case *messages.UpstreamLost:
			lost = event.GetNode().GetName()
		case *messages.UpstreamConnected:
			if took := time.Duration(event.GetSearchUs()) * time.Microsecond; took > 0 && lost != "" {
				all = append(all, search{lost, record.Time.Add(-took), took})
			}
			lost = ""
		}
	}
	return all
}
