package simulate

import (
	"fmt"
	"time"

	"conga/actors/relay/machine"
	"conga/actors/requester/clockfilter"
	"conga/actors/window"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/messages"
)

// listener is a listener: a relay's core, its window, its connections, and what its player writes down.
type listener struct {
	party
	machine *machine.Machine
	tally   machine.Tally
	streams []*stream
	search  int           // numbers the search's timer
	away    time.Duration // a round trip to the server
	guests  []string
	former  []former      // guests until lately
	offers  uint32        // how many it feeds at most
	hit     schedule.Kind // why it went, if the plan has acts
	joined  bool
	clock   clock
	said    int64 // when the server last heard from it
	books
}

// former is a guest that is none any more.
type former struct {
	id    string
	until int64
}

// come brings a listener into the world. It connects to the server and says HELLO.
func (w *world) come() *listener {
	w.came++
	w.count.Came++
	n := w.came
	kbits := w.plan.Uplinks[w.chance.IntN(len(w.plan.Uplinks))]
	l := &listener{offers: w.offer(kbits), party: party{
		node: &messages.Node{
			Id: fmt.Sprintf("%08x-5d1c-8b0e-9c41-%012x", n*0x9e3779b1&0xffffffff, n), Name: fmt.Sprint("listener", n),
			Relay: fmt.Sprintf("198.51.%d.%d:%d", n>>8&0xff, n&0xff, 40000+n>>16),
		},
		spot: w.ways.spot(), window: window.New(), up: newUplink(kbits),
	}}
	l.self = l
	l.machine = machine.New(func([]byte) error { return nil }, &l.tally)
	l.away = 2 * time.Duration(way(l.spot, w.server.spot)) * time.Microsecond
	l.books.begin(w.now)
	l.clock.pace = firstPace
	w.parties[l.node.Id] = &l.party
	w.alive[l] = len(w.living)
	w.living = append(w.living, l)
	w.step(l, machine.Begin{})
	w.at(event{at: w.now + w.chance.Int64N(glance), kind: looks, who: l})
	w.after(joinTrips*l.away.Microseconds()+w.hop, func() { w.joins(l) })
	return l
}

// spare is how many times the music a listener's uplink must carry for each that it offers to feed.
const spare = 2

// offer is how many listeners one with that uplink offers to feed.
func (w *world) offer(kbits int) uint32 {
	if kbits == 0 {
		return uint32(max(1, w.plan.Feed))
	}
	return uint32(max(1, min(w.plan.Feed, kbits/(spare*w.plan.Bitrate))))
}

// stays lets the listener go after so many microseconds.
func (w *world) stays(l *listener, long int64) { w.after(long, func() { w.goes(l) }) }

const (
	// joinTrips is how many round trips it takes to be taken in: TCP, TLS, HELLO and WELCOME, between which the server connects
	// to the newcomer's port and asks whose it is.
	joinTrips = 5
	glance    = int64(machine.Glance / time.Microsecond)
	// goodbye is how long a listener that leaves waits for those that it feeds (actors.Client).
	goodbye = 1_200_000
	// stuck is how long it takes until a party closes a stream to somebody who has vanished: the system takes some seconds of
	// music, and then five seconds pass in which nothing can be written.
	stuck = 13_000_000
)

// goes lets the listener leave, in the way that chance says.
func (w *world) goes(l *listener) {
	if l.state != lives {
		return
	}
	switch dice := w.chance.Float64(); {
	case dice >= w.plan.Crashes:
		w.leaves(l)
	case w.chance.Float64() < w.plan.Silent:
		w.vanishes(l)
	default:
		w.falls(l)
	}
}

// leaves says goodbye to the server and to those below, and waits for these.
func (w *world) leaves(l *listener) {
	w.count.Goodbyes++
	l.state = leaving
	for _, s := range l.down {
		s.ended = true
		w.deliver(s, frameHeader, event{kind: does, do: func() {
			if !s.closed && s.to.state < gone {
				s.heard = w.now
				w.step(s.to, &messages.UpstreamLeaving{Link: s.number})
			}
		}})
	}
	w.says(l, &messages.LeaveChain{AtUnixUs: startsAt + w.now}, func() { w.host.leaves(l) })
	w.awaits(l, w.now+goodbye)
}

// awaits ends a listener that has said goodbye, once nobody below needs it and the server knows.
func (w *world) awaits(l *listener, until int64) {
	if w.now >= until || len(l.down) == 0 && !w.host.has(l) {
		w.falls(l)
		return
	}
	w.after(10_000, func() { w.awaits(l, until) })
}

