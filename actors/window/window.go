// Package window keeps the last seconds of the broadcast for all readers of a node: its
// next listener, its player, an orphan that must catch up.
//
// There is one writer and any number of readers. An item is kept once, however many read it.
// Each reader has its own cursor and holds up no other: a reader that falls behind the oldest
// kept item gets ErrFellOut.
package window

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"conga/messages"
)

// maxItems and maxBytes bound a window, whatever its peer sends: twelve seconds of the
// shortest chunks are about 330 items, and a second of mp3 has at most 40,000 bytes.
const (
	maxItems = 512
	maxBytes = 1 << 20
)

// ErrFellOut tells a reader that what it needs next is no longer kept.
var ErrFellOut = errors.New("reader fell out of the window")

// ErrClosed tells a reader that the window is closed and everything is read.
var ErrClosed = errors.New("window closed")

// Window is the ring of items. Its methods may be called by any goroutine; Append
// by one at a time.
type Window struct {
	mu      sync.Mutex
	items   []*messages.Item // ascending by Number, holes allowed
	bytes   int
	next    uint64        // one more than the newest item, 0 before the first
	floor   uint64        // the newest item dropped, 0 if none was
	changed chan struct{} // closed at the next append, if somebody waits for it; else nil
	follow  []*Cursor     // that wait in Follow
	closed  bool
	life    int // counts the restarts
}

// New returns an empty window.
func New() *Window { return &Window{} }

// Append adds the items, whose Song must be set. The error says that a number is not above all earlier ones; the items
// before it are added. Items are dropped whose play-out time is more than messages.Window before the
// newest one's. After Close new items are dropped, too, without an error: when a node stops, the
// writer may be the last to learn it. Readers that follow have the items before the others.
func (w *Window) Append(items ...*messages.Item) error {
	added, follow, err := w.add(items)
	for _, c := range slices.Backward(follow) { // the last first: a node's own player follows before its streams do, and can wait for them
		c.offer(items[:added])
	}
	w.wake()
	return err
}

// add returns how many items it has taken, and the readers that follow. Those that come later find the items in the window.
func (w *Window) add(items []*messages.Item) (added int, follow []*Cursor, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, item := range items {
		if item.Number < w.next || item.Number == 0 {
			return added, w.follow, fmt.Errorf("item %d after item %d: numbers only grow", item.Number, w.next-1)
		}
		w.next = item.Number + 1
		if w.closed {
			continue
		}
		added++
		w.items = append(w.items, item)
		w.bytes += len(item.Payload)
		w.drop(item.PlayAt() - messages.Window.Microseconds())
	}
	return added, w.follow, nil
}

// wake wakes the readers that wait in Next.
func (w *Window) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// drop drops the items with a play-out time before horizon, and the oldest beyond the bounds.
func (w *Window) drop(horizon int64) {
	old := 0
	for old < len(w.items)-1 && (w.items[old].PlayAt() < horizon || len(w.items)-old > maxItems || w.bytes > maxBytes) {
		w.bytes -= len(w.items[old].Payload)
		w.floor = w.items[old].Number
		w.items[old] = nil // the backing array lives on until append moves it
		old++
	}
	w.items = w.items[old:]
}

// Next returns the number that the next item will have if nothing is lost; 0 before the first item.
func (w *Window) Next() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next
}

// Last returns the newest item, nil if the window is empty.
func (w *Window) Last() *messages.Item {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.items) == 0 {
		return nil
	}
	return w.items[len(w.items)-1]
}

// Close ends the window: readers get what is left, then ErrClosed.
func (w *Window) Close() {
	w.end(func() { w.closed = true })
}

// Restart drops all items and numbers because another broadcast begins. Readers get messages.ErrAnew.
func (w *Window) Restart() {
	w.end(func() {
		w.items, w.bytes, w.next, w.floor = nil, 0, 0, 0
		w.life++
	})
}

// end makes the change and wakes all readers.
func (w *Window) end(change func()) {
	w.mu.Lock()
	change()
	follow := w.follow
	w.mu.Unlock()
	for _, c := range follow {
		c.stop()
	}
	w.wake()
}

// Open returns a cursor that begins at number next, or at the oldest kept item after it: the
// reader sees the hole by the number of its first item.
func (w *Window) Open(next uint64) *Cursor {
	return w.cursor(next, 0)
}

func (w *Window) cursor(next uint64, playAt int64) *Cursor {
	w.mu.Lock()
	defer w.mu.Unlock()
	return &Cursor{w: w, next: next, playAt: playAt, fresh: true, life: w.life, stopped: make(chan struct{}, 1)}
}

