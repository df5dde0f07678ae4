package actors

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"conga/actors/eventlog"
	"conga/actors/player"
	"conga/actors/relay"
	"conga/actors/relay/search"
	"conga/actors/requester"
	"conga/actors/window"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// ClientConfig configures a listener. The caller owns Log and closes it after Leave.
type ClientConfig struct {
	System *actor.ActorSystem
	Shared bool          // others use System, too: Leave does not stop it
	Log    *eventlog.Log // the listener's own
	Node   *messages.Node
	Server string // host:port of its requests
	Stream string // host:port of its stream
	Output player.Output
	AsItIs bool // songs are heard as loud as they are, whatever their tags say
	// Offsets are of the devices that Output plays on; nil: they have none.
	Offsets player.Offsets
	// Past is where the player gets its music instead of the window, which is passed on; nil: it does not. now is the server's clock,
	// and live opens the window.
	Past func(now func() int64, live func() player.Source) func() player.Source
	// Clicks are heard instead of the music, which is passed on.
	Clicks bool
	Logger *slog.Logger
	// Unheard takes why the output does not play and what to do; nil: Logger warns of it.
	Unheard func(reason string)

	// Leaf: it feeds nobody. Otherwise Feed is how many listeners it offers to feed; 0: one.
	Leaf bool
	Feed uint32

	// Chunk checks what a chunk holds, and Samples gives its samples, where that is not mp3;
	// nil: it is.
	Chunk   func(frames []byte) error
	Samples func(*messages.Item) []int16
	// Seeds is told which clients of 2016 this node feeds, as the server says; may be nil.
	Seeds func([]*messages.Node)

	// Streams describes the port for the next listener, Upstream a connection to a node
	// above, Requests a connection to the server's requests.
	Streams  func(*Client) *actor.Props
	Upstream func(link uint64, addr string, open *messages.OpenStream, report func(any) (done int)) *actor.Props
	// Offered is Upstream for a connection that the node above has made. The stream port keeps that
	// until its ticket is redeemed or refused.
	Offered  func(link, ticket uint64, open *messages.OpenStream, report func(any) (done int)) *actor.Props
	Refuse   func(ticket uint64)
	Requests func(link uint64) *actor.Props
	// Turned is told each song when it is heard; may be nil. It must not block for long.
	Turned func(*messages.SongChange)
	// Players returns for how many programs this node plays over HTTP, and for how many it would at its
	// relay port; nil: none.
	Players func() (now, most int)
	// News shows what plays; Joined is told the server's answer to each Hello.
	News   func(*messages.Playing)
	Joined func(*messages.Welcome, *messages.Refused)
}

// Client is a running listener.
type Client struct {
	tree
	cfg    ClientConfig
	window *window.Window
	clock  *requester.Clock
	// What must outlive a restart of an actor; only that actor reads and writes it.
	tally relay.Tally
	owed  requester.Owed
	// The server's last messages; nil before the first.
	welcome atomic.Pointer[messages.Welcome]
	above   atomic.Pointer[messages.Neighbours]
}

// Offer tells the relay of a connection that a node above has made.
func (c *Client) Offer(node *messages.Node, ticket uint64) {
	c.tell(relay.Actor, &messages.StreamOffered{Node: node, Ticket: ticket})
}

// downstreamName is a child that writes to no log.
const downstreamName = "downstream"

