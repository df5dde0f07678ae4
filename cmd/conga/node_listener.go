package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/player"
	"conga/messages"
	"conga/transport"
	"conga/transport/seed"

	"github.com/asynkron/protoactor-go/actor"
)

// listenerNode is a listener with its port, as join and demo run it.
type listenerNode struct {
	client *actors.Client
	relay  net.Listener
	log    *eventlog.Log
	radio  *seed.Radio // nil: the server is native
}

type listenerOptions struct {
	server string // host:port of its requests
	name   string
	listen string
	// advertise is where others reach listen; empty: as the server sees this machine.
	advertise string
	output    player.Output
	unheard   func(reason string) // takes why output does not play; nil: logger
	log       *eventlog.Log
	identity  *transport.Identity // nil: a new one
	http      string              // host:port of its debug answers; empty: none
	news      func(*messages.Playing)
	logger    *slog.Logger
	// system is for many nodes in one process, and outlives them; nil: one of its own. An
	// actor system alone costs some 5 ms and megabytes.
	system *actor.ActorSystem

	radio *seed.Radio // a server of the seed's kind, instead of a native one; listen is its port

	token string  // the server's; empty: none
	keys  keyring // which key the server must have

	// line is the way to the server, if it was used before; nil: by dial.
	line *transport.Line
	// dial and bind are the node's network; nil: this machine's.
	dial transport.DialFunc
	bind func(addr string) (net.Listener, error)
}

// joinPatience is how long a server that can be reached may take to answer the first Hello: it may
// be found by its name once more meanwhile, and tries this node's port.
const joinPatience = 20 * time.Second

// startListener joins the chain, or says why it cannot. It takes log over.
func startListener(ctx context.Context, o listenerOptions) (*listenerNode, error) {
	stream, err := streamOf(o.server)
	if err != nil {
		return nil, errors.Join(err, o.log.Close())
	}
	line, bind := o.line, o.bind
	if line == nil {
		line = transport.NewLine(o.server, o.dial)
	}
	if bind == nil {
		bind = func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
	}
	// Once up and running it looks for its server for ever; but a wrong address should
	// be known at once.
	if o.radio == nil {
		conn, err := line.Server(ctx, o.server)
		if err != nil {
			return nil, errors.Join(nobodyAt(o.server, err), o.log.Close())
		}
		_ = conn.Close()
	}
	relay, err := bind(o.listen)
	if err != nil {
		return nil, errors.Join(cannotListen("--listen", o.listen, err), o.log.Close())
	}
	n := &listenerNode{relay: relay, log: o.log, radio: o.radio}
	joined := make(chan error, 1)
	answer := func(err error) {
		select {
		case joined <- err:
		default: // only the first answer decides whether it starts
		}
	}
	if o.identity == nil {
		o.identity = transport.NewIdentity()
	}
	member := transport.NewMembership(o.identity, o.token, &trust{keys: o.keys, logger: o.logger, distrust: answer})
	upstream, requests := line.Node, transport.RequestLinkConfig{Addr: o.server, Dial: line.Server, Member: member}
	requests.Proved = func(err error) {
		line.Proved(err == nil)
		if errors.Is(err, transport.ErrPlainWords) { // it will not learn it while we wait
			answer(fmt.Errorf("%s is not the request port of a conga server: %w; join the address that the server's ready line shows as requests=HOST:PORT", o.server, transport.ErrPlainWords))
		}
	}
	var chunk func([]byte) error
	var samples func(*messages.Item) []int16
	if o.radio != nil { // it speaks for a server that knows nothing of keys
		o.radio.Listening()
		upstream, requests = o.radio.Stream, transport.RequestLinkConfig{Addr: o.server, Dial: o.radio.Requests}
		chunk, samples = seed.CheckSound, seed.Sound{}.Samples
	}
	behind := &seed.Behind{}
	var now func() int64 // the server's clock
	above := func(link uint64, open *messages.OpenStream, to transport.UpstreamConfig) *actor.Props {
		to.Link, to.Open, to.Identity, to.Pass, to.Now = link, open, o.identity, member.Pass, now
		to.Silence = line.Patience(messages.SilenceIsDeath)
		return transport.Upstream(to)
	}
	system := o.system
	if system == nil {
		system = newSystem(o.logger)
	}
	n.client, err = actors.StartClient(actors.ClientConfig{
		System: system, Shared: o.system != nil, Log: o.log, Stream: stream, Output: o.output, Unheard: o.unheard, Logger: o.logger,
		News: o.news, Chunk: chunk, Samples: samples, Seeds: behind.Set,
		Node: &messages.Node{
			Id: o.identity.ID(), Name: o.name, Http: o.http,
			Relay: cmp.Or(o.advertise, advertised(relay.Addr())),
		},
		Server: o.server,
		Streams: func(c *actors.Client) *actor.Props {
			now = c.ServerNow
			feeder := seedFeeder(c)
			behind.Feeder, behind.CutOff = feeder, c.CutOff
			seeds := behind.Stream
			if o.radio != nil {
				feeder.Decoder, feeder.Upstream = func() seed.Decoder { return seed.Sound{} }, o.radio.Farewell
				seeds = feeder.Stream
			}
			return transport.Streams(transport.StreamsConfig{
				Listener: relay, Owner: c.Relay(), Self: c.Node, Epoch: c.Epoch, Newest: c.Newest, Offered: c.Offer, Dial: line.Node,
				Identity: o.identity, Expected: member.Expected(),
				Pass: member.Pass, ServerNow: c.ServerNow, Seed: seeds,
				Open: func(open *messages.OpenStream) (transport.Cursor, error) {
					switch {
					case o.radio != nil:
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
				answer(fmt.Errorf("%s refuses: %s", o.server, refused.GetReason()))
				return
			}
			answer(nil)
		},
	})
	if err != nil {
		return nil, errors.Join(err, relay.Close(), o.log.Close())
	}
	if err := await(ctx, joined, o.server); err != nil {
		return nil, errors.Join(err, n.leave())
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
	case isRefused(err):
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

// lost is closed when the music is over for good; nil: it never is.
func (n *listenerNode) lost() <-chan struct{} {
	if n.radio == nil {
		return nil
	}
	return n.radio.Lost()
}

// leave says goodbye and ends the listener.
func (n *listenerNode) leave() error {
	n.client.Leave()
	if n.radio != nil {
		_ = n.radio.Close() // it has said goodbye
	}
	return n.log.Close()
}

// streamOf is the address of a server's stream: the port after that of its requests.
func streamOf(server string) (string, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return "", fmt.Errorf("%q is not HOST:PORT: %w", server, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || n == 65535 {
		return "", fmt.Errorf("%q: the port must be from 1 to 65534", server)
	}
	return net.JoinHostPort(host, strconv.FormatUint(n+1, 10)), nil
}

// advertised is where others reach the port: without a host if it listens on all
// interfaces, for the server knows best from where it was reached.
func advertised(addr net.Addr) string {
	host, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ""
	}
	return net.JoinHostPort(host, port)
}
