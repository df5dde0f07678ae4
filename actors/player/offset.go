package player

import (
	"time"

	"conga/messages"
)

// Offsets keeps how much later than a device says its sound is heard, because of an amplifier or a wireless box that
// its driver does not know. Any goroutine may call its methods; they must not block.
type Offsets interface {
	// Of is the offset of a device; 0 if it has none.
	Of(device string) time.Duration
	// Keep is called when a listener has set it.
	Keep(device string, offset time.Duration)
}

// MaxOffset bounds an offset, because the listener needs the music that much earlier than others.
const MaxOffset = 500 * time.Millisecond

type noOffsets struct{}

func (noOffsets) Of(string) time.Duration    { return 0 }
func (noOffsets) Keep(string, time.Duration) {}

// Plays is called by the output.
func (e *engine) Plays(device string) {
	e.deck.plays(device, e.offsetOf(device))
}

func (e *engine) offsetOf(device string) time.Duration {
	return min(MaxOffset, max(-MaxOffset, e.cfg.Offsets.Of(device)))
}

// changeOffset carries out ChangeOffset for the device that plays now.
func (e *engine) changeOffset(change func(time.Duration) time.Duration) messages.DeviceOffset {
	now := e.deck.changeOffset(func(before time.Duration) time.Duration {
		if change == nil {
			return before
		}
		return min(MaxOffset, max(-MaxOffset, change(before)))
	})
	if change != nil && now.Device != "" {
		e.cfg.Offsets.Keep(now.Device, now.Offset)
	}
	return now
}

// plays records that another device plays from now on, with its own offset.
func (d *deck) plays(device string, offset time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Device = device
	d.shift(offset)
}

func (d *deck) changeOffset(change func(time.Duration) time.Duration) messages.DeviceOffset {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.Device == "" {
		return messages.DeviceOffset{}
	}
	now := change(time.Duration(d.OffsetUs) * time.Microsecond).Round(time.Microsecond)
	d.shift(now)
	return messages.DeviceOffset{Device: d.Device, Offset: now}
}

// shift changes the offset, and owes the sound the step to it.
func (d *deck) shift(offset time.Duration) {
	more := offset.Microseconds() - d.OffsetUs
	d.OffsetUs += more
	d.latency += more
	d.owedUs += more
}

// pay makes the step that is owed, if all that music is here. If not, it counts as an error and is corrected like any
// other. False: another step must end first.
func (d *deck) pay(now, local int64) bool {
	switch {
	case d.owedUs == 0:
		return true
	case d.in.fade > 0:
		return false
	}
	if d.step(float64(d.owedUs)) {
		d.Steps++
		d.moved(float64(d.owedUs), messages.PlayerStepped_CAUSE_OFFSET, false, now, local)
	}
	d.owedUs = 0
	return true
}
