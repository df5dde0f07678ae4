package chainmanager

import (
	"fmt"
	"testing"

	"conga/messages"
)

// Two hundred of one address stand in a row. Whoever comes behind them knows them, and somebody else.
func TestLayout_ManyOfOneAddress(t *testing.T) {
	for _, closed := range []string{"", "refused"} {
		var s State
		join := func(id, from, unreachable string) {
			for _, event := range s.Decide(&messages.JoinChain{Node: node(id), Address: from, Unreachable: unreachable}) {
				s = s.Apply(event)
			}
		}
		join("amy", "amys", "")
		join("bob", "bobs", "")
		for i := range 200 {
			join(fmt.Sprint("m", i), "cafe", closed)
		}
		join("cem", "cems", "")
		join("dora", "doras", "")
		for _, c := range []struct{ of, want string }{{"cem", "bob"}, {"dora", "cem"}} {
			above := s.Neighbours(c.of).GetAncestors()
			known := false
			for _, a := range above[:2] {
				known = known || a.GetId() == c.want
			}
			if !known {
				t.Errorf("closed %q: %s asks first %v", closed, c.of, above)
			}
			guests := s.Neighbours(c.want).GetGuests()
			if len(guests) == 0 || len(guests) > maxGuests {
				t.Errorf("%s has %d guests", c.want, len(guests))
			}
		}
	}
}

// A join into a chain of a thousand.
func BenchmarkJoin1000(b *testing.B) {
	var s State
	for i := range 1000 {
		s = s.Apply(&messages.ListenerJoined{Node: node(fmt.Sprint("n", i)), After: s.at(len(s.Chain) - 1), Address: fmt.Sprint(i)})
	}
	for b.Loop() {
		after := s
		for _, event := range s.Decide(&messages.JoinChain{Node: node("new"), Address: "new"}) {
			after = after.Apply(event)
		}
		after.layout().tellings()
	}
}
