package schedule

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Listen is no failure: everybody must hear, on a path from the server.
const Listen Kind = "listen"

const (
	// MendedWithin is how long after the last failure everybody must hear again.
	MendedWithin = 5 * time.Second
	// ListenFor is how long it is then watched that everybody does.
	ListenFor = time.Second
	// longFrom is the length of an outage from which on it may last longer than a node's window.
	// A quarter of all are shorter, from brief to WithinWindow: longer than the slack, while all
	// that is missed is still to be had.
	longFrom, WithinWindow, brief = 10 * time.Second, 9 * time.Second, 3 * time.Second
	// Settling is how long the chain is left in peace before the first failure, and before the
	// last look.
	Settling = 4 * time.Second
	// slowFor is how long two lines are slow.
	slowFor = time.Minute

	ShortestLongest, LongestLongest = 4 * time.Second, 10 * time.Minute
	// mostInRound is how many failures at most fall into an outage.
	mostInRound = 3
)

// rounds are the acts of a plan with outages: an outage, into which other failures may fall;
// a check when all is over; those who come for those who are gone; and again.
func (s *draft) rounds() []Act {
	for at := time.Duration(0); s.sum() > 0; {
		at = s.round(at)
	}
	slices.SortStableFunc(s.acts, func(a, b Act) int { return cmp.Compare(a.At, b.At) })
	return s.acts
}

// round adds the failures of one round and says when the next may begin.
func (s *draft) round(at time.Duration) time.Duration {
	from := len(s.acts)
	end, kind := s.outage(at, Outages)
	more, second := s.chance.IntN(mostInRound+1), kind == ""
	switch kind {
	case "": // there are no outages left
		more, end = max(1, more), at
		s.strike(at)
		s.putOff(from, never)
	case SlowPair: // these two use up all of the slack
		more = 0
	}
	length := end - at
	for range more {
		at += apart + time.Duration(s.chance.Int64N(int64(max(time.Second, length/mostInRound))))
		if kind != "" && at >= end {
			break
		}
		if !second && s.chance.IntN(2) == 0 {
			until, _ := s.outage(at, slices.DeleteFunc(slices.Clone(Outages), func(o share) bool {
				return o.Kind == SlowPair || o.Kind == kind && kind != Asleep
			}))
			end, second = max(end, until), true
			continue
		}
		s.strike(at)
		s.putOff(from, never)
	}
	for _, a := range s.acts[from:] {
		if a.Kind != Join {
			end = max(end, a.Ends())
		}
	}
	s.acts = append(s.acts, Act{At: end, Kind: Listen})
	end += MendedWithin + ListenFor
	end += s.putOff(from, end)
	return end + Settling
}

// never is later than everything.
const never = time.Duration(math.MaxInt64 / 2)

// putOff lets those who were to come since the act from come at the given time, one by one: who
// comes in the dark finds nobody.
func (s *draft) putOff(from int, at time.Duration) (took time.Duration) {
	for i, a := range s.acts[from:] {
		if a.Kind != Join {
			continue
		}
		took += 50 * time.Millisecond
		s.acts[from+i].At = at + took
		place := slices.IndexFunc(s.chain, func(p placed) bool { return p.id == a.Nodes[0] })
		s.chain[place].since = at + took
	}
	return took
}

// outage adds one of the kinds, as far as there are any left, and says when it ends.
func (s *draft) outage(at time.Duration, kinds []share) (end time.Duration, kind Kind) {
	places := s.grown(at)
	var bag []Kind
	for _, o := range kinds {
		if len(places) > 0 {
			for range s.left[o.Kind] {
				bag = append(bag, o.Kind)
			}
		}
	}
	if len(bag) == 0 {
		return at, ""
	}
	a := Act{At: at, Kind: bag[s.chance.IntN(len(bag))], Lasts: s.length()}
	switch a.Kind {
	case Away:
		a.Cable = s.chance.IntN(2) == 0
	case Asleep:
		s.sleep(&a, places)
	case SlowPair:
		a.Lasts = min(s.Longest, slowFor)
		a.Later = s.between(0, 3000) * time.Duration(s.chance.IntN(2)) // half of them at once
		a.Nodes = []int{s.chain[places[s.chance.IntN(len(places))]].id}
	}
	s.left[a.Kind]--
	s.acts = append(s.acts, a)
	s.quiet = at + apart
	return a.Ends(), a.Kind
}

// length draws how long an outage lasts.
func (s *draft) length() time.Duration {
	from, to := brief, min(s.Longest, WithinWindow)
	if s.Longest > longFrom && s.chance.IntN(4) > 0 {
		from, to = longFrom, s.Longest
	}
	return s.between(int(from.Milliseconds()), int(to.Milliseconds()))
}

// sleep draws one, several in a row, or half of the places. They come back at the end.
func (s *draft) sleep(a *Act, places []int) {
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
		a.Nodes = append(a.Nodes, s.chain[place].id)
		back = append(back, placed{s.chain[place].id, a.At + a.Lasts})
	}
	s.chain = slices.DeleteFunc(s.chain, func(m placed) bool { return slices.Contains(a.Nodes, m.id) })
	s.chain = append(s.chain, back...)
}
