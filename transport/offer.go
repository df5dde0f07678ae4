package transport

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"conga/messages"
)

// The waits between two offers to the same listener, which may need a moment to hear from the
// server whose offer to take.
const firstOffer, longestOffer = 100 * time.Millisecond, 2 * time.Second

// offerer dials the one listener that cannot dial this node: either end of an edge may
// make the connection, which is then a stream connection like any other. It belongs to the
// acceptor's actor.
type offerer struct {
	to    *messages.Node
	round uint64 // numbers the offers, so that results of older ones are ignored
	child *actor.PID
	wait  time.Duration
	stop  context.CancelFunc
}

// offered is the result of an offer; conn is nil if it could not be made.
type offered struct {
	round uint64
	conn  net.Conn
}

// offerAgain is the offerer's timer.
type offerAgain struct{ round uint64 }

// turn makes offers to another node from now on, or to none.
func (o *offerer) turn(ctx actor.Context, cfg *StreamsConfig, to *messages.Node) {
	if to.GetId() == o.to.GetId() && to.GetRelay() == o.to.GetRelay() {
		return
	}
	o.end()
	o.to, o.wait, o.child = to, firstOffer, nil
	if to != nil {
		o.dial(ctx, cfg)
	}
}

// end cancels the offer under way. A connection that is open stays until its listener
// goes elsewhere.
func (o *offerer) end() {
	o.round++
	if o.stop != nil {
		o.stop()
	}
}

func (o *offerer) dial(ctx actor.Context, cfg *StreamsConfig) {
	life, stop := context.WithCancel(context.Background())
	o.stop = stop
	root, self, round, to := ctx.ActorSystem().Root, ctx.Self(), o.round, o.to
	guard(root, self, func() {
		conn, err := cfg.Dial(life, to.GetRelay())
		if err != nil {
			conn = nil
		} else if err = sayOffer(conn, cfg, to); err != nil {
			_ = conn.Close()
			conn = nil
		}
		root.Send(self, &offered{round, conn})
	})
}

var errNobody = errors.New("this node has no key to sign an offer with")

func sayOffer(conn net.Conn, cfg *StreamsConfig, to *messages.Node) error {
	pass, err := cfg.Pass()
	if err != nil {
		return err
	}
	if cfg.Identity == nil {
		return errNobody
	}
	offer := &messages.OfferStream{Version: messages.DialectVersion, Node: cfg.Self()}
	cfg.Identity.signOffer(offer, to.GetId(), cfg.ServerNow())
	offer.Proof = pass.prove(offeringOf(offer, to.GetId()))
	frame, err := messageFrame(messages.KindOffer, offer)
	if err != nil {
		return err
	}
	_ = conn.SetWriteDeadline(time.Now().Add(messages.SilenceIsDeath))
	_, err = conn.Write(frame)
	return err
}

// later makes another offer after a growing wait.
func (o *offerer) later(ctx actor.Context) {
	root, self, again := ctx.ActorSystem().Root, ctx.Self(), offerAgain{o.round}
	time.AfterFunc(o.wait, func() { root.Send(self, again) })
	o.wait = min(2*o.wait, longestOffer)
}
