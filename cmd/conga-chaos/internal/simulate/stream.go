package simulate

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"conga/actors/window"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/messages"
	"conga/transport"
)

// party is who passes music on: the server or a listener.
type party struct {
	node   *messages.Node
	spot   spot
	window *window.Window
	up     uplink
	down   []*stream
	state  state
	self   *listener // nil: the server
	sent   int64     // bytes
}

// state is whether a party answers.
type state uint8

const (
	lives    state = iota
	leaving        // it has said so, and refuses
	gone           // its host says that nobody listens there
	vanished       // nobody answers
)

// stream is a connection over which music comes.
type stream struct {
	number uint64
	from   *party
	to     *listener
	open   *messages.OpenStream
	way    int64 // microseconds, each way
	after  int64 // when the last thing arrives that was sent

	closed bool  // to has closed it, or knows that it has ended
	ended  bool  // from has closed it, or knows that to has
	heard  int64 // when to heard from it last
	late   int64 // a stamp that came without an item

	cursor     *window.Cursor
	head       bool   // the cursor has given out all that is in the window
	last       uint64 // the newest item that was sent
	song       *messages.SongChange
	seal       *messages.Seal
	stamped    int64
	spoke      int64
	beginsWith uint64 // the item with which the listener goes on; it knows its song
}

// done is a context that has ended: a cursor gives what is there, and waits for nothing.
var done = func() context.Context {
	ctx, end := context.WithCancel(context.Background())
	end()
	return ctx
}()

// take returns the stream's next item, nil if there is none yet. The stream ends if its listener has fallen out of the
// window.
func (w *world) take(s *stream) *messages.Item {
	item, err := s.cursor.Next(done)
	switch {
	case item != nil:
		return item
	case !errors.Is(err, context.Canceled):
		w.end(s)
	}
	s.head = true
	return nil
}

// pump sends what there is.
func (w *world) pump(s *stream) {
	for !s.ended {
		if until := s.from.up.full(w.now); until > 0 {
			s.head = false
			w.at(event{at: max(until, w.now+1), kind: continues, stream: s})
			return
		}
		item := w.take(s)
		if item == nil {
			return
		}
		w.send(s, item)
	}
}

// give passes a new item on.
func (w *world) give(p *party) {
	for _, s := range p.down {
		if !s.head || s.ended {
			continue
		}
		if s.head = false; p.up.full(w.now) > 0 {
			w.pump(s)
			continue
		}
		if item := w.take(s); item != nil {
			w.send(s, item)
			s.head = true
		}
	}
}

// send sends an item, and before it what the listener lacks, as transport does.
func (w *world) send(s *stream, item *messages.Item) {
	e := event{kind: arrives, stream: s, item: item}
	bytes := w.air.size(item)
	if s.song == nil && item.Number == s.beginsWith {
		s.song = item.Song
	}
	if w.now-s.stamped >= messages.StampEvery.Microseconds() {
		s.stamped, e.sent = w.now, stamp(w.now)
		bytes += sizeOfStamp
	}
	if item.Seal != nil && item.Seal != s.seal {
		s.seal = item.Seal
		e.lacks |= lacksSeal
		bytes += sizeOfSeal(item.Seal)
	}
	if item.Change == nil && item.Song.GetNumber() != s.song.GetNumber() {
		e.lacks |= lacksSong
		bytes += w.air.size(w.air.songs[item.Song.GetNumber()])
	}
	s.song, s.last, s.spoke = item.Song, item.Number, w.now
	w.deliver(s, bytes, e)
}

// stamp is a time as a stream carries it, in milliseconds.
func stamp(now int64) int64 { return (startsAt + now) / 1000 * 1000 }

// deliver lets the event happen when so many bytes have come to the stream's listener.
func (w *world) deliver(s *stream, bytes int, e event) {
	left := w.now
	if s.to.state != vanished { // nothing goes out to whom nobody acknowledges anything
		left = s.from.up.send(w.now, bytes)
		s.from.sent += int64(bytes)
	}
	e.at = max(s.after, left+w.shakes(s.way)+w.hop)
	s.after = e.at
	w.at(e)
}

// shakes returns how long a packet is now on a way that takes so long at best.
func (w *world) shakes(way int64) int64 {
	return way + int64(jitter*float64(way)*w.chance.ExpFloat64())
}

// arrived hands an item to the relay that asked for it.
func (w *world) arrived(e event) {
	s, l := e.stream, e.stream.to
	if s.closed || l.state >= gone {
		return
	}
	s.heard = w.now
	if e.sent == 0 {
		e.sent, s.late = s.late, 0
	}
	if e.lacks&lacksSeal != 0 {
		w.step(l, &messages.UpstreamSeal{Link: s.number, Seal: e.item.Seal})
	}
	if e.lacks&lacksSong != 0 && !s.closed {
		w.word = messages.UpstreamItem{Link: s.number, Item: w.air.songs[e.item.Song.GetNumber()], SentUs: e.sent}
		e.sent = 0
		w.step(l, &w.word)
	}
	if !s.closed {
		w.feeding = s.from
		w.word = messages.UpstreamItem{Link: s.number, Item: e.item, SentUs: e.sent}
		w.step(l, &w.word)
		w.feeding = nil
	}
}

