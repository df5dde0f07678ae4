package node

import (
	"context"
	"errors"
	"time"

	"conga/actors"
	"conga/actors/player"
	"conga/messages"
	"conga/transport"
	"conga/transport/seed"
)

func newSeedDecoder() seed.Decoder { return player.NewDecoder() }

// upstreamPatience is how long a busy relay may take to name its upstream.
const upstreamPatience = 300 * time.Millisecond

// seedFeeder feeds clients of 2016 from the listener.
func seedFeeder(c *actors.Client) *seed.Feeder {
	return &seed.Feeder{
		Open:    func(playAt int64) transport.Cursor { return c.Open(&messages.OpenStream{PlayAtUnixUs: playAt}) },
		Decoder: newSeedDecoder, Now: c.ServerNow, Counters: &transport.Counters{},
		Upstream: func(expected bool) []string {
			if !expected { // the chain does not expect the client at this node, so it goes back to the server
				return []string{c.ServerStream()}
			}
			ctx, cancel := context.WithTimeout(context.Background(), upstreamPatience)
			defer cancel()
			return []string{c.Upstream(ctx), c.ServerStream()}
		},
	}
}

// errOtherChain refuses natives that come to a listener in the chain of a server of 2016: its
// music has no seals, and its numbers are its own.
var errOtherChain = errors.New("this node is in the chain of a server of 2016: join that server with --seed-dialect")

// newPorter is the server's door for clients of 2016.
func newPorter(s *actors.Server, ports *seed.Ports, most int, sent *transport.Counters, now func() time.Time) *seed.Porter {
	return seed.NewPorter(seed.PorterConfig{
		Ports: ports, Max: most,
		Feeder: &seed.Feeder{
			Open:    func(playAt int64) transport.Cursor { return s.Open(&messages.OpenStream{PlayAtUnixUs: playAt}) },
			Decoder: newSeedDecoder, Now: func() int64 { return now().UnixMicro() }, Slack: s.Slack, Counters: sent,
		},
		Above: s.SeedFeeder, CutOff: s.SeedCutOff, Before: s.SeedsBefore(),
		Speak: func(in *transport.StandIn) { s.TellRequests(in) },
	})
}
