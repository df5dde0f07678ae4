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
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"conga/actors/eventlog"
	"conga/actors/window"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// Config is what a relay needs.
type Config struct {
	Log    *eventlog.Log // the listener's own
	Window *window.Window
	// Chunk checks what a chunk holds; nil: mp3 frames.
	Chunk  func(frames []byte) error
	Self   func() *messages.Node
	Server func() string // host:port of the server's stream
	// Dial describes a child that connects to addr, says open and reports what comes.
	Dial func(link uint64, addr string, open *messages.OpenStream) *actor.Props
	// Take describes the same child on a connection that the upstream made.
	Take func(link uint64, conn net.Conn, open *messages.OpenStream) *actor.Props
	// Offer makes the stream port dial a listener that this node must dial; nil: nobody.
	Offer func(to *messages.Node)
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
	// A relay that broke down is a new one: what it had counted, whom it feeds and which
	// key it trusts it could not ask anybody.
	kept := &memory{flow: &flow{window: cfg.Window, chunk: cfg.Chunk}}
	return actor.PropsFromProducer(func() actor.Actor { return &relay{cfg: cfg, memory: kept} })
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
	LowestMarginMs  *float64           `json:"lowestMarginMs"` // the least that an item came before its time; null at first
	Songs           []messages.SongSum `json:"songs"`
}

type relay struct {
	*memory

	cfg     Config
	keep    *eventlog.Keeper[State]
	links   map[uint64]*actor.PID // children, by their link's number
	waiting map[uint64]*opening   // those that answered while another feeds
	offer   net.Conn              // of the ancestor that a decision is about
	lost    *messages.UpstreamLost
	watch   watch
	arrival arrival
	ending  bool
}

// memory outlives a restart of the relay. It belongs to the relay's goroutine.
type memory struct {
	flow  *flow
	epoch uint64
	above *messages.Neighbours // what the server said last
	fed   []*messages.Node     // listeners of this node

	connected, lies int64
	longest         time.Duration
	margin          margin
}

// Receive is all the plumbing; where the music comes from is in state.go.
func (r *relay) Receive(ctx actor.Context) {
	if r.ending {
		r.outlast(ctx.Message())
		return
	}
	r.arrival.runs(time.Now())
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		r.start(ctx)
	case *actor.Stopping, *actor.Restarting:
		r.ending = true
		r.watch.stop()
	case *messages.Welcome:
		r.welcome(ctx, msg)
	case *messages.StartNode:
		r.decide(ctx, msg)
	case *messages.Neighbours:
		r.neighbours(ctx, msg)
	case *messages.StreamOffered:
		r.offered(ctx, msg)
	case *messages.SearchOn:
		r.watch.searching = false
		r.decide(ctx, msg)
	case looked:
		r.look(ctx, msg)
	case *messages.UpstreamOpened:
		r.opened(ctx, msg)
	case *messages.UpstreamItem:
		r.take(ctx, msg)
	case *messages.UpstreamSeal:
		r.seal(ctx, msg)
	case *messages.UpstreamLeaving:
		r.closed(ctx, &messages.LinkClosed{Link: msg.Link, Reason: "it leaves", Ending: messages.Ending_ENDING_LEAVING})
	case *messages.UpstreamClosed:
		r.closed(ctx, &messages.LinkClosed{Link: msg.Link, Reason: msg.Reason, Fault: msg.Fault})
		delete(r.links, msg.Link)
	case *messages.DownstreamOpened:
		r.fed = append(r.fed, msg.Node)
	case *messages.DownstreamClosed:
		r.unfed(msg.Node.GetId())
	case *messages.Look:
		msg.Reply <- messages.View{Actor: "relay", Seq: r.keep.Seq(), State: r.keep.State(), Live: r.live()}
	}
}

// outlast takes what comes while the relay waits for its links' end: a link that were
// dialled now nobody would end. What the next relay cannot ask for is kept for it.
func (r *relay) outlast(msg any) {
	switch msg := msg.(type) {
	case *messages.Neighbours:
		if msg.GetEvent() >= r.above.GetEvent() {
			r.above = msg
		}
	case *messages.Welcome:
		_ = r.adopt(msg)
		_ = r.flow.trust(keyIn(msg, r.flow.key)) // no link stands: nothing was vouched for
	case *messages.StreamOffered:
		_ = msg.Conn.Close()
	case *messages.DownstreamOpened:
		r.fed = append(r.fed, msg.Node)
	case *messages.DownstreamClosed:
		r.unfed(msg.Node.GetId())
	}
}

