package main

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// listen is no failure: everybody must hear, on a path from the server.
const listen failure = "listen"

const (
	// mendedWithin is how long after the last failure everybody must hear again.
	mendedWithin = 5 * time.Second
	// listenFor is how long it is then watched that everybody does.
	listenFor = time.Second
	// longFrom is the length of an outage from which on it may last longer than a node's window.
	// A quarter of all are shorter, from brief to withinWindow: longer than the slack, while all
	// that is missed is still to be had.
	longFrom, withinWindow, brief = 10 * time.Second, 9 * time.Second, 3 * time.Second
	// slowFor is how long two lines are slow.
	slowFor = time.Minute

	shortestLongest, longestLongest = 4 * time.Second, 10 * time.Minute
	// mostInRound is how many failures at most fall into an outage.
	mostInRound = 3
)

// rounds are the acts of a plan with outages: an outage, into which other failures may fall;
// a check when all is over; those who come for those who are gone; and again.
func (s *drafting) rounds() []act {
	for at := time.Duration(0); s.sum() > 0; {
		at = s.round(at)
	}
	slices.SortStableFunc(s.acts, func(a, b act) int { return cmp.Compare(a.at, b.at) })
	return s.acts
}

// round adds the failures of one round and says when the next may begin.
func (s *drafting) round(at time.Duration) time.Duration {
	from := len(s.acts)
	end, kind := s.outage(at, outages)
	more, second := s.chance.IntN(mostInRound+1), kind == ""
	switch kind {
	case "": // there are no outages left
		more, end = max(1, more), at
		s.strike(at)
		s.putOff(from, never)
	case failureSlowPair: // these two use up all of the slack
		more = 0
	}
	length := end - at
	for range more {
		at += apart + time.Duration(s.chance.Int64N(int64(max(time.Second, length/mostInRound))))
		if kind != "" && at >= end {
			break
		}
		if !second && s.chance.IntN(2) == 0 {
			until, _ := s.outage(at, slices.DeleteFunc(slices.Clone(outages), func(o share) bool {
				return o.kind == failureSlowPair || o.kind == kind && kind != failureAsleep
			}))
			end, second = max(end, until), true
			continue
		}
		s.strike(at)
		s.putOff(from, never)
	}
	for _, a := range s.acts[from:] {
		if a.kind != join {
			end = max(end, a.ends())
		}
	}
	s.acts = append(s.acts, act{at: end, kind: listen})
	end += mendedWithin + listenFor
	end += s.putOff(from, end)
	return end + settling
}

// never is later than everything.
const never = time.Duration(math.MaxInt64 / 2)

// putOff lets those who were to come since the act from come at the given time, one by one: who
// comes in the dark finds nobody.
func (s *drafting) putOff(from int, at time.Duration) (took time.Duration) {
	for i, a := range s.acts[from:] {
		if a.kind != join {
			continue
		}
		took += 50 * time.Millisecond
		s.acts[from+i].at = at + took
		place := slices.IndexFunc(s.chain, func(p placed) bool { return p.id == a.nodes[0] })
		s.chain[place].since = at + took
	}
	return took
}

// outage adds one of the kinds, as far as there are any left, and says when it ends.
func (s *drafting) outage(at time.Duration, kinds []share) (end time.Duration, kind failure) {
	places := s.grown(at)
	var bag []failure
	for _, o := range kinds {
		if len(places) > 0 {
			for range s.left[o.kind] {
				bag = append(bag, o.kind)
			}
		}
	}
	if len(bag) == 0 {
		return at, ""
	}
	a := act{at: at, kind: bag[s.chance.IntN(len(bag))], lasts: s.length()}
	switch a.kind {
	case failureAway:
		a.cable = s.chance.IntN(2) == 0
	case failureAsleep:
		s.sleep(&a, places)
	case failureSlowPair:
		a.lasts = min(s.longest, slowFor)
		a.later = s.between(0, 3000) * time.Duration(s.chance.IntN(2)) // half of them at once
		a.nodes = []int{s.chain[places[s.chance.IntN(len(places))]].id}
	}
	s.left[a.kind]--
	s.acts = append(s.acts, a)
	s.quiet = at + apart
	return a.ends(), a.kind
}

// length draws how long an outage lasts.
func (s *drafting) length() time.Duration {
	from, to := brief, min(s.longest, withinWindow)
	if s.longest > longFrom && s.chance.IntN(4) > 0 {
		from, to = longFrom, s.longest
	}
	return s.between(int(from.Milliseconds()), int(to.Milliseconds()))
}

// sleep draws one, several in a row, or half of the places. They come back at the end.
func (s *drafting) sleep(a *act, places []int) {
	switch draw := s.chance.IntN(5); {
	case draw < 2:
		first := s.chance.IntN(len(places))
		places = places[first : first+1]
	case draw < 4:
		first := s.chance.IntN(len(places))
		places = places[first:min(len(places), first+2+s.chance.IntN(3))]
	default:
		s.chance.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
		places = places[:min(len(places), max(1, len(s.chain)/2))]
		slices.Sort(places)
	}
	var back []placed
	for _, place := range places {
		a.nodes = append(a.nodes, s.chain[place].id)
		back = append(back, placed{s.chain[place].id, a.at + a.lasts})
	}
	s.chain = slices.DeleteFunc(s.chain, func(m placed) bool { return slices.Contains(a.nodes, m.id) })
	s.chain = append(s.chain, back...)
}
