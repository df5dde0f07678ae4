// Package relay passes the music on: it takes each item from the node above, checks
// it, and puts it into the window from which the next listener and the player read.
//
// Forward first, decode later: the relay knows nothing of the player, and a reader of
// the window holds up nobody. When the upstream dies, is silent or lies, the relay turns
// to its next ancestor at once, without asking, and names the number it needs: what
// was on its way is sent again, and nobody hears it. The server is told afterwards.
package relay

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"conga/actors/eventlog"
	"conga/actors/window"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

const (
	// patience is how long an ancestor may take to answer before the next one is
	// asked too: a frozen process accepts connections and never answers.
	patience = 80 * time.Millisecond
	// firstRetry and lastRetry bound the wait between two searches that found nobody.
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
)

// Config is what a relay needs.
type Config struct {
	Log    *eventlog.Log // the listener's own
	Window *window.Window
	Self   func() *messages.Node
	Server func() string // host:port of the server's stream
	Token  string
	// Dial describes a child that connects to addr, says open and reports what comes.
	Dial func(link uint64, addr string, open *messages.OpenStream) *actor.Props
	// Take describes the same child on a connection that the upstream made.
	Take func(link uint64, conn net.Conn, open *messages.OpenStream) *actor.Props
	// Offer makes the stream port dial a listener that this node must dial; nil: nobody.
	Offer func(to *messages.Node)
	// Margin is told how long before its time each item came, in microseconds.
	Margin func(us int64)
	// Tell sends the server what this node saw.
	Tell func(proto.Message)
	// ServerNow is the server's clock as far as this node knows, in unix microseconds.
	ServerNow func() int64
	Logger    *slog.Logger
}

// Props describes the relay's actor. It is sent *messages.Welcome and *messages.Neighbours
// as the server says them, and the reports of its links and of the stream port. It answers
// a *messages.Look with a messages.View.
func Props(cfg Config) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor { return &relay{cfg: cfg} })
}

// Live is the relay's part of the dump that the log does not know.
type Live struct {
	Upstream        string             `json:"upstream"`   // name of who feeds this node
	Downstream      []string           `json:"downstream"` // names of whom it feeds
	Next            uint64             `json:"next"`       // number needed next
	Received        int64              `json:"received"`   // items
	Lost            int64              `json:"lost"`       // items
	Twice           int64              `json:"twice"`      // items that came again on one link
	Unproved        int64              `json:"unproved"`   // items without a seal
	Lies            int64              `json:"lies"`       // links cut for what they sent
	Splices         int64              `json:"splices"`    // changes of the upstream
	LongestSearchMs float64            `json:"longestSearchMs"`
	Songs           []messages.SongSum `json:"songs"`
}

type relay struct {
	cfg   Config
	keep  *eventlog.Keeper[State]
	flow  *flow
	epoch uint64
	links map[uint64]*actor.PID // children, by their link's number
	fed   []*messages.Node      // listeners of this node
	offer net.Conn              // of the ancestor that a decision is about
	timer *time.Timer

	connected, lies int64
	longest         time.Duration
}

// Receive is all the plumbing; where the music comes from is in state.go.
func (r *relay) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		keep, err := eventlog.NewKeeper(r.cfg.Log, "relay", State{})
		if err != nil {
			panic(fmt.Errorf("rebuild the relay: %w", err))
		}
		r.keep = keep
		r.links = map[uint64]*actor.PID{}
		r.flow = &flow{window: r.cfg.Window, next: r.cfg.Window.Next()}
		r.forget(ctx)
	case *actor.Stopping, *actor.Restarting:
		r.stopTimer()
	case *messages.Welcome:
		r.flow.key = ed25519.PublicKey(msg.GetKey())
		r.epoch = max(r.epoch, msg.GetEpoch())
	case *messages.Neighbours:
		r.decide(ctx, msg)
		if msg.GetEvent() >= r.keep.State().Event {
			r.cfg.Offer(offered(msg))
		}
	case *messages.StreamOffered:
		r.offered(ctx, msg)
	case *messages.SearchOn:
		r.decide(ctx, msg)
	case *messages.UpstreamOpened:
		r.opened(ctx, msg)
	case *messages.UpstreamItem:
		r.take(ctx, msg)
	case *messages.UpstreamSeal:
		if r.feeds(msg.Link) {
			r.judge(ctx, msg.Link, r.flow.vouch(msg.Seal))
		}
	case *messages.UpstreamLeaving:
		r.closed(ctx, msg.Link, "it leaves", true)
	case *messages.UpstreamClosed:
		r.closed(ctx, msg.Link, msg.Reason, false)
		delete(r.links, msg.Link)
	case *messages.DownstreamOpened:
		r.fed = append(r.fed, msg.Node)
	case *messages.DownstreamClosed:
		r.unfed(msg.Node.GetId())
	case *messages.Look:
		msg.Reply <- messages.View{Actor: "relay", Seq: r.keep.Seq(), State: r.keep.State(), Live: r.live()}
	}
}