// OpenAt returns a cursor that begins at the first item with a play-out time of playAt
// (microseconds on the server's clock) or later; if there is none yet, at the first that comes.
// It does not return the song change before a chunk: Item.Song has it.
func (w *Window) OpenAt(playAt int64) *Cursor {
	return w.cursor(0, playAt)
}

// For returns a cursor that begins where the listener wants to: OpenStream says it.
func (w *Window) For(open *messages.OpenStream) *Cursor {
	if open.GetNext() > 0 {
		return w.Open(open.GetNext())
	}
	return w.OpenAt(open.GetPlayAtUnixUs())
}

// Direct takes an item in the goroutine that brings it, and says whether it has. If more is true, another item follows at
// once, so a reader may wait for that. It must not wait for anything, and not call the window.
type Direct = func(item *messages.Item, more bool) (taken bool)

// Cursor is one reader's place. It belongs to one goroutine.
type Cursor struct {
	w      *Window
	next   uint64
	playAt int64
	fresh  bool // it has read nothing yet, and may begin after next
	life   int  // the window's life when the cursor was opened

	// While Follow waits, the goroutine of Append has the fields above and this function, else it is nil.
	mu      sync.Mutex
	direct  Direct
	stopped chan struct{} // has room for one: direct has been taken away
}

// Next waits for the reader's next item. Items come in the order of their numbers; a missing
// number was lost above this node.
func (c *Cursor) Next(ctx context.Context) (*messages.Item, error) {
	for {
		item, changed, err := c.take()
		if item != nil || err != nil {
			return item, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Follow is Next, but while it waits, Append gives each new item to direct. If that does not take an item, Follow returns
// it. If wake fires and there is no item, Follow returns neither item nor error.
func (c *Cursor) Follow(ctx context.Context, wake <-chan time.Time, direct Direct) (*messages.Item, error) {
	select {
	case <-c.stopped: // of the last time
	default:
	}
	if item, err := c.join(direct); item != nil || err != nil {
		return item, err
	}
	var err error
	select {
	case <-c.stopped:
	case <-wake:
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.part()
	if err != nil {
		return nil, err
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return c.find()
}

// join makes the cursor follow, unless there is an item for it already.
func (c *Cursor) join(direct Direct) (*messages.Item, error) {
	w := c.w
	w.mu.Lock()
	defer w.mu.Unlock()
	item, err := c.find()
	if item == nil && err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.direct = direct
		w.follow = append(slices.Clip(w.follow), c) // Append has the old list
	}
	return item, err
}

// part ends that. After it, direct is not called any more.
func (c *Cursor) part() {
	w := c.w
	w.mu.Lock()
	w.follow = slices.DeleteFunc(slices.Clone(w.follow), func(other *Cursor) bool { return other == c })
	w.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.direct = nil
}

// offer gives the items to the reader.
func (c *Cursor) offer(items []*messages.Item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, item := range items {
		switch {
		case c.direct == nil:
			return
		case !c.wants(item):
		case c.direct(item, i+1 < len(items)):
			c.next, c.fresh = item.Number+1, false
		default:
			c.stopLocked()
		}
	}
}

// More reports whether Next would not wait for an item.
func (c *Cursor) More() bool {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return c.life == c.w.life && len(c.w.items) > 0 && c.wants(c.w.items[len(c.w.items)-1])
}

// stop makes Follow return.
func (c *Cursor) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopLocked()
}

func (c *Cursor) stopLocked() {
	c.direct = nil
	select {
	case c.stopped <- struct{}{}:
	default:
	}
}

// wants reports whether the item is not before the reader's place.
func (c *Cursor) wants(item *messages.Item) bool {
	if c.next == 0 {
		return item.PlayAt() >= c.playAt
	}
	return item.Number >= c.next
}

// take returns the next item, or the channel that is closed when there may be one.
func (c *Cursor) take() (*messages.Item, <-chan struct{}, error) {
	w := c.w
	w.mu.Lock()
	defer w.mu.Unlock()
	item, err := c.find()
	if item != nil || err != nil {
		return item, nil, err
	}
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return nil, w.changed, nil
}

// find takes the next item, nil if there is none yet. w.mu is held.
func (c *Cursor) find() (*messages.Item, error) {
	w := c.w
	if c.life != w.life {
		return nil, messages.ErrAnew
	}
	if !c.fresh && c.next <= w.floor {
		return nil, fmt.Errorf("item %d: %w", c.next, ErrFellOut)
	}
	at := sort.Search(len(w.items), func(i int) bool { return c.wants(w.items[i]) })
	if at == len(w.items) {
		if w.closed {
			return nil, ErrClosed
		}
		return nil, nil
	}
	item := w.items[at]
	c.next, c.fresh = item.Number+1, false
	return item, nil
}

// Close ends the reading. A cursor holds nothing, so there is nothing to give back.
func (c *Cursor) Close() {}