// dial asks a node for the music: a connection, which the systems make, then HI.
func (w *world) dial(l *listener, number uint64, open *messages.OpenStream, to *party) {
	s := &stream{number: number, from: to, to: l, open: open, way: way(l.spot, to.spot)}
	l.streams = append(l.streams, s)
	w.after(s.way, func() {
		frozen := to.self != nil && to.self.hit == schedule.Freeze // its system still takes connections
		switch state := to.state; {
		case state == vanished && !frozen:
			w.after(transport.NodePatience(l.away).Microseconds()-s.way, func() { w.broke(s, messages.Fault_FAULT_GONE, "it cannot be reached") })
		case state == leaving, state == gone:
			w.after(s.way, func() { w.broke(s, messages.Fault_FAULT_GONE, "nobody listens there") })
		default:
			w.after(s.way, func() { w.ask(s) })
		}
	})
}

// ask says HI.
func (w *world) ask(s *stream) {
	if s.closed {
		return
	}
	s.heard = w.now
	w.listen(s)
	w.after(s.way+w.hop, func() { w.asked(s) })
}

// listen waits for the stream's end by silence.
func (w *world) listen(s *stream) {
	w.at(event{at: s.heard + w.patience(s.to), kind: silence, stream: s})
}

// patience is how long the listener takes silence for life.
func (w *world) patience(l *listener) int64 {
	return transport.Patience(messages.SilenceIn(messages.Slack), l.away).Microseconds()
}

func (w *world) silent(s *stream) {
	switch {
	case s.closed || s.to.state >= gone:
	case w.now < s.heard+w.patience(s.to):
		w.listen(s)
	default:
		w.broke(s, messages.Fault_FAULT_SILENT, "silent")
	}
}

// asked answers HI, once it is clear whether the listener is expected.
func (w *world) asked(s *stream) {
	switch {
	case s.closed || s.from.state == vanished:
		return
	case s.from.state == gone:
		w.after(s.way+w.hop, func() { w.broke(s, messages.Fault_FAULT_GONE, "it ended") })
		return
	case s.from.state == leaving:
		w.after(s.way+w.hop, func() { w.broke(s, messages.Fault_FAULT_UNSPECIFIED, "refused: this node leaves") })
		return
	}
	w.expect(s, w.now+listWait)
}

const (
	// listWait and listGrace are transport's: how long an unexpected listener waits, and how long a former one is expected.
	listWait  = int64(messages.SilenceIsDeath / 2 / time.Microsecond)
	listGrace = 30 * 1_000_000
	// listLook is how often a waiting one is looked at.
	listLook = 10_000
	// firstPatience is how long the answer to HI waits for the first item.
	firstPatience = 5_000
)

func (w *world) expect(s *stream, until int64) {
	switch {
	case s.closed || s.from.state >= leaving:
	case w.expected(s.from, s.to) && w.room(s):
		w.sit(s)
	case w.expected(s.from, s.to):
		w.refuse(s, "refused: stay with the node that feeds you")
	case w.now >= until:
		w.refuse(s, "refused: the chain does not send you here")
	default:
		w.after(listLook, func() { w.expect(s, until) })
	}
}

func (w *world) refuse(s *stream, reason string) {
	w.count.Refused++
	w.after(s.way+w.hop, func() { w.broke(s, messages.Fault_FAULT_UNSPECIFIED, reason) })
}

// room reports whether the server takes the listener, as transport does; each has an address of its own.
func (w *world) room(s *stream) bool {
	if s.from.self != nil || !s.open.GetFed() || w.host.feeds[s.to.node.Id] {
		return true
	}
	inNeed := 0
	for _, other := range s.from.down {
		if other.to != s.to && !w.host.feeds[other.to.node.Id] {
			inNeed++
		}
	}
	return inNeed < w.uplink.AtMost(transport.AtMostInNeed(len(w.living)))
}

// uplinkLooks lets the server learn how many in need its uplink carries, as transport does.
func (w *world) uplinkLooks() {
	w.after(transport.UplinkLook.Microseconds(), w.uplinkLooks)
	var flows []transport.Outflow
	var fed []*stream // in need, the oldest first
	inNeed := 0
	for n, s := range w.server.down {
		from := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
		if w.plan.OneAddress {
			from = netip.IPv6Loopback()
		}
		flows = append(flows, transport.Outflow{From: netip.PrefixFrom(from, from.BitLen()), Behind: w.behind(s)})
		if w.host.feeds[s.to.node.Id] {
			continue
		}
		if inNeed++; s.open.GetFed() {
			fed = append(fed, s)
		}
	}
	out := w.uplink.Look(time.UnixMicro(w.now), transport.BehindMost(flows), inNeed, len(fed))
	for _, s := range fed[len(fed)-out:] {
		w.count.LetGo++
		w.end(s)
	}
}