// StartClient starts a listener; it joins as soon as the server answers.
func StartClient(cfg ClientConfig) (*Client, error) {
	c := &Client{
		tree: tree{system: cfg.System, shared: cfg.Shared, name: "listener-" + cfg.Node.GetId()},
		cfg:  cfg, window: window.New(), clock: requester.NewClock(),
	}
	// Before anything runs: the links in an old log are gone, and its neighbours may be of
	// another server.
	life, err := eventlog.NewKeeper(cfg.Log, relay.Actor, search.State{})
	if err != nil {
		return nil, err
	}
	if _, err := life.Commit(&messages.StartNode{Node: cfg.Node, Server: cfg.Server, AtUnixUs: time.Now().UnixMicro()}); err != nil {
		return nil, fmt.Errorf("start the listener: %w", err)
	}
	open, samples := func() player.Source { return c.window.OpenAt(c.clock.Now() - player.Preroll.Microseconds()) }, cfg.Samples
	if cfg.Past != nil {
		open = cfg.Past(c.clock.Now, open)
	}
	if cfg.Clicks {
		open, samples = func() player.Source { return player.Clicks(c.clock.Now) }, player.ClickSamples
	}
	err = c.start(
		child{relay.Actor, relay.Props(relay.Config{
			Log: cfg.Log, Window: c.window, Self: c.Node, Server: func() string { return cfg.Stream },
			Dial: cfg.Upstream, Take: cfg.Offered, Refuse: cfg.Refuse, Chunk: cfg.Chunk,
			Offer:     func(to *messages.Node) { c.tell(streamsName, &messages.OfferMusic{To: to}) },
			Tell:      func(m proto.Message) { c.tell(requester.Actor, m) },
			Said:      func() (*messages.Welcome, *messages.Neighbours) { return c.welcome.Load(), c.above.Load() },
			ServerNow: c.clock.Now, Tally: &c.tally, Logger: cfg.Logger,
		}).Configure(stopsBroken)},
		child{player.Actor, player.Props(player.Config{
			Open: open, Now: c.clock.Now, ClockError: func() time.Duration { return time.Duration(c.clock.Estimate().ErrorUs) * time.Microsecond }, Output: cfg.Output, AsItIs: cfg.AsItIs, Offsets: cfg.Offsets, Samples: samples, Log: cfg.Logger, Unheard: cfg.Unheard, Report: c.report(player.Actor), Turned: cfg.Turned,
		})},
		child{downstreamName, actor.PropsFromProducer(func() actor.Actor { return &downstream{} })},
		child{streamsName, cfg.Streams(c)},
		child{requester.Actor, requester.Props(requester.Config{
			Hello: c.hello, Clock: c.clock, Owed: &c.owed, Dial: cfg.Requests, News: cfg.News, Logger: cfg.Logger,
			Vitals: c.vitals(), Tell: c.heard, Away: func() { c.tell(relay.Actor, &messages.ServerAway{}) }, Joined: cfg.Joined, Report: c.report(requester.Actor),
		}).Configure(stopsBroken)},
	)
	if err != nil {
		return nil, fmt.Errorf("start the listener: %w", err)
	}
	return c, nil
}

func (c *Client) hello() *messages.Hello {
	hello := &messages.Hello{Version: messages.DialectVersion, Node: c.cfg.Node, Leaf: c.cfg.Leaf, Feed: c.cfg.Feed}
	if last := c.window.Last(); last != nil {
		hello.SongNumber, hello.SongPlayAtUnixUs = last.Song.GetNumber(), last.Song.GetPlayAtUnixUs()
	}
	return hello
}

// heard passes on what the server says about this node's place. It keeps it BEFORE the relay gets it,
// because a relay that starts asks for it.
func (c *Client) heard(m proto.Message) {
	switch m := m.(type) {
	case *messages.Welcome:
		c.welcome.Store(m)
	case *messages.Neighbours:
		if !search.Older(m, c.above.Load()) {
			c.above.Store(m)
		}
		if c.cfg.Seeds != nil {
			c.cfg.Seeds(m.GetSeeds())
		}
	}
	c.tell(relay.Actor, m)
}

// report returns a function that writes an actor's facts to the listener's log. A full disk does not stop
// the music: the event is lost, and a warning says so.
func (c *Client) report(actor string) func(proto.Message) {
	return func(fact proto.Message) {
		if _, err := c.cfg.Log.Append(eventlog.Any, actor, nil, fact); err != nil {
			c.cfg.Logger.Warn("the listener's log cannot be written", "reason", err)
		}
	}
}

// CutOff tells the server that this node no longer feeds a client of 2016.
func (c *Client) CutOff(id, reason string) {
	c.tell(requester.Actor, &messages.ReportSilent{Id: id, Reason: reason})
}

// Node returns this listener as the server knows it.
func (c *Client) Node() *messages.Node {
	if welcome := c.welcome.Load(); welcome != nil {
		return welcome.GetNode()
	}
	return c.cfg.Node
}

// Epoch returns the broadcast's epoch, as far as this listener knows.
func (c *Client) Epoch() uint64 { return c.welcome.Load().GetEpoch() }

