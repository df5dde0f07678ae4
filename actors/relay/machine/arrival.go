package machine

import (
	"time"

	"conga/messages"
)

const (
	// hungerAfter is how much longer than it may be silent a live upstream may send no music before others are
	// asked for it: a broken relay can still send heartbeats, and the nodes below a silent node further up
	// can first find another upstream.
	hungerAfter = 250 * time.Millisecond
	// tooLate is how much later than at its best the music may come; more would soon use up
	// the slack of all nodes below.
	tooLate = 400 * time.Millisecond
	// littleLeft is the margin below which music is late, however slowly it became so. If nobody
	// above is ahead, the cause is the depth of the chain, and others are asked again only when
	// the delay has grown by settledBy, or after settledFor.
	littleLeft = 500 * time.Millisecond
	settledBy  = 200 * time.Millisecond
	settledFor = 30 * time.Second
	// urgently is the margin below which the server is asked, too.
	urgently = 600 * time.Millisecond
	// atBest bounds the best transit time of a link, including the clocks' error, so that a link
	// that is slow from its first stamp on does not pass for a good one.
	atBest = 200 * time.Millisecond
	// stopped is the pause after which the music counts as stopped, not as slow.
	stopped = 350 * time.Millisecond
	// catchesUp is by how much the delay must shrink from one glance to the next for the
	// music to count as catching up.
	catchesUp = 40 * time.Millisecond
	// lateGlances is how often in a row the link itself must be slow before others are asked: a
	// lost packet delays one stamp. If the upstream gets its music late itself, it has
	// upstreamGlances to find a better source.
	lateGlances, upstreamGlances = 3, 5
	// trial is how long an ancestor has to show that it is ahead.
	trial = 600 * time.Millisecond
	// usualFor is how long the best delay is remembered.
	usualFor = 15 * time.Second
	// lastSent is how long before the server was missed it has sent its last item, at most: two chunks may have been on
	// the way, and a busy machine notices it late. stillSends is how much later the music must be sent by a server that is there.
	lastSent, stillSends = 2*messages.MaxChunkDuration + 280*time.Millisecond, 250 * time.Millisecond
	// dryFor is how long a node that has all that the server has sent waits for its return, at most.
	dryFor = messages.MaxSlack
	// implausible is more than two nodes' estimates of the server's clock can differ.
	implausible = time.Minute
	// stoodStill is the gap between two inputs from which it follows that the process or the machine
	// did not run; excused is how long after that the node blames nobody.
	stoodStill, excused = time.Second, 2 * time.Second
	// Glance is how often the machine judges the music.
	Glance = 250 * time.Millisecond
)

// arrival measures how the music comes to this node. It reads no clock: each method is given
// the time, on this node's own clock (now) and on the server's (serverUs, in unix microseconds).
type arrival struct {
	heard time.Time     // when the newest item, or the upstream's answer, came
	delay time.Duration // of the newest item, since it should have left the server
	known bool          // an item has come from this upstream
	due   int64         // when that item should have left the server, in unix microseconds
	slack time.Duration // of that item; 0 before the first
	best  [2]bestDelay  // of this period of usualFor and of the one before
	last  time.Duration // the delay at the last glance
	// settled is the delay at which, when all were last asked, nobody above was ahead.
	settled bestDelay

	away  int64     // when the server went away, on its own clock in unix microseconds; 0: it is there
	left  time.Time // the same on this node's clock
	waits time.Time // until then the music of a server that has come back need not be here

	sent int64         // the upstream's newest stamp, in unix microseconds; 0: it sends none
	took time.Duration // that stamp's transit time, by both nodes' estimates of the server's clock
	fast time.Duration // the lowest transit time, at most atBest

	lates int       // glances in a row at which the music was late
	slow  int       // glances in a row at which the link itself was slow
	look  time.Time // the last glance
	seen  time.Time // when the last input came
	woke  time.Time // when the node found that it had stood still
}

// bestDelay is the lowest delay in a period.
type bestDelay struct {
	since time.Time
	least time.Duration
}

// runs records that the node runs, and detects that it stood still. It compares both clocks: the
// monotonic one stops while a machine sleeps, the wall clock does not.
func (a *arrival) runs(now time.Time) {
	if !a.seen.IsZero() && max(now.Sub(a.seen), now.Round(0).Sub(a.seen.Round(0))) > stoodStill {
		a.woke, a.heard = now, now
		a.lates, a.slow = 0, 0
	}
	a.seen = now
}

// excused reports whether the node stood still a moment ago, so that what it missed is its own fault.
func (a *arrival) excused(now time.Time) bool {
	return !a.woke.IsZero() && now.Sub(a.woke) < excused
}

// fed begins again with another upstream.
func (a *arrival) fed(now time.Time) {
	a.heard, a.known = now, false
	a.sent, a.fast = 0, atBest
	a.lates, a.slow = 0, 0
}

