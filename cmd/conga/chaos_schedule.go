package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// failure is a kind of them: what happens, and to whom.
type failure string

// The kinds of failure, in the order of the table.
const (
	failureKill       failure = "kill"       // kill -9
	failureEnd        failure = "end"        // it says goodbye
	failureNeighbours failure = "neighbours" // two to five in a row, kill -9 at once
	failureHalf       failure = "half"       // half of all, kill -9 at once
	failureFreeze     failure = "freeze"     // SIGSTOP, and SIGCONT 1.5 to 6 s later
	failureLink       failure = "link"       // its cable is pulled, and plugged in 0.3 to 6 s later
	failureSlow       failure = "slow"       // it can send at half of play rate only, for 6 to 8 s
	failureServer     failure = "server"     // kill -9 and a new start on the same log
)

// The kinds that last for longer than the slack. They are no part of the usual mixture.
const (
	failureAway     failure = "away"     // the server stands still, or its cable is out
	failureDark     failure = "dark"     // all cables are out at once
	failureAsleep   failure = "asleep"   // one listener, several in a row or half of all stand still: closed laptops
	failureSlowPair failure = "slowpair" // two neighbours can send at half of play rate only, for a minute
)

// hurts says whether the one that is hit stays, and comes back to itself.
func (f failure) hurts() bool { return f == failureFreeze || f == failureAsleep || f.cabled() }

// cabled says whether it takes a cable of one's own.
func (f failure) cabled() bool {
	return f == failureLink || f == failureSlow || f == failureDark || f == failureSlowPair
}

// outage says whether it lasts for longer than the slack.
func (f failure) outage() bool { return slices.Contains(kindsIn(outages), f) }

// silent says whether those below find it out by waiting.
func (f failure) silent() bool { return f.hurts() || f == failureServer }

// join is no failure: a newcomer takes the place of one who is gone.
const join failure = "join"

// usual are the kinds that are drawn, and how many of a hundred failures each is.
var usual = []share{
	{failureKill, 45},
	{failureEnd, 15},
	{failureNeighbours, 24},
	{failureHalf, 2},
	{failureFreeze, 6},
	{failureLink, 4},
	{failureSlow, 1},
	{failureServer, 3},
}

// outages are the kinds that last, and how many of them there are for each other.
var outages = []share{
	{failureAway, 30},
	{failureDark, 20},
	{failureAsleep, 40},
	{failureSlowPair, 10},
}

type share struct {
	kind failure
	of   int
}

func kindsIn(shares []share) (kinds []failure) {
	for _, s := range shares {
		kinds = append(kinds, s.kind)
	}
	return kinds
}

// list is the kinds in words.
func list(shares []share) string {
	var text []string
	for _, name := range kindsIn(shares) {
		text = append(text, string(name))
	}
	return strings.Join(text, ", ")
}

// act is one line of a schedule.
type act struct {
	at    time.Duration // since the chain stands
	kind  failure
	nodes []int         // whom it hits, numbered in the order of their coming, from 1
	lasts time.Duration // until the frozen one wakes up, the cable is as before, or the server starts again
	cable bool          // of failureAway: the server runs, but its cable is out
	later time.Duration // of failureSlowPair: when the second line becomes slow, too
}

// cabled says whether the act takes a cable.
func (a act) cabled() bool { return a.cable || a.kind.cabled() }

func (a act) ends() time.Duration { return a.at + a.lasts + a.later }

func (a act) String() string {
	var who strings.Builder
	for _, n := range a.nodes {
		fmt.Fprintf(&who, " %s", nodeLabel(n))
	}
	switch {
	case a.cable:
		who.WriteString(" its cable is out")
	case a.kind == failureSlowPair:
		fmt.Fprintf(&who, " and whom it feeds, %v later,", a.later)
	}
	line := fmt.Sprintf("%9.3fs %-10s%s", a.at.Seconds(), a.kind, who.String())
	if a.lasts > 0 {
		line += fmt.Sprintf(" for %v", a.lasts.Round(time.Millisecond))
	}
	return strings.TrimRight(line, " ")
}

func nodeLabel(n int) string { return fmt.Sprintf("n%d", n) }

const (
	// grownUp is how long a newcomer is left in peace.
	grownUp = time.Second
	// apart is the time between two failures that are found out by silence, or that stop
	// the music at its source: each uses up more than half of the slack, and the next
	// one must find it filled again. Two at once no chain with this slack survives.
	apart = 2500 * time.Millisecond
)

// plan says what a schedule is made of. The same plan is the same schedule.
type plan struct {
	nodes, failures int
	over            time.Duration // for all failures
	seed            uint64
	kinds           []failure
	longest         time.Duration // of an outage
}

// lasting says whether the plan has outages.
func (p plan) lasting() bool { return slices.ContainsFunc(p.kinds, failure.outage) }

