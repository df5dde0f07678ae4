package main

import (
	"context"
	"net"
	"time"

	"conga/actors"
	"conga/actors/player"
	"conga/messages"
	"conga/transport"
	"conga/transport/seed"
)

func newSeedDecoder() seed.Decoder { return player.NewDecoder() }

// upstreamPatience is how long a busy relay may take to say who feeds it.
const upstreamPatience = 300 * time.Millisecond

// feedSeeds plays to clients of the seed's kind that come to the listener's relay port, unless a
// pass is asked for: they have none. With a radio, that knows who is above.
func feedSeeds(c *actors.Client, pass func() (transport.Pass, error), radio *seed.Radio) func(context.Context, *transport.Stranger) {
	feeder := &seed.Feeder{
		Open:    func(playAt int64) transport.Cursor { return c.Open(&messages.OpenStream{PlayAtUnixUs: playAt}) },
		Decoder: newSeedDecoder, Now: c.ServerNow, Counters: &transport.Counters{},
		Upstream: func() string {
			ctx, cancel := context.WithTimeout(context.Background(), upstreamPatience)
			defer cancel()
			return c.Upstream(ctx)
		},
	}
	if radio != nil {
		feeder.Upstream = radio.Farewell
	}
	return func(ctx context.Context, client *transport.Stranger) {
		if needed, err := pass(); err == nil && len(needed) == 0 {
			feeder.Feed(ctx, client)
		}
	}
}

// newPorter is the server's door for clients of the seed's kind.
func newPorter(s *actors.Server, requests net.Addr, ports *seed.Ports, sent *transport.Counters, now func() time.Time) *seed.Porter {
	return seed.NewPorter(seed.PorterConfig{Requests: requests, Ports: ports, Feeder: &seed.Feeder{
		Open:    func(playAt int64) transport.Cursor { return s.Open(&messages.OpenStream{PlayAtUnixUs: playAt}) },
		Decoder: newSeedDecoder, Now: func() int64 { return now().UnixMicro() }, Counters: sent,
	}})
}
