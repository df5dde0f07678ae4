package machine

import (
	"time"

	"conga/messages"
)

const (
	// starving is how long a living upstream may send no music before others are asked
	// for it: a relay can be broken and sound alive. It is longer than a silent node further
	// up is waited for by those whom it feeds.
	starving = messages.SilenceIsDeath + 250*time.Millisecond
	// tooLate is how much later than at its best the music may come; more would soon use
	// up the slack of all who are fed by this node.
	tooLate = 400 * time.Millisecond
	// littleLeft is the margin below which music is late, however slowly it became so. Where
	// nobody above is ahead, that is the depth of the chain, and others are asked again when
	// the delay has grown by settledBy, or after settledFor.
	littleLeft = 500 * time.Millisecond
	settledBy  = 200 * time.Millisecond
	settledFor = 30 * time.Second
	// urgently is the margin below which the server is asked, too.
	urgently = 600 * time.Millisecond
	// atBest bounds the best time over a link that is believed, the clocks' error included: a
	// link that is slow from its first word on must not pass for a good one.
	atBest = 200 * time.Millisecond
	// stopped is how long no music comes when it does not just come slowly.
	stopped = 350 * time.Millisecond
	// catchesUp is by how much the delay must shrink from one glance to the next if the
	// music catches up by itself.
	catchesUp = 40 * time.Millisecond
	// lateGlances is how often in a row the music must be late before others are asked, if
	// the link itself is slow: a lost packet delays one word. If the upstream has its music
	// late itself, it is given time to find a better source: upstreamGlances.
	lateGlances, upstreamGlances = 3, 5
	// trial is how long an ancestor has to show that it is ahead.
	trial = 600 * time.Millisecond
	// usualFor is how long the best delay is remembered.
	usualFor = 15 * time.Second
	// implausible is how far two notions of the server's clock cannot be apart.
	implausible = time.Minute
	// stoodStill is how long this node hears nothing of its own timer if the process or the
	// machine did not run; excused is how long after that it blames nobody.
	stoodStill, excused = time.Second, 2 * time.Second
	// Glance is how often the machine looks at all this.
	Glance = 250 * time.Millisecond
)

// arrival is how the music comes to this node. It reads no clock: each method is told
// what time it is, on this node's own clock (now) and on the server's (serverUs, in unix
// microseconds).
type arrival struct {
	heard time.Time     // the newest item, or the upstream's answer
	delay time.Duration // of the newest item, since it should have left the server
	known bool          // an item has come since the upstream feeds
	due   int64         // when that item should have left the server, in unix microseconds
	best  [2]bestDelay  // of this stretch of time and the one before
	last  time.Duration // the delay at the last glance
	// settled is the delay that nobody above could better when all were asked last.
	settled bestDelay

	sent int64         // the upstream's newest word, in unix microseconds; 0: it does not say
	took time.Duration // until that was here, by two nodes' notions of the server's clock
	fast time.Duration // the least that a word took, or atBest

	lates int       // glances in a row at which the music was late
	slow  int       // glances in a row at which the link itself was slow
	seen  time.Time // when this node last knew that it runs
	woke  time.Time // when it found that it had stood still
}

// bestDelay is the least delay in a stretch of time.
type bestDelay struct {
	since time.Time
	least time.Duration
}

// runs notes that the node runs, and finds out whether it stood still. Both of the machine's
// clocks tell: the monotonic one stops while a machine sleeps, the other does not.
func (a *arrival) runs(now time.Time) {
	if !a.seen.IsZero() && max(now.Sub(a.seen), now.Round(0).Sub(a.seen.Round(0))) > stoodStill {
		a.woke, a.heard = now, now
		a.lates, a.slow = 0, 0
	}
	a.seen = now
}

// excused says whether the node stood still a moment ago: then what it missed is its own
// fault.
func (a *arrival) excused(now time.Time) bool {
	return !a.woke.IsZero() && now.Sub(a.woke) < excused
}

// fed begins anew with another upstream.
func (a *arrival) fed(now time.Time) {
	a.heard, a.known = now, false
	a.sent, a.fast = 0, atBest
	a.lates, a.slow = 0, 0
}

// music notes an item that is to be heard at playAt.
func (a *arrival) music(now time.Time, serverUs, playAt int64) {
	a.heard, a.known = now, true
	a.due = playAt - messages.Slack.Microseconds()
	a.delay = time.Duration(serverUs-a.due) * time.Microsecond
	if now.Sub(a.best[0].since) > usualFor {
		a.best[1], a.best[0] = a.best[0], bestDelay{now, a.delay}
	}
	a.best[0].least = min(a.best[0].least, a.delay)
}

// stamped notes when the upstream sent what arrives at serverUs.
func (a *arrival) stamped(sent, serverUs int64) {
	took := time.Duration(serverUs-sent) * time.Microsecond
	if sent == 0 || took.Abs() > implausible {
		return
	}
	a.sent, a.took, a.fast = sent, took, max(min(took, a.fast), -atBest)
}

// usual is the least delay of late.
func (a *arrival) usual() time.Duration {
	if a.best[1].since.IsZero() {
		return a.best[0].least
	}
	return min(a.best[0].least, a.best[1].least)
}

// settle takes the present delay for the usual one: nobody above has the music earlier.
func (a *arrival) settle(now time.Time) {
	a.settled = bestDelay{now, a.delay}
	a.best = [2]bestDelay{a.settled, {}}
	a.lates, a.slow = 0, 0
}

// tooLate says whether the newest item came so late that others may well have it earlier.
func (a *arrival) tooLate(now time.Time) bool {
	if a.delay-a.usual() > tooLate {
		return true
	}
	asked := now.Sub(a.settled.since) < settledFor && a.delay < a.settled.least+settledBy
	return a.margin() < littleLeft && !asked
}

// glanced judges the music at this moment. While nothing comes nobody knows: most likely
// it stopped further up.
func (a *arrival) glanced(now time.Time, serverUs int64) {
	word := time.Duration(serverUs-a.sent)*time.Microsecond - messages.StampEvery // the next one is due
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
}

// late says whether ancestors are to be asked whether they are ahead.
func (a *arrival) late() bool {
	return a.slow >= lateGlances || a.lates >= upstreamGlances
}

// margin is how long before its time the newest item came.
func (a *arrival) margin() time.Duration { return messages.Slack - a.delay }

// urgent says whether there is little time left to find somebody who has the music earlier.
func (a *arrival) urgent() bool { return a.known && a.margin() < urgently }

// starved is how long no music has come; hungry, whether that is too long.
func (a *arrival) starved(now time.Time) time.Duration { return now.Sub(a.heard) }
func (a *arrival) hungry(now time.Time) bool           { return a.starved(now) >= starving }
