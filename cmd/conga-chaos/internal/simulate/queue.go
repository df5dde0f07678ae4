package simulate

import "conga/messages"

// event is something that happens at a time. The fields that a kind does not need are empty.
type event struct {
	at     int64 // microseconds since the beginning
	order  uint64
	kind   kind
	lacks  lacks
	stream *stream
	who    *listener
	item   *messages.Item
	sent   int64 // a stamp, or when a ping was sent
	do     func()
}

type kind uint8

const (
	does       kind = iota // do
	arrives                // item, with what the stream lacked before it
	looks                  // who judges the music
	silence                // has the stream been silent for too long?
	continues              // the stream's uplink has room again
	heartbeats             // has the stream said nothing for a heartbeat?
	asks                   // who may ask for the time
	pings                  // who has asked
)

// lacks says what goes before an item on a stream.
type lacks uint8

const (
	lacksSeal lacks = 1 << iota
	lacksSong
)

func (e *event) before(other *event) bool {
	return e.at < other.at || e.at == other.at && e.order < other.order
}

// queue gives out events in the order of their times, and those of one time in the order in which they came. Nearly all
// events are due within seconds, so it sorts them into slots of a millisecond first, and only the present slot in full:
// with a million events waiting that is several times as fast as one heap.
type queue struct {
	slot  int64 // the present one's number
	now   heap  // its events, and earlier ones
	slots [slots][]event
	near  int  // events in slots
	far   heap // events behind the last slot
	order uint64
}

const (
	slotBits = 10 // microseconds, as a power of two
	slots    = 4096
)

func (q *queue) push(e event) {
	q.order++
	e.order = q.order
	switch slot := e.at >> slotBits; {
	case slot <= q.slot:
		q.now.push(e)
	case slot < q.slot+slots:
		q.slots[slot%slots] = append(q.slots[slot%slots], e)
		q.near++
	default:
		q.far.push(e)
	}
}

// pop returns the next event; false if there is none.
func (q *queue) pop() (event, bool) {
	for len(q.now) == 0 {
		switch {
		case q.near > 0:
			q.slot++
		case len(q.far) > 0:
			q.slot = q.far[0].at >> slotBits
		default:
			return event{}, false
		}
		at := &q.slots[q.slot%slots]
		q.near -= len(*at)
		q.now, *at = heap(*at), q.now[:0]
		q.now.order()
		for len(q.far) > 0 && q.far[0].at>>slotBits < q.slot+slots {
			e := q.far.pop()
			if slot := e.at >> slotBits; slot <= q.slot {
				q.now.push(e)
			} else {
				q.slots[slot%slots] = append(q.slots[slot%slots], e)
				q.near++
			}
		}
	}
	return q.now.pop(), true
}

// heap is a binary heap, the next event first. Package container/heap would allocate each event.
type heap []event

func (h *heap) push(e event) {
	*h = append(*h, e)
	all := *h
	i := len(all) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(&all[up]) {
			break
		}
		all[i] = all[up]
		i = up
	}
	all[i] = e
}

func (h *heap) pop() event {
	all := *h
	first, last := all[0], all[len(all)-1]
	all[len(all)-1] = event{}
	all = all[:len(all)-1]
	*h = all
	if len(all) > 0 {
		all[0] = last
		h.sink(0)
	}
	return first
}

func (h *heap) order() {
	for i := len(*h)/2 - 1; i >= 0; i-- {
		h.sink(i)
	}
}

func (h *heap) sink(i int) {
	all := *h
	e := all[i]
	for {
		down := 2*i + 1
		if down >= len(all) {
			break
		}
		if down+1 < len(all) && all[down+1].before(&all[down]) {
			down++
		}
		if !all[down].before(&e) {
			break
		}
		all[i] = all[down]
		i = down
	}
	all[i] = e
}