// behind is how far the stream is behind: how long what goes out now takes to arrive, and how long the music is that waits for
// room.
func (w *world) behind(s *stream) time.Duration {
	if s.to.state == vanished {
		return messages.Window
	}
	takes := max(0, w.server.up.free-w.now) + 2*s.way
	if !s.head && s.last > 0 {
		takes += int64(w.server.window.Next()-1-s.last) * chunkLasts
	}
	return (time.Duration(takes) * time.Microsecond).Truncate(transport.UplinkLook)
}

// sit gives the listener a seat, and answers.
func (w *world) sit(s *stream) {
	for _, older := range s.from.down {
		if older.to == s.to {
			w.end(older)
			break
		}
	}
	s.cursor = s.from.window.For(s.open)
	s.from.down = append(s.from.down, s)
	if item := w.take(s); item != nil || s.ended {
		w.answer(s, item)
		return
	}
	s.head = false
	w.after(firstPatience, func() { w.answer(s, w.take(s)) })
}

func (w *world) answer(s *stream, item *messages.Item) {
	if s.ended || s.from.state >= leaving {
		return
	}
	answer := &messages.StreamOpened{
		Version: messages.DialectVersion, Node: s.from.node, Epoch: 1, AtUnixUs: startsAt + w.now, Newest: max(s.from.window.Next(), 1) - 1,
	}
	if item != nil {
		answer.First = item.Number
	}
	s.stamped, s.spoke, s.beginsWith = w.now, w.now, s.open.GetNext()
	w.deliver(s, 0, event{kind: does, do: func() {
		if !s.closed && s.to.state < gone {
			s.heard = w.now
			w.step(s.to, &messages.UpstreamOpened{Link: s.number, Answer: answer})
		}
	}})
	if item == nil {
		w.pump(s)
		return
	}
	if transport.OnlyAsks(s.open, item.Number) {
		w.end(s)
		return
	}
	w.send(s, item)
	w.pump(s)
}

// beat says that the party lives, if it has said nothing for a heartbeat.
func (w *world) beat(s *stream) {
	due := s.spoke + messages.HeartbeatIn(messages.Slack).Microseconds()
	switch {
	case s.ended || s.from.state != lives:
	case w.now < due:
	default:
		s.spoke, s.stamped = w.now, w.now
		sent := stamp(w.now)
		w.deliver(s, sizeOfStamp, event{kind: does, do: func() { s.heard, s.late = w.now, sent }})
		w.at(event{at: w.now + messages.HeartbeatIn(messages.Slack).Microseconds(), kind: heartbeats, stream: s})
	}
}

// itemsComeWithin is longer than items are apart: a stream that is quiet for so long may soon need a heartbeat.
const itemsComeWithin = 130_000

// beats looks after the heartbeats of the party's streams until the next glance.
func (w *world) beats(p *party) {
	for _, s := range p.down {
		if s.cursor != nil && w.now-s.spoke > itemsComeWithin {
			w.at(event{at: max(w.now, s.spoke+messages.HeartbeatIn(messages.Slack).Microseconds()), kind: heartbeats, stream: s})
		}
	}
}

// broke tells the relay that the stream has ended.
func (w *world) broke(s *stream, fault messages.Fault, reason string) {
	if s.closed || s.to.state >= gone {
		return
	}
	w.close(s)
	w.step(s.to, &messages.UpstreamClosed{Link: s.number, Reason: reason, Fault: fault})
}

// close is the listener's end of it.
func (w *world) close(s *stream) {
	if s.closed {
		return
	}
	s.closed = true
	for i, other := range s.to.streams {
		if other == s {
			s.to.streams = append(s.to.streams[:i], s.to.streams[i+1:]...)
			break
		}
	}
	w.after(s.way+w.hop, func() { w.forget(s) })
}

// end is the other end of it: the listener learns it after all that was sent before.
func (w *world) end(s *stream) {
	if s.ended {
		return
	}
	w.forget(s)
	w.deliver(s, 0, event{kind: does, do: func() { w.broke(s, messages.Fault_FAULT_GONE, "the upstream closed the connection") }})
}

// forget ends the sending.
func (w *world) forget(s *stream) {
	s.ended = true
	for i, other := range s.from.down {
		if other == s {
			s.from.down = append(s.from.down[:i:i], s.from.down[i+1:]...) // whoever walks over the old list goes on
			break
		}
	}
}

func way(a, b spot) int64 { return int64(a.to(b)) }