// ServerNow returns the server's clock as far as this listener knows it, in unix microseconds.
func (c *Client) ServerNow() int64 { return c.clock.Now() }

// Local is this machine's clock as Clock counts it, from which it computes the server's.
func (c *Client) Local(at time.Time) int64 { return c.clock.Local(at) }

// Slack returns how long before it is heard the server sends the music now.
func (c *Client) Slack() time.Duration { return slackIn(c.window) }

// Open returns the cursor for a stream connection.
func (c *Client) Open(open *messages.OpenStream) *window.Cursor {
	return c.window.For(open)
}

// Newest returns the number of the newest item that has come, 0 before the first.
func (c *Client) Newest() uint64 { return newest(c.window) }

// Downstream returns the actor that is told of the listeners that this node feeds.
func (c *Client) Downstream() *actor.PID { return c.of(downstreamName) }

// Ask sends a typed line to the server and waits for its answer; while the server is
// away it waits for its return.
func (c *Client) Ask(ctx context.Context, line string) ([]string, error) {
	return c.ask(ctx, &messages.TypedLine{Line: line})
}

func (c *Client) ask(ctx context.Context, line *messages.TypedLine) ([]string, error) {
	reply := make(chan []string, 1)
	line.Reply = reply
	c.tell(requester.Actor, line)
	select {
	case lines := <-reply:
		return lines, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// AskUnlogged is Ask for lines that nobody has typed: they are not in the listener's log.
func (c *Client) AskUnlogged(ctx context.Context, line string) ([]string, error) {
	return c.ask(ctx, &messages.TypedLine{Line: line, Unlogged: true})
}

// SetGain sets how loud this listener plays: 1 is as the song is, 0 is silence.
func (c *Client) SetGain(gain float64) { c.tell(player.Actor, &messages.SetGain{Gain: gain}) }

// Offset changes how much later than its device says the sound is heard here, if change is not nil, and returns it.
func (c *Client) Offset(ctx context.Context, change func(now time.Duration) time.Duration) (messages.DeviceOffset, error) {
	reply := make(chan messages.DeviceOffset, 1)
	c.tell(player.Actor, &messages.ChangeOffset{Change: change, Reply: reply})
	select {
	case now := <-reply:
		return now, nil
	case <-ctx.Done():
		return messages.DeviceOffset{}, ctx.Err()
	}
}

// goodbye is how long the nodes below may take to turn to their next ancestor.
const goodbye = 1200 * time.Millisecond

// Leave says goodbye to the server and to the next listener, waits until the server has got it and
// the listener has turned to another node, and ends all actors.
func (c *Client) Leave() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	c.tell(streamsName, &messages.SayGoodbye{})
	c.tell(requester.Actor, &messages.Leave{})
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for c.busy(ctx) {
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
	c.Stop()
}

// Stop ends all actors without a goodbye, as a crash does; the connections end with them.
func (c *Client) Stop() {
	c.stop()
	c.window.Close()
}

// busy reports whether a listener still receives from this node, or the server may not know yet
// that it leaves. It is false when ctx ends.
func (c *Client) busy(ctx context.Context) bool {
	views, err := c.look(ctx, downstreamName, requester.Actor)
	if err != nil {
		return false
	}
	fed, _ := views[downstreamName].Live.([]string)
	asks, _ := views[requester.Actor].Live.(requester.Live)
	return len(fed) > 0 || asks.Goodbye
}

// Dump asks the actors for their states.
func (c *Client) Dump(ctx context.Context) (Dump, error) {
	views, err := c.look(ctx, relay.Actor, player.Actor, requester.Actor, downstreamName)
	if err != nil {
		return Dump{}, fmt.Errorf("the listener is restarting an actor, try again: %w", err)
	}
	live := map[string]any{"receipt": c.receipt(views)}
	in, _ := views[relay.Actor].Live.(relay.Live)
	in.Downstream, _ = views[downstreamName].Live.([]string)
	live[relay.Actor] = in
	for _, name := range []string{player.Actor, requester.Actor} {
		live[name] = views[name].Live
	}
	return Dump{
		Node: c.Node().GetName(), Event: views[relay.Actor].Seq,
		State: map[string]any{relay.Actor: views[relay.Actor].State}, Live: live,
	}, nil
}
