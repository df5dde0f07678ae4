package schedule

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Kind is a kind of them: what happens, and to whom.
type Kind string

// The kinds of failure, in the order of the table.
const (
	Kill       Kind = "kill"       // kill -9
	End        Kind = "end"        // it says goodbye
	Neighbours Kind = "neighbours" // two to five in a row, kill -9 at once
	Half       Kind = "half"       // half of all, kill -9 at once
	Freeze     Kind = "freeze"     // SIGSTOP, and SIGCONT 1.5 to 6 s later
	Link       Kind = "link"       // its cable is pulled, and plugged in 0.3 to 6 s later
	Slow       Kind = "slow"       // it can send at half of play rate only, for 6 to 8 s
	Server     Kind = "server"     // kill -9 and a new start on the same log
)

// The kinds that last for longer than the slack. They are no part of the usual mixture.
const (
	Away     Kind = "away"     // the server stands still, or its cable is out
	Dark     Kind = "dark"     // all cables are out at once
	Asleep   Kind = "asleep"   // one listener, several in a row or half of all stand still: closed laptops
	SlowPair Kind = "slowpair" // two neighbours can send at half of play rate only, for a minute
)

// Hurts says whether the one that is hit stays, and comes back to itself.
func (f Kind) Hurts() bool { return f == Freeze || f == Asleep || f.Cabled() }

// Cabled says whether it takes a cable of one's own.
func (f Kind) Cabled() bool {
	return f == Link || f == Slow || f == Dark || f == SlowPair
}

// Outage says whether it lasts for longer than the slack.
func (f Kind) Outage() bool { return slices.Contains(KindsIn(Outages), f) }

// silent says whether those below find it out by waiting.
func (f Kind) silent() bool { return f.Hurts() || f == Server }

// Join is no failure: a newcomer takes the place of one who is gone.
const Join Kind = "join"

// Usual are the kinds that are drawn, and how many of a hundred failures each is.
var Usual = []share{
	{Kill, 45},
	{End, 15},
	{Neighbours, 24},
	{Half, 2},
	{Freeze, 6},
	{Link, 4},
	{Slow, 1},
	{Server, 3},
}

// Outages are the kinds that last, and how many of them there are for each other.
var Outages = []share{
	{Away, 30},
	{Dark, 20},
	{Asleep, 40},
	{SlowPair, 10},
}

type share struct {
	Kind Kind
	of   int
}

func KindsIn(shares []share) (kinds []Kind) {
	for _, s := range shares {
		kinds = append(kinds, s.Kind)
	}
	return kinds
}

// List is the kinds in words.
func List(shares []share) string {
	var text []string
	for _, name := range KindsIn(shares) {
		text = append(text, string(name))
	}
	return strings.Join(text, ", ")
}

// Act is one line of a schedule.
type Act struct {
	At    time.Duration // since the chain stands
	Kind  Kind
	Nodes []int         // whom it hits, numbered in the order of their coming, from 1
	Lasts time.Duration // until the frozen one wakes up, the cable is as before, or the server starts again
	Cable bool          // of Away: the server runs, but its cable is out
	Later time.Duration // of SlowPair: when the second line becomes slow, too
}

// Cabled says whether the act takes a cable.
func (a Act) Cabled() bool { return a.Cable || a.Kind.Cabled() }

func (a Act) Ends() time.Duration { return a.At + a.Lasts + a.Later }

func (a Act) String() string {
	var who strings.Builder
	for _, n := range a.Nodes {
		fmt.Fprintf(&who, " %s", Label(n))
	}
	switch {
	case a.Cable:
		who.WriteString(" its cable is out")
	case a.Kind == SlowPair:
		fmt.Fprintf(&who, " and whom it feeds, %v later,", a.Later)
	}
	line := fmt.Sprintf("%9.3fs %-10s%s", a.At.Seconds(), a.Kind, who.String())
	if a.Lasts > 0 {
		line += fmt.Sprintf(" for %v", a.Lasts.Round(time.Millisecond))
	}
	return strings.TrimRight(line, " ")
}

func Label(n int) string { return fmt.Sprintf("n%d", n) }

const (
	// grownUp is how long a newcomer is left in peace.
	grownUp = time.Second
	// apart is the time between two failures that are found out by silence, or that stop
	// the music at its source: each uses up more than half of the slack, and the next
	// one must find it filled again. Two at once no chain with this slack survives.
	apart = 2500 * time.Millisecond
)

// Plan says what a schedule is made of. The same plan is the same schedule.
type Plan struct {
	Nodes, Failures int
	Over            time.Duration // for all failures
	Seed            uint64
	Kinds           []Kind
	Longest         time.Duration // of an outage
}

// Lasting says whether the plan has outages.
func (p Plan) Lasting() bool { return slices.ContainsFunc(p.Kinds, Kind.Outage) }