// start begins with what the log and the window have; links of a life before this one
// are gone, and nobody is to blame for that.
func (r *relay) start(ctx actor.Context) {
	keep, err := eventlog.NewKeeper(r.cfg.Log, "relay", State{})
	if err != nil {
		panic(fmt.Errorf("rebuild the relay: %w", err))
	}
	r.keep = keep
	r.links, r.waiting = map[uint64]*actor.PID{}, map[uint64]*opening{}
	r.flow.resync()
	state := r.keep.State()
	links := slices.Clone(state.Seeking)
	if state.Upstream != nil {
		links = append(links, *state.Upstream)
	}
	for _, link := range links {
		r.closed(ctx, &messages.LinkClosed{Link: link.Number, Reason: "the relay was restarted", Ending: messages.Ending_ENDING_OWN})
	}
	// A search that found nobody has lost its timer, and a ring its oldest events.
	state = r.keep.State()
	if r.above.GetEvent() > state.Event || r.above != nil && state.Upstream == nil && len(state.Seeking) == 0 {
		r.decide(ctx, r.above)
	}
	r.lookAgain(ctx)
}

// keyIn is the server's key in its welcome, or the one known before if it has none.
func keyIn(msg *messages.Welcome, known ed25519.PublicKey) ed25519.PublicKey {
	if key := ed25519.PublicKey(msg.GetKey()); len(key) == ed25519.PublicKeySize {
		return key
	}
	return known
}

// welcome takes the key that proves the music.
func (r *relay) welcome(ctx actor.Context, msg *messages.Welcome) {
	up := r.keep.State().Upstream
	if key := keyIn(msg, r.flow.key); !key.Equal(r.flow.key) {
		if err := r.flow.trust(key); err != nil && up != nil {
			r.judge(ctx, up.Number, err)
		}
	}
	known := r.epoch
	anew := r.adopt(msg)
	if up = r.keep.State().Upstream; up != nil && (anew || up.Node.ID == messages.ServerID && known != r.epoch && r.watch.epoch != r.epoch) {
		r.closed(ctx, &messages.LinkClosed{Link: up.Number, Ending: messages.Ending_ENDING_OWN, Reason: "another server has taken over"})
	}
}

// adopt believes the server's word, inside its own TLS connection, about which broadcast
// this is; nobody else's counts. The log of a server that was restored from a copy does not
// go on from what this node has: then the node begins anew, and so do all who read from it.
// An epoch below one that was heard is such a log, too: within one log they only grow.
func (r *relay) adopt(msg *messages.Welcome) (anew bool) {
	r.epoch = msg.GetEpoch()
	anew = r.flow.next > 0 && (msg.GetAnew() || r.epoch < r.flow.epoch)
	if anew {
		r.cfg.Logger.Warn("the server's broadcast does not go on from what was heard: beginning anew")
		r.flow.restart(msg.GetEpoch())
	}
	return anew
}

