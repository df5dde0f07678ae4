package right

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"conga/messages"
)

// world is a radio's servers and their registers in virtual time. What it gives out is checked against one rule: once a leadership
// has given out an item, none that gave out before it does so again.
type world struct {
	chance  *rand.Rand
	now     time.Duration // true time
	events  events
	order   int
	servers []*server
	length  time.Duration
	margin  time.Duration
	faults  bool // from now on they happen; without them the network is quick and nothing stops

	registers []*shared
	gives     leadership // the last one that gave out
	over      map[leadership]bool
	wrong     string
}

// shared is a register.
type shared struct {
	claims []*messages.LeaseClaim // all that it knows; the last one is the newest
	away   bool                   // no message reaches it, and none of its own arrives
}

// leadership is one term of one process.
type leadership struct {
	server *server
	term   uint64
}

type server struct {
	world   *world
	state   State
	name    string
	rate    float64       // of its clocks
	asleep  time.Duration // for how long its steady clock has stood still
	stepped time.Duration // how far its time of day was set
	set     bool          // it was; then the machine does not sleep, for nothing could tell then how long
	paused  time.Duration // until then it does nothing
	cut     bool          // no message reaches it, and none of its own arrives
	dead    bool
	born    time.Duration
	length  time.Duration // of its claims
	ways    []*way
}

// way is a server's to one register.
type way struct {
	seen     int                    // how many of the register's claims it has seen
	shown    []*messages.LeaseClaim // all that it knows, in order; a claim's number is its place here, from 1
	answered map[uint64]bool        // tries
}

type event struct {
	at    time.Duration
	order int
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

func (w *world) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.events, event{w.now + d, w.order, do})
}

func (w *world) run(until time.Duration) {
	for w.wrong == "" && len(w.events) > 0 && w.events[0].at <= until {
		next := heap.Pop(&w.events).(event)
		w.now = next.at
		next.do()
	}
	w.now = until
}

// upTo is a random time up to d, mostly a short one.
func (w *world) upTo(d time.Duration) time.Duration {
	if w.chance.IntN(4) > 0 {
		d /= 200
	}
	return time.Duration(w.chance.Int64N(int64(d) + 1))
}

// delay is how long a message takes.
func (w *world) delay() time.Duration {
	if !w.faults {
		return w.upTo(w.length / 200)
	}
	return w.upTo(2 * w.length)
}

func (w *world) lost() bool { return w.faults && w.chance.IntN(12) == 0 }

func (w *world) start(rate float64, length time.Duration) *server {
	s := &server{world: w, name: fmt.Sprint("server ", len(w.servers)), rate: rate, born: w.now, length: length}
	s.state = New(Config{Self: s.name, Registers: len(w.registers), Length: length, Longest: w.length, Margin: w.margin, Renew: length / 5})
	w.servers = append(w.servers, s)
	for i := range w.registers {
		s.ways = append(s.ways, &way{answered: map[uint64]bool{}})
		s.watch(i)
	}
	s.play()
	s.look()
	return s
}

// moment is the time on the server's clocks.
func (s *server) moment() Moment {
	runs := time.Duration(float64(s.world.now-s.born) * s.rate)
	return Moment{runs - s.asleep, runs + s.stepped}
}

// soon runs do after true time d, or when the server goes on.
func (s *server) soon(d time.Duration, do func()) {
	s.world.after(d, func() {
		switch {
		case s.dead:
		case s.world.now < s.paused:
			s.soon(s.paused-s.world.now, do)
		default:
			do()
		}
	})
}

// leads reports whether it may give out an item now.
func (s *server) leads() bool {
	return !s.dead && s.state.Term() > 0 && s.moment().Before(s.state.Until())
}

// play gives out an item every now and then, if the server has the right at that moment.
func (s *server) play() {
	if w, by := s.world, (leadership{s, s.state.Term()}); s.leads() {
		if w.over[by] {
			w.wrong = fmt.Sprintf("%v: %s gives out in its term %d after %s did in term %d", w.now, s.name, by.term, w.gives.server.name, w.gives.term)
		}
		if w.gives != by {
			w.over[w.gives] = true
			w.gives = by
		}
	}
	s.soon(s.world.length/30+time.Duration(s.world.chance.Int64N(int64(s.world.length/30))), s.play)
}

