package queue

import (
	"cmp"
	"slices"

	"conga/messages"
)

// Rules are what the operator has set for requests.
type Rules struct {
	Order     Order `json:"queue"`
	Each      int   `json:"requestsEach"` // waiting requests of one person; 0: any number
	SkipVotes int   `json:"skipVotes"`    // 0: only the host may skip
}

// Order says whose request is next.
type Order string

// The orders of a queue.
const (
	Fifo Order = "fifo" // first come, first served
	Fair Order = "fair" // round robin between people
)

func rulesOf(m *messages.QueueRules) Rules {
	order := Fifo
	if m.GetOrder() == messages.QueueOrder_QUEUE_ORDER_FAIR {
		order = Fair
	}
	return Rules{Order: order, Each: int(m.GetRequestsEach()), SkipVotes: int(m.GetSkipVotes())}
}

// A fair queue is start-time fair queueing. Each request has a round that is not over yet, and no two requests of one
// person have the same. The queue is in the order of the rounds, and within a round first come, first served. So if
// a person has n requests waiting, nobody else has more than n requests played until the last of these plays; or n + 1,
// if the person was served in this round already. Served remembers that: without it, two people who ask in turn could
// keep a round open for ever.

// enqueue gives the request its place.
func (s State) enqueue(r Request) State {
	at := len(s.Queue)
	if s.Rules.Order == Fair {
		r.Round = s.nextRound(r.Person)
		for at > 0 && s.Queue[at-1].Round > r.Round {
			at--
		}
	}
	s.Queue = slices.Insert(slices.Clip(s.Queue), at, r)
	return s
}

// nextRound is the first round in which the person has no request yet.
func (s State) nextRound(person string) uint64 {
	round := s.Round
	if slices.Contains(s.Served, person) {
		round++
	}
	for _, r := range s.Queue {
		if r.Person == person && r.Round >= round {
			round = r.Round + 1
		}
	}
	return round
}

// serve counts that a request was chosen. A request that had to wait for its file may have a round that is over.
func (s State) serve(r Request) State {
	if s.Rules.Order != Fair || r.Round < s.Round {
		return s
	}
	if r.Round > s.Round {
		s.Round, s.Served = r.Round, nil
	}
	if !slices.Contains(s.Served, r.Person) {
		s.Served = append(slices.Clip(s.Served), r.Person)
		s.Served = s.Served[max(0, len(s.Served)-maxQueue):]
	}
	return s
}

// rule sets the rules. If they change the order, the queue becomes what it would be if all its requests had
// come under the new order.
func (s State) rule(rules Rules) State {
	was := s.Rules.Order
	if s.Rules = rules; was == rules.Order || was == "" && rules.Order == Fifo {
		return s
	}
	waiting := slices.Clone(s.Queue)
	slices.SortStableFunc(waiting, func(a, b Request) int { return cmp.Compare(a.Arrival, b.Arrival) })
	s.Queue, s.Round, s.Served = nil, 0, nil
	if p := s.Playing; p != nil && p.Asked {
		p := *p
		p.Round = 0
		s.Playing = &p
		s = s.serve(p.Request)
	}
	for _, r := range waiting {
		r.Round = 0
		s = s.enqueue(r)
	}
	return s
}
