package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/player"
	"conga/messages"
	"conga/transport"
	"conga/transport/seed"

	"github.com/asynkron/protoactor-go/actor"
)

// Listener is a listener with its port, as join and demo run it.
type Listener struct {
	Client *actors.Client
	relay  net.Listener
	Log    *eventlog.Log
	radio  *seed.Radio // nil: the server is native
}

type ListenerOptions struct {
	Server string // host:port of its requests
	Name   string
	Listen string
	// Advertise is where others reach listen; empty: as the server sees this machine.
	Advertise string
	Output    player.Output
	Unheard   func(reason string) // takes why output does not play; nil: logger
	Log       *eventlog.Log
	Identity  *transport.Identity // nil: a new one
	HTTP      string              // host:port of its debug answers; empty: none
	News      func(*messages.Playing)
	Logger    *slog.Logger
	// System is for many nodes in one process, and outlives them; nil: one of its own. An
	// actor system alone costs some 5 ms and megabytes.
	System *actor.ActorSystem

	Radio *seed.Radio // a server of the seed's kind, instead of a native one; listen is its port

	Token string  // the server's; empty: none
	Keys  Keyring // which key the server must have

	// Line is the way to the server, if it was used before; nil: by dial.
	Line *transport.Line
	// Dial and bind are the node's network; nil: this machine's.
	Dial transport.DialFunc
	Bind func(addr string) (net.Listener, error)
}

// joinPatience is how long a server that can be reached may take to answer the first Hello: it may
// be found by its name once more meanwhile, and tries this node's port.
const joinPatience = 20 * time.Second

// StartListener joins the chain, or says why it cannot. It takes log over.
func StartListener(ctx context.Context, o ListenerOptions) (*Listener, error) {
	stream, err := streamOf(o.Server)
	if err != nil {
		return nil, errors.Join(err, o.Log.Close())
	}
	line, bind := o.Line, o.Bind
	if line == nil {
		line = transport.NewLine(o.Server, o.Dial)
	}
	if bind == nil {
		bind = func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
	}
	// Once up and running it looks for its server for ever; but a wrong address should
	// be known at once.
	if o.Radio == nil {
		conn, err := line.Server(ctx, o.Server)
		if err != nil {
			return nil, errors.Join(nobodyAt(o.Server, err), o.Log.Close())
		}
		_ = conn.Close()
	}
	relay, err := bind(o.Listen)
	if err != nil {
		return nil, errors.Join(cannotListen("--listen", o.Listen, err), o.Log.Close())
	}
	n := &Listener{relay: relay, Log: o.Log, radio: o.Radio}
	joined := make(chan error, 1)
	answer := func(err error) {
		select {
		case joined <- err:
		default: // only the first answer decides whether it starts
		}
	}
	if o.Identity == nil {
		o.Identity = transport.NewIdentity()
	}
	member := transport.NewMembership(o.Identity, o.Token, &trust{keys: o.Keys, logger: o.Logger, distrust: answer})
	upstream, requests := line.Node, transport.RequestLinkConfig{Addr: o.Server, Dial: line.Server, Member: member}
	requests.Proved = func(err error) {
		line.Proved(err == nil)
		if errors.Is(err, transport.ErrPlainWords) { // it will not learn it while we wait
			answer(fmt.Errorf("%s is not the request port of a conga server: %w; join the address that the server's ready line shows as requests=HOST:PORT", o.Server, transport.ErrPlainWords))
		}
	}
	var chunk func([]byte) error
	var samples func(*messages.Item) []int16
	if o.Radio != nil { // it speaks for a server that knows nothing of keys
		o.Radio.Listening()
		upstream, requests = o.Radio.Stream, transport.RequestLinkConfig{Addr: o.Server, Dial: o.Radio.Requests}
		chunk, samples = seed.CheckSound, seed.Sound{}.Samples
	}
	behind := &seed.Behind{}
	var now func() int64 // the server's clock
	above := func(link uint64, open *messages.OpenStream, to transport.UpstreamConfig) *actor.Props {
		to.Link, to.Open, to.Identity, to.Pass, to.Now = link, open, o.Identity, member.Pass, now
		to.Silence = line.Patience(messages.SilenceIsDeath)
		return transport.Upstream(to)
	}
	system := o.System
	if system == nil {
		system = NewSystem(o.Logger)
	}
	n.Client, err = actors.StartClient(actors.ClientConfig{
		System: system, Shared: o.System != nil, Log: o.Log, Stream: stream, Output: o.Output, Unheard: o.Unheard, Logger: o.Logger,
		News: o.News, Chunk: chunk, Samples: samples, Seeds: behind.Set,
		Node: &messages.Node{
			Id: o.Identity.ID(), Name: o.Name, Http: o.HTTP,
			Relay: cmp.Or(o.Advertise, advertised(relay.Addr())),
		},
		Server: o.Server,
		Streams: func(c *actors.Client) *actor.Props {
			now = c.ServerNow
			feeder := seedFeeder(c)
			behind.Feeder, behind.CutOff = feeder, c.CutOff
			seeds := behind.Stream
			if o.Radio != nil {
				feeder.Decoder, feeder.Upstream = func() seed.Decoder { return seed.Sound{} }, o.Radio.Farewell
				seeds = feeder.Stream
			}
			return transport.Streams(transport.StreamsConfig{
				Listener: relay, Owner: c.Relay(), Self: c.Node, Epoch: c.Epoch, Newest: c.Newest, Offered: c.Offer, Dial: line.Node,
				Identity: o.Identity, Expected: member.Expected(),
				Pass: member.Pass, ServerNow: c.ServerNow, Seed: seeds,
				Open: func(open *messages.OpenStream) (transport.Cursor, error) {
					switch {
					case o.Radio != nil:
						return nil, errOtherChain
					case open.GetNode().GetId() == c.Node().GetId():
						return nil, errors.New("this is you")
					}
					return c.Open(open), nil
				},
			})
		},
		Upstream: func(link uint64, addr string, open *messages.OpenStream) *actor.Props {
			return above(link, open, transport.UpstreamConfig{Addr: addr, Dial: upstream})
		},
		Offered: func(link uint64, conn net.Conn, open *messages.OpenStream) *actor.Props {
			return above(link, open, transport.UpstreamConfig{Conn: conn})
		},
		Requests: func(link uint64) *actor.Props {
			requests.Link = link
			return transport.RequestLink(requests)
		},
		Joined: func(_ *messages.Welcome, refused *messages.Refused) {
			if refused != nil {
				answer(fmt.Errorf("%s refuses: %s", o.Server, refused.GetReason()))
				return
			}
			answer(nil)
		},
	})
	if err != nil {
		return nil, errors.Join(err, relay.Close(), o.Log.Close())
	}
	if err := await(ctx, joined, o.Server); err != nil {
		return nil, errors.Join(err, n.Leave())
	}
	return n, nil
}