// offered is whom this node must dial because it cannot be reached itself, or nil.
func offered(n *messages.Neighbours) *messages.Node {
	if !n.GetOffer() {
		return nil
	}
	return n.GetDownstream()
}

// offered takes the connection, or closes it.
func (r *relay) offered(ctx actor.Context, msg *messages.StreamOffered) {
	r.offer = msg.Conn
	r.decide(ctx, &messages.UpstreamOffered{Node: msg.Node, AtUnixUs: r.nowUs()})
	if r.offer != nil {
		_ = r.offer.Close()
		r.offer = nil
	}
}

func (r *relay) nowUs() int64 { return r.cfg.ServerNow() }

// forget closes, in the log, links of a life before this one: their connections are gone.
func (r *relay) forget(ctx actor.Context) {
	state := r.keep.State()
	links := state.Seeking
	if state.Upstream != nil {
		links = append(links[:len(links):len(links)], *state.Upstream)
	}
	for _, link := range links {
		r.closed(ctx, link.Number, "the relay was restarted", false)
	}
}

func (r *relay) opened(ctx actor.Context, msg *messages.UpstreamOpened) {
	// Only the server itself can be of an older broadcast. A node above may not have
	// heard of the server's restart yet; its music is as good as ever.
	epoch := msg.Answer.GetEpoch()
	if msg.Answer.GetNode().GetId() == messages.ServerID && epoch < r.epoch {
		r.closed(ctx, msg.Link, fmt.Sprintf("it is still in epoch %d of the broadcast, now is %d", epoch, r.epoch), false)
		return
	}
	r.epoch = max(r.epoch, epoch)
	r.decide(ctx, &messages.LinkOpened{
		Link: msg.Link, Asked: r.flow.next, First: msg.Answer.GetFirst(), Epoch: epoch, AtUnixUs: r.nowUs(),
	})
}

func (r *relay) closed(ctx actor.Context, link uint64, reason string, leaving bool) {
	r.decide(ctx, &messages.LinkClosed{Link: link, Reason: reason, Leaving: leaving, AtUnixUs: r.nowUs()})
}

// take is the way of the music. Only the link that feeds this node counts.
func (r *relay) take(ctx actor.Context, msg *messages.UpstreamItem) {
	if r.feeds(msg.Link) {
		r.judge(ctx, msg.Link, r.flow.take(msg.Item))
		if msg.Item.Song != nil {
			r.cfg.Margin(msg.Item.PlayAt() - r.nowUs())
		}
	}
	if pid := r.links[msg.Link]; pid != nil {
		ctx.Send(pid, &messages.Credit{})
	}
}

// judge cuts a link that sent what the server did not.
func (r *relay) judge(ctx actor.Context, link uint64, err error) {
	if err == nil {
		return
	}
	r.lies++
	r.decide(ctx, &messages.LinkClosed{Link: link, Reason: err.Error(), Lying: true, AtUnixUs: r.nowUs()})
}

func (r *relay) feeds(link uint64) bool {
	up := r.keep.State().Upstream
	return up != nil && up.Number == link
}

// decide commits what follows from cmd, then acts.
func (r *relay) decide(ctx actor.Context, cmd proto.Message) {
	events, err := r.keep.Commit(cmd)
	if err != nil {
		panic(err) // an actor that cannot remember must not act: the supervisor restarts it
	}
	for _, event := range events {
		r.act(ctx, event)
	}
	r.hangUp(ctx)
}

