package right

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"conga/messages"
)

// world is a radio's servers and their register in virtual time. What it gives out is checked against one rule: once a server
// has given out an item in a term, none gives out an item in an earlier one.
type world struct {
	chance  *rand.Rand
	now     time.Duration // true time
	events  events
	order   int
	servers []*server
	length  time.Duration
	margin  time.Duration
	faults  bool // from now on they happen; without them the network is quick and nothing stops

	register []kept // all that were ever taken; the last one is the newest
	highest  uint64 // the highest term that gave out
	given    map[uint64]time.Duration
	wrong    string
}

type kept struct {
	at    time.Duration
	claim *messages.LeaseClaim
}

type server struct {
	world    *world
	state    State
	name     string
	rate     float64       // of its clocks
	asleep   time.Duration // for how long its steady clock has stood still
	stepped  time.Duration // how far its time of day was set
	set      bool          // it was; then the machine does not sleep, for nothing could tell then how long
	paused   time.Duration // until then it does nothing
	cut      bool          // no message reaches it, and none of its own arrives
	dead     bool
	seen     int // how many claims it has seen
	born     time.Duration
	answered map[uint64]bool // tries
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

func (w *world) start(rate float64) *server {
	s := &server{world: w, name: fmt.Sprint("server ", len(w.servers)), rate: rate, born: w.now, answered: map[uint64]bool{}}
	s.state = New(Config{Self: s.name, Length: w.length, Margin: w.margin, Renew: w.length / 5})
	w.servers = append(w.servers, s)
	s.watch()
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

// play gives out an item every now and then, if the server has the right at that moment.
func (s *server) play() {
	if w := s.world; s.state.Term() > 0 && s.moment().Before(s.state.Until()) {
		term := s.state.Term()
		if term < w.highest {
			w.wrong = fmt.Sprintf("%v: %s gives out in term %d, but another did in term %d before", w.now, s.name, term, w.highest)
		}
		w.highest = max(w.highest, term)
		w.given[term] = w.now
	}
	s.soon(s.world.length/40+time.Duration(s.world.chance.Int64N(int64(s.world.length/40))), s.play)
}

func (s *server) look() {
	s.step(Look{})
	s.soon(max(s.state.Wait(s.moment()), time.Microsecond), s.look)
}

// watch shows the server the newest claims, or older ones than those, in order, with gaps.
func (s *server) watch() {
	w := s.world
	s.soon(w.delay()/2+w.length/100, func() {
		n := len(w.register)
		if w.faults && n > s.seen && w.chance.IntN(3) == 0 {
			n = s.seen + w.chance.IntN(n-s.seen+1)
		}
		if !s.cut {
			s.seen = n
			seen := Seen{Number: uint64(n)}
			if n > 0 {
				seen.Claim = w.register[n-1].claim
			}
			w.after(w.delay()/2, func() { s.soon(0, func() { s.step(seen) }) })
		}
		s.watch()
	})
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

func (s *server) publish(out Publish) {
	w, try := s.world, out.Claim.GetTry()
	answer := func(input any) {
		if !s.answered[try] {
			s.answered[try] = true
			s.step(input)
		}
	}
	s.soon(w.length/3, func() { answer(Unsure{try}) })
	if s.cut || w.lost() {
		return
	}
	w.after(w.delay(), func() { // also when the server is paused or dead by now
		taken := uint64(len(w.register)) == out.Expected
		if taken {
			w.register = append(w.register, kept{w.now, out.Claim})
		}
		number := uint64(len(w.register))
		if s.cut || w.lost() {
			return
		}
		s.soon(w.delay(), func() {
			if taken {
				answer(Kept{try, number})
			} else {
				answer(Refused{try})
			}
		})
	})
}

// harm does something to a server.
func (w *world) harm() {
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
	w.start(s.rate)
}