// nobodyAt says what to do about a server that cannot be reached.
func nobodyAt(server string, err error) error {
	lookup, op := (*net.DNSError)(nil), (*net.OpError)(nil)
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("stopped before %s answered", server)
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return fmt.Errorf("there is no host %s: check the spelling, or use the link that the server prints", lookup.Name)
	case errors.As(err, &lookup):
		return fmt.Errorf("the name server does not know the address of %s (%s): try again, or join by IP address", lookup.Name, lookup.Err)
	case IsRefused(err):
		return fmt.Errorf("nobody listens at %s: start a server there with `conga serve`, or give its port as HOST:PORT; its ready line says requests=HOST:PORT", server)
	case errors.As(err, &op):
		err = op.Err
	}
	return fmt.Errorf("no conga server answers at %s: %w: is the machine on, and does its firewall let in that port and the next one?", server, err)
}

func await(ctx context.Context, joined <-chan error, server string) error {
	late := time.NewTimer(joinPatience)
	defer late.Stop()
	select {
	case err := <-joined:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		return fmt.Errorf("%s does not answer like a conga server within %v: its ready line says requests=HOST:PORT, which is what to join", server, joinPatience)
	}
}

// Lost is closed when the music is over for good; nil: it never is.
func (n *Listener) Lost() <-chan struct{} {
	if n.radio == nil {
		return nil
	}
	return n.radio.Lost()
}

// Leave says goodbye and ends the listener.
func (n *Listener) Leave() error {
	n.Client.Leave()
	if n.radio != nil {
		_ = n.radio.Close() // it has said goodbye
	}
	return n.Log.Close()
}