// Acts returns the acts in the order of their time.
func (p Plan) Acts() []Act {
	s := draft{Plan: p, chance: rand.New(rand.NewPCG(p.Seed, 0xc0a)), left: p.shares()}
	for range p.Nodes {
		s.came++
		s.chain = append(s.chain, placed{id: s.came, since: -grownUp})
	}
	if p.Lasting() {
		return s.rounds()
	}
	step := max(time.Millisecond, p.Over/time.Duration(p.Failures)) // else nobody ever grows up
	for at := time.Duration(0); s.sum() > 0; at += step {
		s.strike(at + time.Duration(s.chance.Int64N(int64(step))))
	}
	slices.SortStableFunc(s.acts, func(a, b Act) int { return cmp.Compare(a.At, b.At) })
	return s.acts
}

// shares is how many failures there are of each kind: at least one if there is room.
func (p Plan) shares() map[Kind]int {
	kinds, total := slices.Concat(Usual, Outages), 0
	for _, b := range kinds {
		if slices.Contains(p.Kinds, b.Kind) {
			total += b.of
		}
	}
	shares, left := map[Kind]int{}, p.Failures
	for _, b := range slices.Backward(kinds) { // the rest is for the first kinds: there are most of them
		if left > 0 && slices.Contains(p.Kinds, b.Kind) {
			shares[b.Kind] = min(left, max(1, (p.Failures*b.of+total/2)/total))
			left -= shares[b.Kind]
		}
	}
	for _, b := range kinds {
		if slices.Contains(p.Kinds, b.Kind) {
			shares[b.Kind] += left
			break
		}
	}
	return shares
}

// draft is a schedule in the making.
type draft struct {
	Plan
	chance *rand.Rand
	left   map[Kind]int
	acts   []Act
	chain  []placed // as it is believed to stand
	came   int
	quiet  time.Duration // no silent failure before
}

type placed struct {
	id    int
	since time.Duration // it may be hit from grownUp after this
}

func (s *draft) sum() (n int) {
	for _, left := range s.left {
		n += left
	}
	return n
}

// strike adds one failure, if one is possible now.
func (s *draft) strike(at time.Duration) {
	kind, ok := s.choose(at)
	if !ok {
		return
	}
	old := s.grown(at)
	a := Act{At: at, Kind: kind}
	switch kind {
	case Server:
		a.Lasts = s.between(50, 600)
		s.quiet = at + a.Lasts + apart
	case Half:
		s.chance.Shuffle(len(old), func(i, j int) { old[i], old[j] = old[j], old[i] })
		s.hit(&a, old[:min(len(old), len(s.chain)/2)]...)
	case Neighbours:
		first := s.chance.IntN(len(old))
		s.hit(&a, old[first:min(len(old), first+2+s.chance.IntN(4))]...)
	case Freeze, Link, Slow:
		a.Lasts, s.quiet = s.between(1500, 6000), at+apart
		switch kind {
		case Link:
			a.Lasts = s.between(300, 6000)
		case Slow: // it is found in some seconds, in which the slack dwindles
			a.Lasts = s.between(6000, 8000)
			s.quiet = at + a.Lasts
		}
		m := s.chain[old[s.chance.IntN(len(old))]]
		a.Nodes = []int{m.id}
		s.chain = slices.DeleteFunc(s.chain, func(other placed) bool { return other == m })
		s.chain = append(s.chain, placed{m.id, at + a.Lasts}) // it comes back at the end
	default:
		s.hit(&a, old[s.chance.IntN(len(old))])
	}
	s.left[kind]--
	s.acts = append(s.acts, a)
}

// grown are the places of those who may be hit.
func (s *draft) grown(at time.Duration) (places []int) {
	for place, m := range s.chain {
		if at-m.since >= grownUp {
			places = append(places, place)
		}
	}
	return places
}

func (s *draft) between(from, to int) time.Duration {
	return time.Duration(from+s.chance.IntN(to-from)) * time.Millisecond
}

// choose draws one of the failures that are left and possible now.
func (s *draft) choose(at time.Duration) (Kind, bool) {
	grown := len(s.grown(at))
	var bag []Kind
	for _, b := range Usual {
		silent := b.Kind.silent()
		enough := grown >= (s.Nodes+1)/2 // a chain of newcomers only is no chain
		if b.Kind == Half {
			enough = grown >= s.Nodes*3/4
		}
		if silent && at < s.quiet || !enough {
			continue
		}
		for range s.left[b.Kind] {
			bag = append(bag, b.Kind)
		}
	}
	if len(bag) == 0 {
		return "", false
	}
	return bag[s.chance.IntN(len(bag))], true
}

// hit takes the places out of the chain, and a newcomer for each comes soon.
func (s *draft) hit(a *Act, places ...int) {
	gone := map[int]bool{}
	for _, place := range places {
		a.Nodes = append(a.Nodes, s.chain[place].id)
		gone[s.chain[place].id] = true
	}
	s.chain = slices.DeleteFunc(s.chain, func(m placed) bool { return gone[m.id] })
	for i := range places {
		s.came++
		at := a.At + s.between(200, 1200) + time.Duration(i)*50*time.Millisecond // half of all come one by one
		s.acts = append(s.acts, Act{At: at, Kind: Join, Nodes: []int{s.came}})
		s.chain = append(s.chain, placed{s.came, at})
	}
}
