package player

import (
	"context"
	"sync"
	"time"

	"conga/messages"
)

// none is for hundreds of listeners on one machine: their players decode nothing and
// only count. A chunk that is not there when a loudspeaker would need it is an
// underrun all the same. As an Output it is a null.
type none struct{ null }

func (none) Name() string { return "none" }

// keepBooks takes the place of all other goroutines if nobody listens. It waits: an item is noted in the goroutine that
// brings it, if the source can do that, and a timer does what the time demands while none come.
func (e *engine) keepBooks(ctx context.Context) {
	e.deck.connect(e.cfg.Output.Name(), 0, false, "", 0)
	n := &notes{engine: e}
	n.begin()
	defer n.end()
	e.read(ctx, func(ctx context.Context, source Source) (*messages.Item, error) {
		if f, is := source.(follower); is {
			return f.Follow(ctx, nil, n.direct)
		}
		return source.Next(ctx)
	}, n.take)
}

// follower is a Source that gives new items to direct at once, while it waits: see window.Cursor.
type follower interface {
	Follow(ctx context.Context, wake <-chan time.Time, direct func(item *messages.Item, more bool) bool) (*messages.Item, error)
}

// noteEvery is longer than a chunk, so that the timer has nothing to do while music comes.
const noteEvery = 150 * time.Millisecond

// notes brings the books up to date with every item, and with every beat of the heart.
type notes struct {
	*engine
	next uint64 // the item that should come next

	mu    sync.Mutex
	timer *time.Timer
	ended bool
}

func (n *notes) begin() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.timer = time.AfterFunc(0, n.note)
}

// direct takes an item in the goroutine that brings it, which must not wait.
func (n *notes) direct(item *messages.Item, _ bool) (taken bool) {
	defer n.guard()
	n.deck.received(item)
	n.take(item)
	return true
}

func (n *notes) take(item *messages.Item) {
	n.next = n.follow(n.next, item)
	n.heart.beat(time.Since(n.birth))
	n.deck.book(item)
	wait := noteEvery
	if len(n.facts) > 0 {
		wait = 0 // whoever takes them may wait
	}
	n.timer.Reset(wait)
}

func (n *notes) note() {
	defer n.guard()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		return
	}
	n.heart.beat(time.Since(n.birth))
	n.deck.book(nil)
	for len(n.facts) > 0 { // nobody else takes them
		n.cfg.Report(<-n.facts)
	}
	n.timer.Reset(noteEvery)
}

// end waits until no note is under way.
func (n *notes) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = true
	n.timer.Stop()
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
	if !d.running && !d.mayBegin(end.us()-wanted) {
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