// music records an item.
func (a *arrival) music(now time.Time, serverUs int64, item *messages.Item) {
	a.heard, a.known = now, true
	a.due, a.slack = item.Due(), item.Slack()
	if a.due > a.away+stillSends.Microseconds() {
		a.away = 0
	}
	a.delay = time.Duration(serverUs-a.due) * time.Microsecond
	if now.Sub(a.best[0].since) > usualFor {
		a.best[1], a.best[0] = a.best[0], bestDelay{now, a.delay}
	}
	a.best[0].least = min(a.best[0].least, a.delay)
}

// stamped records that the upstream's stamp arrived at serverUs; sent 0 means that there was none.
func (a *arrival) stamped(sent, serverUs int64) {
	took := time.Duration(serverUs-sent) * time.Microsecond
	if sent == 0 || took.Abs() > implausible {
		return
	}
	a.sent, a.took, a.fast = sent, took, max(min(took, a.fast), -atBest)
}

// usual returns the lowest delay of the last two periods.
func (a *arrival) usual() time.Duration {
	if a.best[1].since.IsZero() {
		return a.best[0].least
	}
	return min(a.best[0].least, a.best[1].least)
}

// settle takes the present delay as the usual one, because nobody above has the music earlier.
func (a *arrival) settle(now time.Time) {
	a.settled = bestDelay{now, a.delay}
	a.best = [2]bestDelay{a.settled, {}}
	a.lates, a.slow = 0, 0
}

// tooLate reports whether the newest item came so late that others may have it earlier.
func (a *arrival) tooLate(now time.Time) bool {
	if a.delay-a.usual() > tooLate {
		return true
	}
	asked := now.Sub(a.settled.since) < settledFor && a.delay < a.settled.least+settledBy
	return a.margin() < littleLeft && !asked
}

// glanced judges the music. While no music comes, it counts no lateness: most likely the music has
// stopped further up. Nor does it if the glance itself comes late: then this node's machine is too busy, and if all nodes
// there searched for earlier music, it would be busier. It returns for how long the node did not run: that time does not
// count as time without music.
func (a *arrival) glanced(now time.Time, serverUs int64) (stood time.Duration) {
	gap := now.Sub(a.look)
	busy := !a.look.IsZero() && gap > 2*Glance
	if a.look = now; busy {
		stood = gap - Glance
		a.heard = earlier(now, a.heard.Add(stood))
		a.lates, a.slow, a.last = 0, 0, a.delay
		return stood
	}
	word := time.Duration(serverUs-a.sent)*time.Microsecond - messages.StampEvery // how much the next stamp is overdue
	switch {
	case a.sent == 0 || max(a.took, word)-a.fast <= tooLate:
		a.slow = 0
	case now.Sub(a.heard) < stopped:
		a.slow++
	}
	catching := a.delay < a.last-catchesUp
	a.last = a.delay
	switch {
	case !a.known || !a.tooLate(now) || catching:
		a.lates = 0
	case now.Sub(a.heard) < stopped:
		a.lates++
	}
	return 0
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// late reports whether the ancestors should be asked to show that they are ahead.
func (a *arrival) late() bool {
	return a.slow >= lateGlances || a.lates >= upstreamGlances
}

// margin returns how long before its play-out time the newest item came.
func (a *arrival) margin() time.Duration { return a.slack - a.delay }

// urgent reports whether there is little time left to find a node that has the music earlier.
func (a *arrival) urgent() bool { return a.known && a.margin() < urgently }

// starved returns how long no music has come; hungry reports whether that is too long. It is not if nobody can have more.
func (a *arrival) starved(now time.Time) time.Duration { return now.Sub(a.heard) }

func (a *arrival) hungry(now time.Time) bool {
	return a.starved(now) >= a.starving() && !a.dry(now) && !now.Before(a.waits)
}

// serverAway records that the server has gone away; serverBack, that it has come back. Its music then takes as long to this
// node as it usually does.
func (a *arrival) serverAway(now time.Time, serverUs int64) { a.away, a.left = serverUs, now }

func (a *arrival) serverBack(now time.Time) {
	if a.dry(now) {
		a.waits = now.Add(a.usual() + hungerAfter)
	}
	a.away = 0
}

// dry reports whether the server is away and this node has all that it has sent, so that nobody has more. It proves that
// without anybody's word: the newest item was sent just before the server went away.
func (a *arrival) dry(now time.Time) bool {
	return a.away > 0 && a.due >= a.away-lastSent.Microseconds() && now.Sub(a.left) < dryFor
}

// starving is how long no music may come before others are asked for it.
func (a *arrival) starving() time.Duration {
	if a.slack == 0 {
		return messages.SilenceIsDeath + hungerAfter
	}
	return messages.SilenceIn(a.slack) + hungerAfter
}
