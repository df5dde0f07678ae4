package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/player"
	"conga/cmd/internal/address"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/monitor"
	"conga/messages"
	"conga/transport"
	"conga/transport/seed"
	"conga/transport/web"

	"github.com/asynkron/protoactor-go/actor"
)

// Listener is a listener with its port, as join and demo run it.
type Listener struct {
	Client *actors.Client
	Log    *eventlog.Log
	radio  *seed.Radio // nil: the server is native
	sent   *transport.Counters
	since  time.Time

	offsets *Offsets
	past    *pastMusic // nil: it is not heard
}

// ListenerOptions configure a listener.
type ListenerOptions struct {
	Server  string   // host:port of its requests
	Servers []string // of further servers of the radio; may be nil
	Name    string
	Listen  string
	// Advertise is where others reach Listen; empty: as the server sees this machine.
	Advertise string
	Output    player.Output
	AsItIs    bool                         // songs keep their loudness, whatever their tags say
	Offsets   *Offsets                     // of Output's devices; nil: they have none
	Clicks    bool                         // it plays clicks instead of the music
	Unheard   func(reason string)          // gets the reason why Output does not play; nil: it is logged
	Journal   Journal                      // zero: one in memory
	Players   int                          // programs that it plays for over HTTP at its relay port; 0: none
	Secure    transport.BrowserCertificate // for players over TLS; nil: none
	PlaysAs   string                       // the host name that it is for, if Secure is set
	Leaf      bool                         // it feeds nobody
	Feed      int                          // how many listeners it offers to feed, if it feeds any; 0: one
	HTTP      string                       // host:port of its debug answers; empty: none
	News      func(*messages.Playing)
	Turned    func(*messages.SongChange) // gets each song when it begins to be heard; may be nil
	Logger    *slog.Logger

	// Past asks the server for the past, which is heard instead of what is broadcast now, from Moment on; nil: it is not.
	Past   func(ctx context.Context, moment string) (io.ReadCloser, error)
	Moment string

	// System is shared by many nodes in one process, and outlives them; nil: the node has its own. An
	// actor system alone costs some 5 ms and megabytes.
	System *actor.ActorSystem

	Radio *seed.Radio // a server of the seed's kind, instead of a native one; Listen is its port

	Token string    // the server's; empty: none
	Keys  keys.Ring // which key the server must have

	// Line is the way to the server, if it was used before; nil: Dial finds one.
	Line *transport.Line
	// Dial and Bind are the node's network; nil: this machine's.
	Dial transport.DialFunc
	Bind func(addr string) (net.Listener, error)
}

// joinPatience is how long a server that can be reached may take to answer the first Hello. In that time
// its name may be looked up once more, and it tries this node's port.
const joinPatience = 20 * time.Second

// sayAfter is how long a join may take before conga says what it is doing.
const sayAfter = 2 * time.Second

// StartListener joins the chain, or says why it cannot. It closes the journal in the end. If the listener has not joined,
// it removes a journal that was made for it.
func StartListener(ctx context.Context, o ListenerOptions) (*Listener, error) {
	waits := time.AfterFunc(sayAfter, func() {
		o.Logger.Info("no answer yet, still asking; Ctrl-C ends it", "server", o.Server)
	})
	n, err := startListener(ctx, o)
	waits.Stop()
	if err != nil {
		return nil, errors.Join(err, o.Journal.discard())
	}
	return n, nil
}

func startListener(ctx context.Context, o ListenerOptions) (*Listener, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	j, err := o.enter(ctx)
	if err != nil {
		return nil, errors.Join(err, o.Journal.Log.Close())
	}
	if o.Past != nil {
		j.past = newPastMusic(o.Past, o.Moment, o.Logger)
	}
	n := &Listener{Log: o.Journal.Log, past: j.past, radio: o.Radio, sent: &j.sent, since: time.Now(), offsets: o.Offsets}
	if n.Client, err = actors.StartClient(j.client()); err != nil {
		return nil, errors.Join(err, j.servers.Close(), j.relay.Close(), o.Journal.Log.Close())
	}
	if err := j.await(ctx); err != nil {
		return nil, errors.Join(err, n.Leave())
	}
	return n, nil
}

