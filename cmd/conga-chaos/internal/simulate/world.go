package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"conga/actors/chainmanager/chain"
	"conga/actors/window"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/messages"
	"conga/transport"
)

// Plan says what is simulated.
type Plan struct {
	Nodes     int           // listeners there are at a time, in the mean
	For       time.Duration // measured
	Settle    time.Duration // before that, after the first ones have come
	Fill      time.Duration // how long it takes at most until these have come
	Seed      uint64
	Stay      time.Duration // mean
	Crashes   float64       // the part of them that goes without a goodbye
	Silent    float64       // the part of these that vanishes, so that no connection is closed
	RoundTrip time.Duration // median, between any two hosts
	Hop       time.Duration // processing of a message
	Uplinks   []int         // kbit/s, each as frequent as the others; 0: it takes no time
	Server    int           // the server's, kbit/s
	Bitrate   int           // of the music, kbit/s
	Song      time.Duration // how long a song is
	Chains    int           // how many chains the server feeds
	// ChainsAtMost is how many it may feed if the chain is too deep; 0: no more.
	ChainsAtMost int `json:",omitempty"`
	Feed         int // how many listeners one offers to feed at most, if its uplink carries them with spare
	// OneAddress: all listeners come from one address, as in a test on one machine, so that the server believes them less, and
	// Requests is the server's limit for each of them (transport.Limits).
	OneAddress bool    `json:",omitempty"`
	Requests   float64 `json:",omitempty"`
	// Acts, if there are any, happen instead of Stay, Crashes and Silent.
	Acts []schedule.Act `json:",omitempty"`
	// Order is in which order the listeners of Acts that come first do that; none: by their numbers.
	Order []int `json:",omitempty"`
}

// String says in one line what is simulated.
func (p Plan) String() string {
	return fmt.Sprintf("%v measured; mean stay %v, %.0f %% crash, %.0f %% of these vanish; round trip %v, hop %v; uplinks %v, music %d kbit/s",
		p.For, p.Stay, 100*p.Crashes, 100*p.Silent, p.RoundTrip, p.Hop, p.Uplinks, p.Bitrate)
}

// startsAt is when the world begins, in unix microseconds on the server's clock.
const startsAt = int64(1_800_000_000_000_000)

// world is everything that there is, and the time.
type world struct {
	plan   Plan
	now    int64 // microseconds since the beginning
	hop    int64
	queue  queue
	chance *rand.Rand
	ways   *ways
	churn  churn

	air     *air
	server  party
	uplink  transport.Uplink // the server's
	host    host
	parties map[string]*party
	living  []*listener
	alive   map[*listener]int // their places in living
	came    int
	numbers map[int]*listener // of Acts

	word    messages.UpstreamItem // the one that is being decided on
	feeding *party                // whose it is

	measuring, ended bool
	count            counts
	tallies
}

// Run simulates the plan. progress is told the time, now and then; it may be nil.
func Run(ctx context.Context, plan Plan, progress func(at time.Duration, listeners int)) (Figures, error) {
	w := newWorld(plan)
	w.opens()
	begin := w.fills() + plan.Settle.Microseconds()
	w.acts(begin)
	end := begin + plan.For.Microseconds()
	w.after(begin, w.measures)
	w.after(end, func() { w.ended = true })
	if progress != nil {
		w.after(0, func() { w.tellsTime(progress) })
	}
	for n := 0; !w.ended; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return Figures{}, ctx.Err()
		}
		e, is := w.queue.pop()
		if !is {
			break
		}
		w.now = e.at
		w.happens(e)
	}
	return w.figures(), nil
}

