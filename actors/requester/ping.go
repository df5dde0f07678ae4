package requester

import (
	"time"

	"conga/actors/requester/clockfilter"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

// look sends a ping if it is time, or if this node does otherwise than it has said. Pings keep the clock correct and show
// that both ends are alive.
func (r *requester) look(ctx actor.Context) {
	if r.silent() {
		r.closed(ctx, "the server does not answer")
		return
	}
	if now := time.Now(); r.welcome && !now.Before(r.turn) {
		if ping := r.vitals(); !now.Before(r.due()) || tells(r.pinged, ping) {
			r.send(ctx, ping)
		}
	}
	r.lookAgain(ctx)
}

// silent reports whether the server owes an answer for too long.
func (r *requester) silent() bool {
	r.excuse()
	patience := pongMissing
	if !r.welcome {
		patience = welcomeMissing
	}
	return !r.missingAt.IsZero() && time.Since(r.missingAt) >= patience
}

// excuse gives the server the time again in which this process did not run: then a look comes late, as do the answers.
func (r *requester) excuse() {
	if late := time.Since(r.lookAt); late > 0 && !r.missingAt.IsZero() {
		r.missingAt, r.lookAt = r.missingAt.Add(late), r.lookAt.Add(late)
	}
}

// due is when the clock should be asked again.
func (r *requester) due() time.Time {
	at := r.pingedAt.Add(clockfilter.Pace(r.cfg.Clock.Estimate()))
	if at.Before(r.turn) {
		return r.turn
	}
	return at
}

func (r *requester) lookAgain(ctx actor.Context) {
	wait := lookEvery
	if r.welcome {
		wait = min(max(time.Until(r.due()), 0), lookEvery)
	}
	r.lookAt = time.Now().Add(wait)
	r.after(ctx, wait, func(round uint64) any { return look{round} })
}

// ping says at once that this listener is alive, and asks whether the server is.
func (r *requester) ping(ctx actor.Context) {
	r.send(ctx, r.vitals())
	r.lookAgain(ctx)
}

// vitals returns a ping that is not sent yet.
func (r *requester) vitals() *messages.ClockPing {
	ping := &messages.ClockPing{}
	if r.cfg.Vitals != nil {
		r.cfg.Vitals(ping)
	}
	return ping
}

func (r *requester) send(ctx actor.Context, ping *messages.ClockPing) {
	r.excuse()
	ping.SentUs = r.cfg.Clock.Local(time.Now())
	r.pinged, r.pingedAt = ping, time.Now()
	if r.missingAt.IsZero() {
		r.missingAt = r.pingedAt
	}
	ctx.Send(r.child, ping)
}

// Smaller changes of what a node has ahead, and of how late it plays, may wait for the next ping.
const aheadTellsUs, lateTellsUs = 500_000, 3_000

// tells reports whether people who look at the chain would see the difference between two pings.
func tells(before, now *messages.ClockPing) bool {
	apart := func(a, b, most int64) bool { return a-b >= most || b-a >= most }
	return before.GetPlayers() != now.GetPlayers() || before.GetPlayersAtMost() != now.GetPlayersAtMost() ||
		apart(before.GetAheadUs(), now.GetAheadUs(), aheadTellsUs) || apart(before.GetLateUs(), now.GetLateUs(), lateTellsUs)
}

// pong takes the server's answer, which came at that time.
func (r *requester) pong(msg *messages.ClockPong, at time.Time) {
	now := r.cfg.Clock.Local(at)
	if msg.GetSentUs() > now || msg.GetSentUs() <= 0 {
		return
	}
	r.missingAt = time.Time{}
	wait := time.Duration(msg.GetWaitUs()) * time.Microsecond
	r.turn = time.Now().Add(min(wait, clockfilter.Rarest))
	known := r.filter.Add(clockfilter.Ping{Sent: msg.GetSentUs(), Server: msg.GetServerUnixUs(), Received: now})
	r.cfg.Clock.known.Store(&known)
}