// complete fills in what was left out.
func (o *ListenerOptions) complete() (err error) {
	if o.Journal.Log == nil {
		if o.Journal, err = memoryJournal(); err != nil {
			return err
		}
	}
	if o.Line == nil {
		o.Line = transport.NewLine(o.Server, o.Dial)
	}
	if o.Bind == nil {
		o.Bind = func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
	}
	return nil
}

// enter looks for the server and opens the port. A listener that has joined looks for its server for
// ever, but a wrong address should be reported at once.
func (o *ListenerOptions) enter(ctx context.Context) (*joining, error) {
	stream, err := transport.StreamOf(o.Server)
	if err != nil {
		return nil, err
	}
	servers, err := transport.NewServers(o.Server, o.Line, o.Dial)
	if err != nil {
		return nil, err
	}
	servers.Told(o.Servers)
	if o.Radio == nil {
		if err := servers.Reach(ctx); err != nil {
			return nil, NobodyAt(strings.Join(append([]string{o.Server}, o.Servers...), " or "), err)
		}
	}
	relay, err := o.Bind(o.Listen)
	if err != nil {
		return nil, errors.Join(address.CannotListen("--listen", o.Listen, err), servers.Close())
	}
	j := &joining{ListenerOptions: o, stream: stream, servers: servers, relay: relay, answered: make(chan error, 1)}
	j.music.Most = o.Players
	j.member = transport.NewMembership(o.Journal.Identity, o.Token, &trust{keys: o.Keys, logger: o.Logger, distrust: j.wrong})
	j.member.PlaysAs(o.PlaysAs)
	return j, nil
}

// joining is a listener on its way into the chain.
type joining struct {
	*ListenerOptions
	stream   string // the server's
	servers  *transport.Servers
	standby  atomic.Pointer[string] // what a server said that does not lead; nil: none did
	astray   atomic.Pointer[error]  // what was wrong with the first who answered and was not the server; nil: nobody
	relay    net.Listener
	member   *transport.Membership
	behind   seed.Behind       // the clients of 2016 behind this listener
	tickets  transport.Tickets // for offers of nodes above
	now      func() int64      // the server's clock, when there is a client
	local    func(time.Time) int64
	slack    func() time.Duration
	sent     transport.Counters
	over     atomic.Bool
	answered chan error // has room for one
	music    web.Music  // for players
	past     *pastMusic // nil: it is not heard
}

// answer says how joining went; only the first answer counts.
func (j *joining) answer(err error) (first bool) {
	if first = !j.over.Swap(true); first {
		j.answered <- err
	}
	return first
}

// wrong says that somebody has answered who is not the server. Joining ends only if nobody else can be asked, with the error of the
// first.
func (j *joining) wrong(err error) (told bool) {
	j.astray.CompareAndSwap(nil, &err)
	if !j.servers.Wrong() && !j.over.Load() {
		return true
	}
	return j.answer(*j.astray.Load())
}

// await returns the answer.
func (j *joining) await(ctx context.Context) error {
	late := time.NewTimer(joinPatience)
	defer late.Stop()
	select {
	case err := <-j.answered:
		return err
	case <-ctx.Done():
		return NobodyAt(j.Server, context.Canceled)
	case <-late.C:
		if err := j.astray.Load(); err != nil {
			return *err
		}
		if said := j.standby.Load(); said != nil {
			return fmt.Errorf("the server of this radio that leads could not be reached within %v: %s", joinPatience, *said)
		}
		return fmt.Errorf("%s does not answer like a conga server within %v: its ready line says requests=HOST:PORT, which is what to join", j.Server, joinPatience)
	}
}

