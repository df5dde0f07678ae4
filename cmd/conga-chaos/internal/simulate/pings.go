package simulate

import (
	"time"

	"conga/actors/requester/clockfilter"
	"conga/messages"
)

// clock is what a listener knows of the server's clock, and when it asks for it, as a requester does.
type clock struct {
	filter clockfilter.Filter
	pace   int64 // how long after a ping the next one is due
	wrong  int64 // how wrong the clock probably is
	asked  int64 // when it pinged last
	turn   int64 // the server wants no ping before that only measures
	ahead  int64 // what it said of its window then
	told   int64 // what of that has come to the server
	toldAt int64
}

const (
	// lookEvery and aheadTells are the requester's: how often it looks whether to ping, and which change of what it has ahead it
	// tells at once.
	lookEvery, aheadTells = 1_000_000, 500_000
	// skew is how far the clocks run apart.
	skew = 20e-6
)

// firstPace is how long after its first ping a listener pings again.
var firstPace = clockfilter.Pace(clockfilter.Estimate{}).Microseconds()

// ping asks for the time. It also says that the listener is there.
func (w *world) ping(l *listener) {
	l.clock.asked, l.clock.ahead = w.now, w.ahead(l)
	size := lineSize(&messages.ClockPing{SentUs: startsAt + w.now, AheadUs: l.clock.ahead, LateErrorUs: l.clock.wrong})
	w.count.ToServer += size
	there := l.up.send(w.now, int(size+headers)) + w.shakes(way(l.spot, w.server.spot)) + w.hop
	w.at(event{at: there, kind: pings, who: l, sent: w.now})
}

// ahead is how long the listener can play what it has.
func (w *world) ahead(l *listener) int64 {
	if last := l.window.Last(); last != nil {
		return last.PlayAt() - startsAt - w.now
	}
	return 0
}

// pinged answers a ping. The answer says when the next one has its turn.
func (w *world) pinged(l *listener, sent int64) {
	l.said = w.now
	l.clock.told, l.clock.toldAt = l.clock.ahead, w.now
	if l.state >= gone {
		return
	}
	wait := w.host.turns.Next(time.UnixMicro(startsAt + w.now)).Microseconds()
	stamp := startsAt + w.now + int64(skew*float64(w.now))
	size := lineSize(&messages.ClockPong{SentUs: startsAt + sent, ServerUnixUs: stamp, WaitUs: wait})
	w.count.FromServer += size
	w.count.Lines++
	back := w.server.up.send(w.now, int(size+headers)) + w.shakes(way(l.spot, w.server.spot)) + w.hop
	w.at(event{at: back, kind: does, do: func() {
		if l.state < leaving {
			known := l.clock.filter.Add(clockfilter.Ping{Sent: startsAt + sent, Server: stamp, Received: startsAt + w.now})
			l.clock.pace, l.clock.wrong = clockfilter.Pace(known).Microseconds(), int64(known.ErrorUs)
			l.clock.turn = w.now + min(wait, clockfilter.Rarest.Microseconds())
		}
	}})
}

// asksTime pings when that is due, or what it last said of its window is no longer true.
func (w *world) asksTime(l *listener) {
	if l.state >= leaving {
		return
	}
	c := &l.clock
	due := func() int64 { return max(c.asked+c.pace, c.turn) }
	if w.now >= c.turn {
		if changed := w.ahead(l) - c.ahead; w.now >= due() || max(changed, -changed) >= aheadTells {
			w.ping(l)
		}
	}
	w.at(event{at: min(max(due(), w.now+1), w.now+lookEvery), kind: asks, who: l})
}