func (r *relay) act(ctx actor.Context, event proto.Message) {
	switch event := event.(type) {
	case *messages.UpstreamSought:
		r.dial(ctx, event)
		r.searchOn(ctx, patience)
	case *messages.UpstreamConnected:
		r.stopTimer()
		r.flow.link()
		r.connected++
		r.longest = max(r.longest, time.Duration(event.GetSearchUs())*time.Microsecond)
		r.cfg.Logger.Info("receiving", "from", event.GetNode().GetName(), "searchMs", float64(event.GetSearchUs())/1000)
	case *messages.UpstreamLost:
		r.cfg.Logger.Info("upstream lost", "node", event.GetNode().GetName(), "reason", event.GetReason())
		if !event.GetLeaving() {
			r.accuse(event.GetNode(), event.GetReason(), event.GetLying(), event.GetAtUnixUs())
		}
	case *messages.UpstreamUnusable:
		r.cfg.Logger.Debug("ancestor cannot serve", "node", event.GetNode().GetName(), "reason", event.GetReason())
		if !event.GetHole() {
			r.accuse(event.GetNode(), event.GetReason(), false, event.GetAtUnixUs())
		}
	case *messages.SearchExhausted:
		wait := min(firstRetry<<min(event.GetSearches()-1, 10), lastRetry)
		r.searchOn(ctx, wait/2+rand.N(wait/2)) // jitter: many orphans must not come in step
	}
}

// accuse tells the server of a node above that does not do its part.
func (r *relay) accuse(node *messages.Node, reason string, lying bool, atUnixUs int64) {
	if node.GetId() != messages.ServerID {
		r.cfg.Tell(&messages.PeerLost{Id: node.GetId(), Reason: reason, Lying: lying, AtUnixUs: atUnixUs})
	}
}

func (r *relay) dial(ctx actor.Context, sought *messages.UpstreamSought) {
	addr := sought.GetNode().GetRelay()
	if sought.GetNode().GetId() == messages.ServerID {
		addr = r.cfg.Server()
	}
	open := &messages.OpenStream{
		Version: messages.DialectVersion, Node: r.cfg.Self(), Next: r.flow.next,
		PlayAtUnixUs: r.nowUs(), Epoch: r.epoch, Token: r.cfg.Token,
	}
	props := r.cfg.Dial
	if sought.GetOffered() {
		conn := r.offer
		r.offer = nil
		props = func(link uint64, _ string, open *messages.OpenStream) *actor.Props {
			return r.cfg.Take(link, conn, open)
		}
	}
	r.links[sought.GetLink()] = ctx.Spawn(props(sought.GetLink(), addr, open))
}

// hangUp stops the links that the state does not know any more.
func (r *relay) hangUp(ctx actor.Context) {
	state := r.keep.State()
	for number, pid := range r.links {
		if _, seeking := state.seeking(number); !seeking && !r.feeds(number) {
			ctx.Stop(pid)
			delete(r.links, number)
		}
	}
}

func (r *relay) searchOn(ctx actor.Context, wait time.Duration) {
	r.stopTimer()
	root, self, link := ctx.ActorSystem().Root, ctx.Self(), r.keep.State().Links
	r.timer = time.AfterFunc(wait, func() {
		root.Send(self, &messages.SearchOn{Link: link, AtUnixUs: r.cfg.ServerNow()})
	})
}

func (r *relay) stopTimer() {
	if r.timer != nil {
		r.timer.Stop()
	}
}

func (r *relay) unfed(id string) {
	for i, node := range r.fed {
		if node.GetId() == id {
			r.fed = append(r.fed[:i:i], r.fed[i+1:]...)
			return
		}
	}
}

func (r *relay) live() Live {
	l := Live{
		Downstream: []string{},
		Next:       r.flow.next, Received: r.flow.received, Lost: r.flow.lost, Twice: r.flow.twice,
		Unproved: r.flow.unproved, Lies: r.lies, Splices: max(0, r.connected-1),
		LongestSearchMs: float64(r.longest.Microseconds()) / 1000,
		Songs:           append([]messages.SongSum{}, r.flow.songs...),
	}
	if up := r.keep.State().Upstream; up != nil {
		l.Upstream = up.Node.Name
	}
	for _, node := range r.fed {
		l.Downstream = append(l.Downstream, node.GetName())
	}
	return l
}
