package queue

import (
	"encoding/json"
	"slices"

	"conga/messages"
)

// maxAnswered is how many requests are remembered at least, so that one sent again
// after a lost answer is not a second request.
const maxAnswered = 1024

// Answer is what a request got.
type Answer struct {
	RequestID string                      `json:"requestId"`
	Song      string                      `json:"song,omitempty"` // empty: refused
	Reason    messages.PlayRefused_Reason `json:"reason,omitempty"`
}

// Answered lists the last requests that were answered. It is an immutable list that
// shares its tail with older ones, so remembering one more costs the same however long
// the list is. As JSON it is an array, oldest first.
type Answered struct {
	newest *answered
	n      int
}

type answered struct {
	Answer
	older *answered
}

// with returns the list with a as its newest. At twice maxAnswered it forgets the older half.
func (l Answered) with(a Answer) Answered {
	if l.n >= 2*maxAnswered {
		kept := l.newestFirst()[:maxAnswered]
		l = Answered{}
		for _, k := range slices.Backward(kept) {
			l = Answered{newest: &answered{k, l.newest}, n: l.n + 1}
		}
	}
	return Answered{newest: &answered{a, l.newest}, n: l.n + 1}
}

// find returns what the request with this id got.
func (l Answered) find(id string) (Answer, bool) {
	for a := l.newest; a != nil; a = a.older {
		if a.RequestID == id {
			return a.Answer, true
		}
	}
	return Answer{}, false
}

func (l Answered) newestFirst() []Answer {
	all := make([]Answer, 0, l.n)
	for a := l.newest; a != nil; a = a.older {
		all = append(all, a.Answer)
	}
	return all
}

// MarshalJSON writes the list, oldest first.
func (l Answered) MarshalJSON() ([]byte, error) {
	all := l.newestFirst()
	slices.Reverse(all)
	return json.Marshal(all)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *Answered) UnmarshalJSON(data []byte) error {
	var all []Answer
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	*l = Answered{}
	for _, a := range all {
		*l = Answered{newest: &answered{a, l.newest}, n: l.n + 1}
	}
	return nil
}
