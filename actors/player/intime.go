package player

import (
	"math"
	"time"

	"conga/messages"
)

const (
	// toldEveryUs is how often a move of the sound is told at most; leastToldUs is one that is worth it.
	toldEveryUs, leastToldUs = 10_000_000, 1000
	// outUs is how far from the others nobody is in time any more: ears hear two sounds.
	outUs = 20_000
	// lateWakeUs between two blocks of sound is longer than a machine with time for it takes.
	lateWakeUs = 150_000
	// Each second out of time fills a bucket by one, a large move by largeMoveS; each second in time empties it a little.
	// Full at outFullS, it is told, and again only after it was empty.
	outFullS, largeMoveS, emptiesS = 10, 3, 0.1
)

// timing watches how well a listener is in time. Its zero value is ready.
type timing struct {
	aheadUs  float64 // the deck's ahead, some seconds ago
	untold   uint32  // moves
	toldAt   int64   // local µs of the last that was told; 0: none
	outS     float64 // see outFullS
	wakes    float64 // late ones lately
	clockBad float64 // seconds lately in which the server's clock was not known well
	told     bool
}

// moved is called when the sound was moved.
func (d *deck) moved(us float64, cause messages.PlayerStepped_Cause, cut bool, now, local int64) {
	t := &d.timing
	if cause == messages.PlayerStepped_CAUSE_UNSPECIFIED {
		cause = d.whyMoved(us)
	}
	if cause != messages.PlayerStepped_CAUSE_OFFSET && cause != messages.PlayerStepped_CAUSE_START && math.Abs(us) >= outUs {
		t.outS += largeMoveS
	}
	t.aheadUs = float64(d.ahead)
	t.untold++
	if math.Abs(us) < leastToldUs || t.toldAt != 0 && local-t.toldAt < toldEveryUs {
		return
	}
	d.report(&messages.PlayerStepped{Us: int64(us), Cause: cause, Cut: cut, Times: t.untold, AtUnixUs: now})
	t.untold, t.toldAt = 0, max(1, local)
}

// whyMoved is why the sound was wrong by that much.
func (d *deck) whyMoved(us float64) messages.PlayerStepped_Cause {
	switch {
	case math.Abs(float64(d.ahead)-d.timing.aheadUs) > math.Abs(us)/2:
		return messages.PlayerStepped_CAUSE_CLOCK
	case d.steer.ageS < youngS:
		return messages.PlayerStepped_CAUSE_START
	}
	return messages.PlayerStepped_CAUSE_DEVICE
}

// watch takes how it is now, so many seconds after the last time. It returns why this listener is out of time, when
// that is to be told.
func (t *timing) watch(seconds, aheadUs, errorUs, clockErrorUs float64) (reason string) {
	const remembersS = 3
	if t.aheadUs == 0 {
		t.aheadUs = aheadUs
	}
	t.aheadUs += (aheadUs - t.aheadUs) * min(1, seconds/remembersS)
	if seconds*1e6 > lateWakeUs {
		t.wakes++
	}
	if clockErrorUs > outUs {
		t.clockBad += seconds
	}
	if math.Abs(errorUs) > outUs || clockErrorUs > outUs {
		t.outS = min(outFullS, t.outS+seconds)
	} else {
		t.outS = max(0, t.outS-seconds*emptiesS)
	}
	switch {
	case t.outS == 0:
		t.told, t.wakes, t.clockBad = false, 0, 0
	case t.outS >= outFullS && !t.told:
		t.told = true
		return t.reason()
	}
	return ""
}

func (t *timing) reason() string {
	switch {
	case t.clockBad > outFullS/3:
		return "this listener cannot play within 20 ms of the others: its way to the server is too uneven to know the server's clock; a cable instead of wireless helps, or less traffic beside it"
	case t.wakes >= outFullS/3:
		return "this listener cannot play within 20 ms of the others: this machine is too busy to wake it in time; end other programs, or play on another machine"
	}
	return "this listener cannot play within 20 ms of the others: its loudspeaker does not say when it plays; another device helps, or a sound server (PulseAudio, PipeWire)"
}

// keepWatch tells once if this listener cannot be in time.
func (d *deck) keepWatch(now int64) {
	errorUs := time.Duration(0)
	if d.clockError != nil {
		errorUs = d.clockError()
	}
	since := min(1, max(0, float64(now-d.filledAt)/1e6))
	if reason := d.timing.watch(since, float64(d.ahead), d.steer.errorUs, float64(errorUs.Microseconds())); reason != "" {
		d.report(&messages.PlayerOutOfTime{Reason: reason, AtUnixUs: now})
	}
}
