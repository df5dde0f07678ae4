package player

import (
	"context"
	"time"

	"conga/messages"
)

// noteEvery is how often the figures are brought up to date while nothing comes.
const noteEvery = 200 * time.Millisecond

// none is for hundreds of listeners on one machine: their players decode nothing and
// only count. A chunk that is not there when a loudspeaker would need it is an
// underrun all the same. As an Output it is a null.
type none struct{ null }

func (none) Name() string { return "none" }

// keepBooks takes the place of decode and output if nobody listens.
func (e *engine) keepBooks(ctx context.Context) {
	e.deck.connect(e.cfg.Output.Name(), 0, false, "", 0)
	note := time.NewTimer(noteEvery)
	defer note.Stop()
	for next := uint64(0); ; {
		var item *messages.Item
		select {
		case in := <-e.items:
			item = in.item
			next = e.follow(next, item)
		case <-note.C:
		case <-ctx.Done():
			return
		}
		e.deck.book(item)
		note.Reset(noteEvery)
	}
}

// book records an item, or with nil that time has passed.
func (d *deck) book(item *messages.Item) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	wanted := now + messages.LoudspeakerAhead.Microseconds()
	if d.running && wanted >= d.edge.us() { // everything before it has been played
		d.starve(wanted-max(d.edge.us(), d.filledAt), "")
		d.filledAt = wanted
	}
	if item != nil && item.Change == nil && timed(item) && !strays(item, now) {
		d.bookChunk(item, wanted)
	}
	d.listen(now)
}

func (d *deck) bookChunk(item *messages.Item, wanted int64) {
	end := moment{item.PlayAt(), int64(expectedFrames(item)) * samples, int64(item.Song.GetSampleRate())}
	if end.us() <= wanted { // it came too late to be heard
		return
	}
	if d.running {
		d.fed()
		d.quiet(max(0, item.PlayAt()-max(wanted, d.edge.us())-toleranceUs))
	}
	d.running, d.edge = true, end
	// A line that was never started is the server's clock itself, at outputRate.
	d.marks = append(d.marks, mark{int64(float64(item.PlayAt()) * framesPerUs), item})
}
