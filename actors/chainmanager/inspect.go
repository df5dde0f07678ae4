package chainmanager

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"conga/actors/internal/seal"
	"conga/messages"
)

const (
	// auditTakes is how long the server looks at an accused node: several seals, and long enough
	// for a slow line to fall behind. Who sends nothing is found earlier.
	auditTakes = 6 * time.Second
	// auditStarves is how long a node may send no music while the server does.
	auditStarves = 2500 * time.Millisecond
	// auditItems is how many items prove that it does its part.
	auditItems = 20
	// fallsBehind is how much later than at its best a node may send; beyond that it uses up the
	// slack of all who are fed by it. tooLittle is how long before its time music must come.
	fallsBehind = 400 * time.Millisecond
	tooLittle   = 300 * time.Millisecond
)

// finding is what an audit has found so far.
type finding int

const (
	looking  finding = iota // not enough yet
	nothing                 // it could not look: the node refuses, leaves, or there is no music
	sound                   // the node does its part
	atFault                 // it does not
	passedOn                // it does not, because whoever feeds it does not
)

// inspection looks at what a node sends, as its listener would. It reads no clock.
type inspection struct {
	key   ed25519.PublicKey
	began time.Time

	opened bool
	seal   *messages.Seal
	song   *messages.SongChange
	next   uint64 // 0 before the first
	items  int
	heard  time.Time     // the last item
	best   time.Duration // the least that an item was late, of those sent live
	late   time.Duration // the last one

	fault  messages.Fault
	reason string
}

func newInspection(key ed25519.PublicKey, now time.Time) *inspection {
	return &inspection{key: key, began: now, heard: now}
}

func (i *inspection) blame(fault messages.Fault, format string, args ...any) finding {
	i.fault, i.reason = fault, fmt.Sprintf(format, args...)
	return atFault
}

// answered notes that the node has let the server in.
func (i *inspection) answered() { i.opened = true }

// sealed takes a seal that came BEFORE its items. One of an earlier epoch is no lie: the node may
// have kept what a server before this one sealed with the same key.
func (i *inspection) sealed(s *messages.Seal) finding {
	if err := seal.Verify(i.key, s); err != nil {
		return i.blame(messages.Fault_FAULT_LYING, "%v", err)
	}
	i.seal = s
	return looking
}

// took takes an item.
func (i *inspection) took(item *messages.Item, now time.Time) finding {
	if err := seal.Check(i.seal, item); err != nil {
		return i.blame(messages.Fault_FAULT_LYING, "%v", err)
	}
	if item.Change != nil {
		i.song = item.Change
	}
	switch {
	case item.Change != nil && item.Number < i.next, item.Change != nil && i.next == 0:
		return looking // it tells where in the song a newcomer is
	case i.song == nil:
		return i.blame(messages.Fault_FAULT_LYING, "chunk %d belongs to no song", item.Number)
	case i.next > 0 && item.Number < i.next:
		return i.blame(messages.Fault_FAULT_LYING, "item %d again", item.Number)
	case i.next > 0 && item.Number > i.next:
		return i.blame(messages.Fault_FAULT_SKIPPING, "items %d to %d are left out", i.next, item.Number-1)
	}
	i.next, i.heard = item.Number+1, now
	i.items++
	i.measure(item, now)
	return looking
}

// measure notes how much later than the server sent it the item came. A newcomer gets the first
// ones at once, long after they were sent: the least is when that is over.
func (i *inspection) measure(item *messages.Item, now time.Time) {
	item.Song = i.song
	i.late = now.Sub(time.UnixMicro(item.PlayAt())) + messages.Slack
	if i.items == 1 || i.late < i.best {
		i.best = i.late
	}
}

// left notes that the connection is over.
func (i *inspection) left(fault messages.Fault, reason string) finding {
	switch {
	case fault == messages.Fault_FAULT_UNSPECIFIED, fault == messages.Fault_FAULT_GONE && i.items > 0:
		return nothing // it refuses; or it goes, or had enough of this listener
	}
	return i.blame(fault, "%s", reason)
}

// look says what is to be said at now; sent is how many items the server has sent meanwhile.
func (i *inspection) look(now time.Time, sent uint64) finding {
	over := now.Sub(i.began) >= auditTakes
	switch {
	case now.Sub(i.heard) >= auditStarves && i.opened && sent >= auditItems/2:
		return i.blame(messages.Fault_FAULT_STARVING, "it sent no music for %v", auditStarves)
	case !over:
		return looking
	case i.items < auditItems && sent < auditItems:
		return nothing
	case i.late-i.best > fallsBehind:
		return i.blame(messages.Fault_FAULT_SLOW, "its music came ever later, by %d ms in %v", (i.late - i.best).Milliseconds(), auditTakes)
	case messages.Slack-i.late < tooLittle:
		return i.blame(messages.Fault_FAULT_SLOW, "its music came only %d ms before its time", (messages.Slack - i.late).Milliseconds())
	}
	return sound
}

// blamed says whose fault it is that the accused is late, after a look at whoever feeds it in the
// same time; nil: the server could not look there.
func blamed(accused, feeder *look) finding {
	switch {
	case feeder == nil:
		return nothing // who knows
	case feeder.found == atFault:
		return passedOn
	case feeder.found != sound:
		return feeder.found
	case accused.seen.fault == messages.Fault_FAULT_SLOW && !accused.seen.adds(feeder.seen):
		return nothing // the last of many who are each a little late
	}
	return atFault
}

// adds says whether a good part of the lateness comes between the two.
func (i *inspection) adds(above *inspection) bool {
	return max(i.late-above.late, (i.late-i.best)-(above.late-above.best)) > fallsBehind/2
}