func newWorld(plan Plan) *world {
	chance := rand.New(rand.NewPCG(plan.Seed, 0xc09a))
	w := &world{
		plan: plan, hop: plan.Hop.Microseconds(), chance: chance, ways: newWays(chance, plan.RoundTrip),
		churn: newChurn(chance, plan.Stay), air: newAir(plan.Bitrate, plan.Song, startsAt+messages.Slack.Microseconds()),
		parties: map[string]*party{}, alive: map[*listener]int{}, numbers: map[int]*listener{},
	}
	w.searched = map[schedule.Kind][]time.Duration{}
	w.server = party{
		node: &messages.Node{Id: messages.ServerID, Name: messages.ServerID}, spot: w.ways.spot(),
		window: window.New(), up: newUplink(plan.Server),
	}
	w.parties[messages.ServerID] = &w.server
	w.host = host{
		world: w, state: chain.State{Chains: plan.Chains, ChainsAtMost: plan.ChainsAtMost}, notes: map[string]*messages.Neighbours{}, left: map[string]int64{},
		auditing: map[string]string{}, feeds: map[string]bool{}, turns: transport.NewTurns(), words: transport.Limits{Requests: plan.Requests}.AddressWords(),
	}
	return w
}

func (w *world) at(e event) { w.queue.push(e) }

// after lets do happen after so many microseconds.
func (w *world) after(wait int64, do func()) {
	w.queue.push(event{at: w.now + wait, kind: does, do: do})
}

func (w *world) happens(e event) {
	switch e.kind {
	case does:
		e.do()
	case arrives:
		w.arrived(e)
	case looks:
		w.looks(e.who)
	case silence:
		w.silent(e.stream)
	case continues:
		w.pump(e.stream)
	case heartbeats:
		w.beat(e.stream)
	case asks:
		w.asksTime(e.who)
	case pings:
		w.pinged(e.who, e.sent)
	}
}

// opens starts the broadcast.
func (w *world) opens() {
	w.gives()
	w.after(glance, w.serverLooks)
	w.after(transport.UplinkLook.Microseconds(), w.uplinkLooks)
	w.after(0, w.host.forgets)
	w.after(depthEvery, w.host.looksAtDepth)
}

// gives gives out the next item when it is due.
func (w *world) gives() {
	item := w.air.next()
	w.after(max(0, item.Due()-startsAt-w.now), func() {
		_ = w.server.window.Append(item) // its numbers only grow
		w.give(&w.server)
		w.gives()
		if item.Change != nil {
			w.host.plays(item.Change)
		}
	})
}

func (w *world) serverLooks() {
	w.beats(&w.server)
	w.after(glance, w.serverLooks)
}

// comeEvery is the time between the first listeners, unless that takes longer than the plan's Fill.
const comeEvery = 4_000

// fills lets the first listeners come, and others take their places. It returns when the first ones are there.
func (w *world) fills() (until int64) {
	every := int64(comeEvery)
	if w.plan.Fill > 0 {
		every = min(every, w.plan.Fill.Microseconds()/int64(w.plan.Nodes))
	}
	until = int64(w.plan.Nodes) * every
	if len(w.plan.Acts) > 0 {
		for n := range w.plan.Nodes {
			number := n + 1
			if n < len(w.plan.Order) {
				number = w.plan.Order[n]
			}
			w.after(int64(n)*every, func() { w.numbers[number] = w.come() })
		}
		return until
	}
	for n := range w.plan.Nodes {
		w.after(int64(n)*every, func() { w.stays(w.come(), w.churn.rest()) })
	}
	w.after(w.churn.next(w.plan.Stay, w.plan.Nodes), w.another)
	return until
}

func (w *world) another() {
	w.stays(w.come(), w.churn.stay())
	w.after(w.churn.next(w.plan.Stay, w.plan.Nodes), w.another)
}

// acts lets the plan's acts happen from that time on.
func (w *world) acts(begin int64) {
	for _, act := range w.plan.Acts {
		at := act.At.Microseconds()
		w.after(begin+at, func() { w.does(act) })
	}
}

// does carries out an act. All whom it hits go at once.
func (w *world) does(act schedule.Act) {
	if act.Kind == schedule.Join {
		w.numbers[act.Nodes[0]] = w.come()
		return
	}
	for _, n := range act.Nodes {
		l := w.numbers[n]
		switch {
		case l.state == vanished: // it stood still, and now its connections are closed
			l.state = gone
			w.host.misses(l, "its request connection ended")
			continue
		case l.state != lives:
			continue
		case act.Kind == schedule.End:
			w.leaves(l)
		case act.Kind == schedule.Freeze: // it comes back too late for this run
			l.hit = act.Kind
			w.vanishes(l)
		default:
			w.falls(l)
		}
		l.hit = act.Kind
	}
}