// falls ends the process: the system closes its connections.
func (w *world) falls(l *listener) {
	if l.state == lives {
		w.count.Killed++
		w.after(way(l.spot, w.server.spot)+w.hop, func() { w.host.misses(l, "its request connection ended") })
	}
	w.over(l, gone)
	for _, s := range append([]*stream(nil), l.down...) {
		s.ended = false // a DC may be on its way, and this comes behind it
		w.end(s)
	}
	for _, s := range append([]*stream(nil), l.streams...) {
		w.close(s)
	}
}

// vanishes ends the listener without a word: its line or its power is gone.
func (w *world) vanishes(l *listener) {
	w.count.Vanished++
	w.over(l, vanished)
	for _, s := range l.down {
		s.ended = true
	}
	for _, s := range l.streams {
		w.after(stuck, func() { w.forget(s) })
	}
	w.after(max(l.said+messages.ListenerSilence.Microseconds()-w.now, 0), func() { w.host.misses(l, fmt.Sprint("it said nothing for ", messages.ListenerSilence)) })
}

// over ends a listener's life.
func (w *world) over(l *listener, how state) {
	l.state = how
	l.search++
	w.closeBooks(l)
	last := w.living[len(w.living)-1]
	at := w.alive[l]
	w.living[at], w.alive[last] = last, at
	w.living = w.living[:len(w.living)-1]
	delete(w.alive, l)
	l.machine, l.window, l.clock.filter = nil, nil, clockfilter.Filter{} // nobody reads them any more, and thousands come and go
	if !l.joined {
		delete(w.parties, l.node.Id) // nobody has heard of it
	}
}

// step lets the relay decide on the input, and carries out what follows.
func (w *world) step(l *listener, input any) {
	follows := l.machine.Step(machine.Moment{Own: time.UnixMicro(startsAt + w.now), Server: startsAt + w.now}, input)
	for _, effect := range follows.Effects {
		w.carryOut(l, effect)
	}
	l.machine.Return(follows.Effects)
	if len(follows.Commands) == 0 {
		return
	}
	for i := len(l.streams) - 1; i >= 0; i-- {
		if s := l.streams[i]; !l.machine.Needs(s.number) {
			w.close(s)
		}
	}
}

func (w *world) carryOut(l *listener, effect machine.Effect) {
	switch e := effect.(type) {
	case machine.Pass:
		w.passes(l, e.Item)
	case machine.BegunAnew:
		w.count.Anew++
		l.window.Restart()
	case machine.Dial:
		open := e.Open
		open.Node = l.node
		to := w.parties[e.Sought.GetNode().GetId()]
		if to == nil { // it left long ago
			to = &party{state: gone, spot: l.spot}
		}
		w.dial(l, e.Sought.GetLink(), open, to)
	case machine.SearchAfter:
		w.searches(l, e)
	case machine.SearchNoMore:
		l.search++
	case machine.Tell:
		w.reports(l, e)
	}
}

// passes puts an item into the window, and passes it on.
func (w *world) passes(l *listener, item *messages.Item) {
	if err := l.window.Append(item); err != nil {
		w.count.Twice++
		return
	}
	if w.feeding != nil && w.feeding.self != nil {
		l.depth = w.feeding.self.depth + 1
	} else if w.feeding != nil {
		l.depth = 1
	}
	w.heard(l, item)
	w.give(&l.party)
}

// searches sets the search's timer.
func (w *world) searches(l *listener, e machine.SearchAfter) {
	l.search++
	round, wait := l.search, e.Wait.Microseconds()
	if e.Jitter {
		wait = wait/2 + w.chance.Int64N(wait/2)
	}
	w.after(wait, func() {
		if l.search == round && l.state < gone {
			w.step(l, &messages.SearchOn{Link: e.Link})
		}
	})
}

// looks judges the music, again and again.
func (w *world) looks(l *listener) {
	if l.state >= gone {
		return
	}
	w.step(l, machine.Look{})
	w.beats(&l.party)
	w.at(event{at: w.now + glance, kind: looks, who: l})
}

// told takes the server's message about the nodes above and below.
func (w *world) told(l *listener, n *messages.Neighbours) {
	if l.state >= leaving {
		return
	}
	for _, id := range l.guests {
		l.former = append(l.former, former{id, w.now + listGrace})
	}
	l.guests = n.GetGuests()
	keep := l.former[:0]
	for _, f := range l.former {
		if f.until > w.now {
			keep = append(keep, f)
		}
	}
	l.former = keep
	w.step(l, n)
}

// expected reports whether the chain sends the listener to the party, as far as this one knows.
func (w *world) expected(p *party, l *listener) bool {
	if p.self == nil {
		return w.host.has(l) || w.now < w.host.left[l.node.Id]+listGrace
	}
	for _, id := range p.self.guests {
		if id == l.node.Id {
			return true
		}
	}
	for _, f := range p.self.former {
		if f.id == l.node.Id && f.until > w.now {
			return true
		}
	}
	return false
}