// client introduces the client to transport.
func (j *joining) client() actors.ClientConfig {
	system := j.System
	if system == nil {
		system = NewSystem(j.Logger)
	}
	c := actors.ClientConfig{
		System: system, Shared: j.System != nil, Log: j.Journal.Log, Stream: j.stream, Output: j.Output, AsItIs: j.AsItIs, Unheard: j.Unheard, Logger: j.Logger,
		Offsets: j.offsets(), Clicks: j.Clicks, News: j.News, Turned: j.Turned, Seeds: j.behind.Set, Server: j.Server, Leaf: j.Leaf, Feed: uint32(max(j.Feed, 0)),
		Node: &messages.Node{
			Id: j.Journal.Identity.ID(), Name: j.Name, Http: j.HTTP,
			Relay: cmp.Or(j.Advertise, address.Advertised(j.relay.Addr())),
		},
		Players: func() (now, most int) { return j.music.Now(), j.music.Most },
		Streams: j.streams,
		Upstream: func(link uint64, addr string, open *messages.OpenStream, report func(any) (done int)) *actor.Props {
			dial := j.servers.Line().Node
			switch {
			case j.Radio != nil:
				dial = j.Radio.Stream
			case addr == j.stream:
				dial = j.servers.Stream
			}
			return j.above(link, open, transport.UpstreamConfig{Addr: addr, Dial: dial, Report: report})
		},
		Offered: func(link, ticket uint64, open *messages.OpenStream, report func(any) (done int)) *actor.Props {
			return j.above(link, open, transport.UpstreamConfig{Addr: "its offer", Dial: j.tickets.Redeem(ticket), Report: report})
		},
		Refuse:   j.tickets.Refuse,
		Requests: j.requests,
		Joined: func(welcome *messages.Welcome, refused *messages.Refused) {
			j.servers.Told(slices.Concat(welcome.GetServers(), refused.GetServers()))
			switch {
			case welcome != nil:
				j.servers.Joined(len(welcome.GetServers()) == 0)
			case refused.GetFollows(): // the others are asked, too
				reason := refused.GetReason()
				j.standby.Store(&reason)
				return
			default:
				if err := fmt.Errorf("%s refuses: %s", j.Server, refused.GetReason()); !j.answer(err) {
					j.Logger.Warn("the server refuses this listener", "reason", refused.GetReason())
				}
				return
			}
			j.answer(nil)
		},
	}
	if j.past != nil {
		c.Past = j.past.sources
	}
	if j.Radio != nil {
		j.Radio.Listening()
		c.Chunk, c.Samples = seed.CheckSound, seed.Sound{}.Samples
	}
	return c
}

// offsets is not an interface of nil.
func (j *joining) offsets() player.Offsets {
	if j.Offsets == nil {
		return nil
	}
	return j.Offsets
}

// above is a connection to a node that feeds this listener.
func (j *joining) above(link uint64, open *messages.OpenStream, to transport.UpstreamConfig) *actor.Props {
	to.Link, to.Open, to.Identity, to.Pass, to.Now = link, open, j.Journal.Identity, j.member.Pass, j.now
	to.Silence = func() time.Duration { return j.servers.Line().Patience(messages.SilenceIn(j.slack())) }
	return transport.Upstream(to)
}

// requests is the connection to the server. A server of 2016 knows nothing of keys; a Radio speaks to it.
func (j *joining) requests(link uint64) *actor.Props {
	if j.Radio != nil {
		return transport.RequestLink(transport.RequestLinkConfig{Link: link, Addr: j.Server, Dial: j.Radio.Requests})
	}
	return transport.RequestLink(transport.RequestLinkConfig{
		Link: link, Addr: j.Server, Dial: j.servers.Requests, Member: j.member, Local: j.local,
		Proved: func(err error) {
			j.servers.Line().Proved(err == nil)
			if errors.Is(err, transport.ErrPlainWords) { // waiting does not change that
				j.wrong(fmt.Errorf("%s is not the request port of a conga server: %w; join the address that the server's ready line shows as requests=HOST:PORT", j.Server, transport.ErrPlainWords))
			}
		},
	})
}