func (r *relay) neighbours(ctx actor.Context, msg *messages.Neighbours) {
	r.decide(ctx, msg)
	if msg.GetEvent() < r.keep.State().Event {
		return
	}
	r.above = msg
	r.watch.climbs = 0
	if r.cfg.Offer != nil {
		r.cfg.Offer(offered(msg))
	}
	if state := r.keep.State(); state.Upstream == nil && len(state.Seeking) > 0 && !r.watch.searching {
		r.searchOn(ctx, patience) // there may be somebody new behind who was asked
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

// closed goes on without the link. If this node stood still, its upstream could not but hang
// up: it is asked again first.
func (r *relay) closed(ctx actor.Context, cmd *messages.LinkClosed) {
	cmd.AtUnixUs = r.nowUs()
	if r.feeds(cmd.GetLink()) && r.arrival.excused(time.Now()) && cmd.GetEnding() == messages.Ending_ENDING_FAULT && cmd.GetFault() != messages.Fault_FAULT_LYING {
		cmd.Ending, cmd.Fault = messages.Ending_ENDING_OWN, messages.Fault_FAULT_UNSPECIFIED
	}
	r.decide(ctx, cmd)
	r.fallBack(ctx)
}

// take is the way of the music. Only the link that feeds this node counts.
func (r *relay) take(ctx actor.Context, msg *messages.UpstreamItem) {
	if o := r.waiting[msg.Link]; o != nil {
		r.waited(ctx, o, msg.Item, msg.SentUs)
	} else if r.feeds(msg.Link) {
		r.arrival.stamped(msg.SentUs, r.nowUs())
		r.pass(ctx, msg.Link, msg.Item)
	}
	if pid := r.links[msg.Link]; pid != nil {
		ctx.Send(pid, &messages.Credit{})
	}
}

// pass puts an item into the window.
func (r *relay) pass(ctx actor.Context, link uint64, item *messages.Item) {
	before, now := r.flow.received, r.nowUs()
	err := r.flow.take(item, now, r.keep.State().tolerates(now))
	if r.flow.received > before {
		r.watch.hungers = 0
		r.arrival.music(time.Now(), now, item.PlayAt())
		r.margin.arrived(item.PlayAt(), now)
	}
	r.judge(ctx, link, err)
}

func (r *relay) seal(ctx actor.Context, msg *messages.UpstreamSeal) {
	if o := r.waiting[msg.Link]; o != nil {
		o.keepSeal(msg.Seal)
	} else if r.feeds(msg.Link) {
		r.judge(ctx, msg.Link, r.flow.vouch(msg.Seal))
	}
}

// judge cuts a link that sent what the server did not, or not what is needed.
func (r *relay) judge(ctx actor.Context, link uint64, err error) {
	if err == nil {
		return
	}
	if errors.Is(err, errLie) {
		r.lies++
		r.closed(ctx, &messages.LinkClosed{Link: link, Reason: err.Error(), Fault: messages.Fault_FAULT_LYING})
	} else {
		r.closed(ctx, &messages.LinkClosed{Link: link, Reason: err.Error(), Ending: messages.Ending_ENDING_HOLE})
	}
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
		r.fedBy(event)
	case *messages.UpstreamLost:
		r.lost = event
		r.cfg.Logger.Info("upstream lost", "node", event.GetNode().GetName(), "reason", event.GetReason())
		r.accuse(node(event.GetNode()), event.GetFault(), event.GetReason())
	case *messages.UpstreamUnusable:
		r.cfg.Logger.Debug("ancestor cannot serve", "node", event.GetNode().GetName(), "reason", event.GetReason())
		r.accuse(node(event.GetNode()), event.GetFault(), event.GetReason())
	case *messages.SearchExhausted:
		switch state := r.keep.State(); {
		case state.Upstream == nil:
			r.searchOn(ctx, retryAfter(event.GetSearches()))
		case !r.arrival.hungry(time.Now()):
			r.arrival.settle(time.Now())
		case state.Least > 0 && r.arrival.starved(time.Now()).Microseconds() >= famine:
			r.watch.asked = time.Time{} // what others have, with a hole, is taken at the next glance
		}
	}
}

func (r *relay) fedBy(event *messages.UpstreamConnected) {
	r.watch.fed()
	r.arrival.fed(time.Now())
	r.flow.link()
	r.connected++
	r.longest = max(r.longest, time.Duration(event.GetSearchUs())*time.Microsecond)
	r.cfg.Logger.Info("receiving", "from", event.GetNode().GetName(), "searchMs", float64(event.GetSearchUs())/1000)
	if r.lost != nil {
		r.cfg.Tell(&messages.Reconnected{
			Upstream: event.GetNode(), Lost: r.lost.GetNode(), Reason: r.lost.GetReason(),
			SearchUs: event.GetSearchUs(), Missing: event.GetMissing(),
			BufferedUs: event.GetBufferedUs(), AtUnixUs: event.GetAtUnixUs(),
		})
		if r.lost.GetEnding() == messages.Ending_ENDING_HOLE && event.GetMissing() == 0 { // others have what it left out
			r.accuse(node(r.lost.GetNode()), messages.Fault_FAULT_SKIPPING, r.lost.GetReason())
		}
		r.lost = nil
	}
}

// accuse tells the server of a node above that does not do its part. Who stood still a moment
// ago cannot tell its own faults from others', except for a lie.
func (r *relay) accuse(node Node, fault messages.Fault, reason string) {
	if fault == messages.Fault_FAULT_UNSPECIFIED || node.ID == messages.ServerID {
		return
	}
	if fault != messages.Fault_FAULT_LYING && r.arrival.excused(time.Now()) {
		return
	}
	r.cfg.Tell(&messages.PeerLost{Id: node.ID, Fault: fault, Reason: reason, AtUnixUs: r.nowUs()})
}

func (r *relay) dial(ctx actor.Context, sought *messages.UpstreamSought) {
	addr := sought.GetNode().GetRelay()
	if sought.GetNode().GetId() == messages.ServerID {
		addr = r.cfg.Server()
	}
	open := &messages.OpenStream{
		Version: messages.DialectVersion, Node: r.cfg.Self(), Next: r.flow.next,
		PlayAtUnixUs: r.nowUs() + messages.JoinAhead.Microseconds(), Epoch: r.epoch, Upstream: sought.GetNode().GetId(), Holes: sought.GetHoles(),
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
			delete(r.waiting, number)
		}
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
		LongestSearchMs: float64(r.longest.Microseconds()) / 1000, LowestMarginMs: r.margin.lowestMs(),
		Songs: append([]messages.SongSum{}, r.flow.songs...),
	}
	if up := r.keep.State().Upstream; up != nil {
		l.Upstream = up.Node.Name
	}
	for _, node := range r.fed {
		l.Downstream = append(l.Downstream, node.GetName())
	}
	return l
}