func (s *server) look() {
	s.step(Look{})
	s.soon(max(s.state.Wait(s.moment()), time.Microsecond), s.look)
}

// watch shows the server a register's newest claims, or older ones than those, in order, with gaps.
func (s *server) watch(i int) {
	w, r, v := s.world, s.world.registers[i], s.ways[i]
	s.soon(w.delay()/2+w.length/40, func() {
		n := len(r.claims)
		if w.faults && n > v.seen && w.chance.IntN(3) == 0 {
			n = v.seen + w.chance.IntN(n-v.seen+1)
		}
		if s.cut || r.away {
			if w.chance.IntN(4) == 0 {
				s.step(Away{i})
			}
			s.watch(i)
			return
		}
		v.seen = n
		var claim *messages.LeaseClaim
		if n > 0 {
			claim = r.claims[n-1]
		}
		w.after(w.delay()/2, func() { s.soon(0, func() { s.step(Seen{i, v.number(claim), claim}) }) })
		s.watch(i)
	})
}

// number returns the way's number of a claim, a new one if it does not know it.
func (v *way) number(claim *messages.LeaseClaim) uint64 {
	for i, known := range slices.Backward(v.shown) {
		if known == claim && (claim != nil || i == len(v.shown)-1) {
			return uint64(i + 1)
		}
	}
	v.shown = append(v.shown, claim)
	return uint64(len(v.shown))
}

func (s *server) step(input any) {
	state, out := s.state.Step(s.moment(), input)
	s.state = state
	for _, out := range out {
		if out, is := out.(Publish); is {
			s.publish(out)
		}
	}
}

// publish puts the claim in place of the one that the server was shown with that number.
func (s *server) publish(out Publish) {
	w, r, v, try := s.world, s.world.registers[out.Register], s.ways[out.Register], out.Claim.GetTry()
	answer := func(input any) {
		if !v.answered[try] {
			v.answered[try] = true
			s.step(input)
		}
	}
	s.soon(s.length/3, func() { answer(Unsure{out.Register, try}) })
	if s.cut || w.lost() {
		return
	}
	expected := v.shown[out.Expected-1]
	w.after(w.delay(), func() { // also when the server is paused or dead by now
		if r.away {
			return
		}
		n := len(r.claims)
		taken := n == 0 && expected == nil || n > 0 && r.claims[n-1] == expected
		if taken {
			r.claims = append(r.claims, out.Claim)
		}
		if s.cut || w.lost() {
			return
		}
		s.soon(w.delay(), func() {
			if taken {
				if !v.answered[try] {
					answer(Kept{out.Register, try, v.number(out.Claim)})
				}
			} else {
				answer(Refused{out.Register, try})
			}
		})
	})
}

// fail does something to a register.
func (w *world) fail() {
	r := w.registers[w.chance.IntN(len(w.registers))]
	r.away = true
	w.after(w.upTo(4*w.length), func() {
		r.away = false
		if w.chance.IntN(3) == 0 {
			r.claims = nil
		}
	})
}

// harm does something to a server, or to a register.
func (w *world) harm() {
	if w.chance.IntN(4) == 0 {
		w.fail()
		return
	}
	s := w.servers[w.chance.IntN(len(w.servers))]
	some := w.upTo(4 * w.length)
	switch w.chance.IntN(8) {
	case 0, 1:
		s.cut = true
		w.after(w.length/2+some, func() { s.cut = false })
	case 2, 3:
		s.paused = max(s.paused, w.now+some)
	case 4: // the machine sleeps: only its time of day runs on
		if s.paused <= w.now && !s.set {
			s.paused = w.now + some
			s.asleep += time.Duration(float64(some) * s.rate)
		}
	case 5:
		s.set = s.asleep == 0
		if !s.set {
			return
		}
		s.stepped += some - 2*w.length
	case 6:
		if w.chance.IntN(2) == 0 {
			s.soon(0, func() { s.step(Fallen{}) })
			return
		}
		s.soon(0, func() { s.step(Release{}) })
		w.after(some, func() { w.again(s) })
	case 7:
		s.dead = true
		w.after(some, func() { w.again(s) })
	}
}

// again starts the server's program again.
func (w *world) again(s *server) {
	s.dead = true
	w.start(s.rate, s.length)
}