// streams is the port at which the next listeners are fed.
func (j *joining) streams(c *actors.Client) *actor.Props {
	j.now, j.local, j.slack = c.ServerNow, c.Local, c.Slack
	feeder := seedFeeder(c)
	j.behind.Feeder, j.behind.CutOff = feeder, c.CutOff
	seeds := j.behind.Stream
	if j.Radio != nil {
		feeder.Decoder, feeder.Upstream = func() seed.Decoder { return seed.Sound{} }, j.Radio.Farewell
		seeds = feeder.Stream
	}
	j.music.Open = func() web.Cursor { return c.Tune() }
	var players http.Handler
	var secure *tls.Config
	if j.Players > 0 {
		players = j.music.Handler()
	}
	if j.Players > 0 && j.Secure != nil {
		secure = transport.PlayersTLS(j.Secure)
	}
	return transport.Streams(transport.StreamsConfig{
		Web: players, TLS: secure, Players: j.Players,
		Listener: j.relay, Owner: c.Downstream(), Self: c.Node, Epoch: c.Epoch, Newest: c.Newest, Offered: c.Offer, Tickets: &j.tickets,
		Dial:     func(ctx context.Context, addr string) (net.Conn, error) { return j.servers.Line().Node(ctx, addr) },
		Identity: j.Journal.Identity, Expected: j.member.Expected(),
		Pass: j.member.Pass, ServerNow: c.ServerNow, Seed: seeds, Counters: &j.sent,
		Open: func(open *messages.OpenStream) (transport.Cursor, error) {
			switch {
			case j.Radio != nil:
				return nil, errOtherChain
			case open.GetNode().GetId() == c.Node().GetId():
				return nil, errors.New("this is you")
			}
			return c.Open(open), nil
		},
	})
}

// NobodyAt adds to err what to do about a server that cannot be reached.
func NobodyAt(server string, err error) error {
	lookup, op := (*net.DNSError)(nil), (*net.OpError)(nil)
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("stopped before %s answered", server)
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return fmt.Errorf("there is no host %s: check the spelling, or use the link that the server prints", lookup.Name)
	case errors.As(err, &lookup):
		return fmt.Errorf("the name server does not know the address of %s (%s): try again, or join by IP address", lookup.Name, lookup.Err)
	case address.IsRefused(err):
		return fmt.Errorf("nobody listens at %s: start a server there with `conga serve`, or give its port as HOST:PORT; its ready line says requests=HOST:PORT", server)
	case errors.As(err, &op):
		err = op.Err
	}
	return fmt.Errorf("no conga server answers at %s: %w: is the machine on, and does its firewall let in that port and the next one?", server, err)
}

// Lost is closed when the music is over for good; nil: it never is.
func (n *Listener) Lost() <-chan struct{} {
	if n.radio == nil {
		return nil
	}
	return n.radio.Lost()
}

// Over is why the music is over for good; nil: it is not.
func (n *Listener) Over() error {
	select {
	case <-n.Lost():
		return seed.ErrLost
	default:
		return nil
	}
}

// leastSent is less than a second of music, but more than is said at the beginning of a connection.
const leastSent = 10_000

// PassedOn is how many bytes of music this listener has passed on; 0: it has fed nobody.
func (n *Listener) PassedOn() int64 {
	if sent := n.sent.Bytes.Load(); sent >= leastSent {
		return sent
	}
	return 0
}

// Leave says goodbye and ends the listener.
func (n *Listener) Leave() error {
	n.Client.Leave()
	if n.radio != nil {
		_ = n.radio.Close() // it has said goodbye
	}
	if n.offsets != nil {
		n.offsets.Close()
	}
	return n.Log.Close()
}

// Watched is the listener as the monitor sees it. away says why the server broadcasts nothing.
func (n *Listener) Watched(away func() string) monitor.Node {
	return monitor.Node{Dump: n.Client.Dump, Log: n.Log, Sent: n.sent, Ahead: n.Client.Ahead, Away: away}
}

// HearsPast reports whether the past is heard.
func (n *Listener) HearsPast() bool { return n.past != nil && n.past.left.Err() == nil }

// Live lets what is broadcast now be heard again, and reports whether the past was heard until then.
func (n *Listener) Live() bool { return n.past != nil && n.past.leave() }

// Music is for players on this machine.
func (n *Listener) Music() *web.Music {
	return &web.Music{Most: ownPlayers, Open: func() web.Cursor { return n.Client.Tune() }}
}
