package chainmanager

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"conga/actors/internal/seal"
	"conga/messages"
)

const (
	// auditTakes is how long the server audits an accused node: several seals, and long enough
	// for a slow line to fall behind. A node that sends nothing is found earlier.
	auditTakes = 6 * time.Second
	// auditStarves is how long a node may send no music while the server does.
	auditStarves = 2500 * time.Millisecond
	// auditItems is how many items prove that a node does its part.
	auditItems = 20
	// fallsBehind is how much later than at its best a node may send; beyond that it uses up the
	// slack of all that it feeds. tooLittle is how long before its play-out time music must come.
	fallsBehind = 400 * time.Millisecond
	tooLittle   = 300 * time.Millisecond
)

// finding is what an audit has found so far.
type finding int

const (
	looking  finding = iota // not enough yet
	nothing                 // the audit is impossible: the node refuses, leaves, or there is no music
	sound                   // the node does its part
	atFault                 // it does not
	passedOn                // it does not, because its upstream does not
)

// inspection checks what a node sends, as its listener would. It reads no clock.
type inspection struct {
	key   ed25519.PublicKey
	began time.Time
	seen  time.Time // the last look

	opened bool
	seal   *messages.Seal
	song   *messages.SongChange
	next   uint64 // 0 before the first
	items  int
	heard  time.Time     // when the last item came
	best   time.Duration // the lowest lateness of an item, as in measure
	late   time.Duration // the last item's lateness
	margin time.Duration // from when the last item came to its play-out

	fault  messages.Fault
	reason string
}

func newInspection(key ed25519.PublicKey, now time.Time) *inspection {
	return &inspection{key: key, began: now, seen: now, heard: now}
}

func (i *inspection) blame(fault messages.Fault, format string, args ...any) finding {
	i.fault, i.reason = fault, fmt.Sprintf(format, args...)
	return atFault
}

// answered notes that the node has let the server in.
func (i *inspection) answered() { i.opened = true }

// sealed takes a seal. A seal of an earlier epoch is no lie: the node may still have music that an earlier
// run of the server sealed with the same key.
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
		return looking // it tells a newcomer which song it is in
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

// measure records how much later than the server sent it the item came. A newcomer gets the first items
// at once, long after the server sent them; best is reached when that is over.
func (i *inspection) measure(item *messages.Item, now time.Time) {
	item.Song = i.song
	i.late, i.margin = now.Sub(time.UnixMicro(item.Due())), time.UnixMicro(item.PlayAt()).Sub(now)
	if i.items == 1 || i.late < i.best {
		i.best = i.late
	}
}

// left records that the connection is over.
func (i *inspection) left(fault messages.Fault, reason string) finding {
	switch {
	case fault == messages.Fault_FAULT_UNSPECIFIED, fault == messages.Fault_FAULT_GONE && i.items > 0:
		return nothing // it refuses; or it leaves, or has ended this stream
	}
	return i.blame(fault, "%s", reason)
}

// look returns the finding at now; sent is how many items the server has sent meanwhile. It is due every auditGlance: if it
// comes late, the server did not run, and cannot tell its own lateness from the node's.
func (i *inspection) look(now time.Time, sent uint64) finding {
	over, late := now.Sub(i.began) >= auditTakes, now.Sub(i.seen) > 2*auditGlance
	i.seen = now
	switch {
	case late:
		return nothing
	case now.Sub(i.heard) >= auditStarves && i.opened && sent >= auditItems/2:
		return i.blame(messages.Fault_FAULT_STARVING, "it sent no music for %v", auditStarves)
	case !over:
		return looking
	case i.items < auditItems && sent < auditItems:
		return nothing
	case i.late-i.best > fallsBehind:
		return i.blame(messages.Fault_FAULT_SLOW, "its music came later and later, by %d ms in %v", (i.late - i.best).Milliseconds(), auditTakes)
	case i.margin < tooLittle:
		return i.blame(messages.Fault_FAULT_SLOW, "its music came only %d ms before its play-out time", i.margin.Milliseconds())
	}
	return sound
}

// blamed decides whose fault it is that the accused is late, from what the accused and its feeder sent in
// the same time. feeder is nil if the server could not audit it.
func blamed(accused, feeder *look) finding {
	switch {
	case feeder == nil:
		return nothing // it cannot be told
	case feeder.found == atFault:
		return passedOn
	case feeder.found != sound:
		return feeder.found
	case accused.seen.fault == messages.Fault_FAULT_SLOW && !accused.seen.adds(feeder.seen):
		return nothing // it is the last of many that are each a little late
	}
	return atFault
}

// adds reports whether a good part of the lateness arises between the two.
func (i *inspection) adds(above *inspection) bool {
	return max(i.late-above.late, (i.late-i.best)-(above.late-above.best)) > fallsBehind/2
}