// schedule returns the acts in the order of their time.
func (p plan) schedule() []act {
	s := drafting{plan: p, chance: rand.New(rand.NewPCG(p.seed, 0xc0a)), left: p.shares()}
	for range p.nodes {
		s.came++
		s.chain = append(s.chain, placed{id: s.came, since: -grownUp})
	}
	if p.lasting() {
		return s.rounds()
	}
	step := max(time.Millisecond, p.over/time.Duration(p.failures)) // else nobody ever grows up
	for at := time.Duration(0); s.sum() > 0; at += step {
		s.strike(at + time.Duration(s.chance.Int64N(int64(step))))
	}
	slices.SortStableFunc(s.acts, func(a, b act) int { return cmp.Compare(a.at, b.at) })
	return s.acts
}

// shares is how many failures there are of each kind: at least one if there is room.
func (p plan) shares() map[failure]int {
	kinds, total := slices.Concat(usual, outages), 0
	for _, b := range kinds {
		if slices.Contains(p.kinds, b.kind) {
			total += b.of
		}
	}
	shares, left := map[failure]int{}, p.failures
	for _, b := range slices.Backward(kinds) { // the rest is for the first kinds: there are most of them
		if left > 0 && slices.Contains(p.kinds, b.kind) {
			shares[b.kind] = min(left, max(1, (p.failures*b.of+total/2)/total))
			left -= shares[b.kind]
		}
	}
	for _, b := range kinds {
		if slices.Contains(p.kinds, b.kind) {
			shares[b.kind] += left
			break
		}
	}
	return shares
}

// drafting is a schedule in the making.
type drafting struct {
	plan
	chance *rand.Rand
	left   map[failure]int
	acts   []act
	chain  []placed // as it is believed to stand
	came   int
	quiet  time.Duration // no silent failure before
}

type placed struct {
	id    int
	since time.Duration // it may be hit from grownUp after this
}

func (s *drafting) sum() (n int) {
	for _, left := range s.left {
		n += left
	}
	return n
}

// strike adds one failure, if one is possible now.
func (s *drafting) strike(at time.Duration) {
	kind, ok := s.choose(at)
	if !ok {
		return
	}
	old := s.grown(at)
	a := act{at: at, kind: kind}
	switch kind {
	case failureServer:
		a.lasts = s.between(50, 600)
		s.quiet = at + a.lasts + apart
	case failureHalf:
		s.chance.Shuffle(len(old), func(i, j int) { old[i], old[j] = old[j], old[i] })
		s.hit(&a, old[:min(len(old), len(s.chain)/2)]...)
	case failureNeighbours:
		first := s.chance.IntN(len(old))
		s.hit(&a, old[first:min(len(old), first+2+s.chance.IntN(4))]...)
	case failureFreeze, failureLink, failureSlow:
		a.lasts, s.quiet = s.between(1500, 6000), at+apart
		switch kind {
		case failureLink:
			a.lasts = s.between(300, 6000)
		case failureSlow: // it is found in some seconds, in which the slack dwindles
			a.lasts = s.between(6000, 8000)
			s.quiet = at + a.lasts
		}
		m := s.chain[old[s.chance.IntN(len(old))]]
		a.nodes = []int{m.id}
		s.chain = slices.DeleteFunc(s.chain, func(other placed) bool { return other == m })
		s.chain = append(s.chain, placed{m.id, at + a.lasts}) // it comes back at the end
	default:
		s.hit(&a, old[s.chance.IntN(len(old))])
	}
	s.left[kind]--
	s.acts = append(s.acts, a)
}

// grown are the places of those who may be hit.
func (s *drafting) grown(at time.Duration) (places []int) {
	for place, m := range s.chain {
		if at-m.since >= grownUp {
			places = append(places, place)
		}
	}
	return places
}

func (s *drafting) between(from, to int) time.Duration {
	return time.Duration(from+s.chance.IntN(to-from)) * time.Millisecond
}

// choose draws one of the failures that are left and possible now.
func (s *drafting) choose(at time.Duration) (failure, bool) {
	grown := len(s.grown(at))
	var bag []failure
	for _, b := range usual {
		silent := b.kind.silent()
		enough := grown >= (s.nodes+1)/2 // a chain of newcomers only is no chain
		if b.kind == failureHalf {
			enough = grown >= s.nodes*3/4
		}
		if silent && at < s.quiet || !enough {
			continue
		}
		for range s.left[b.kind] {
			bag = append(bag, b.kind)
		}
	}
	if len(bag) == 0 {
		return "", false
	}
	return bag[s.chance.IntN(len(bag))], true
}

// hit takes the places out of the chain, and a newcomer for each comes soon.
func (s *drafting) hit(a *act, places ...int) {
	gone := map[int]bool{}
	for _, place := range places {
		a.nodes = append(a.nodes, s.chain[place].id)
		gone[s.chain[place].id] = true
	}
	s.chain = slices.DeleteFunc(s.chain, func(m placed) bool { return gone[m.id] })
	for i := range places {
		s.came++
		at := a.at + s.between(200, 1200) + time.Duration(i)*50*time.Millisecond // half of all come one by one
		s.acts = append(s.acts, act{at: at, kind: join, nodes: []int{s.came}})
		s.chain = append(s.chain, placed{s.came, at})
	}
}
