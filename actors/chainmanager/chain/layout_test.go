package chain

import (
	"fmt"
	"runtime"
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
			above := told(s, c.of).GetAncestors()
			known := false
			for _, a := range above[:2] {
				known = known || a.GetId() == c.want
			}
			if !known {
				t.Errorf("closed %q: %s asks first %v", closed, c.of, above)
			}
			guests := told(s, c.want).GetGuests()
			if len(guests) == 0 || len(guests) > maxGuests {
				t.Errorf("%s has %d guests", c.want, len(guests))
			}
		}
	}
}

// leafy is a chain of feeders, and leaves behind them; the closed ones would feed, but nobody can
// reach them.
func leafy(feeders, leaves int, closed string) (s State) {
	join := func(id string, leaf bool, unreachable string) {
		for _, event := range s.Decide(&messages.JoinChain{Node: node(id), Address: id, Leaf: leaf, Unreachable: unreachable}) {
			s = s.Apply(event)
		}
	}
	for i := range feeders {
		join(fmt.Sprint("f", i), false, "")
	}
	for i := range leaves {
		join(fmt.Sprint("l", i), closed == "", closed)
	}
	return s
}

// A leaf that leaves is nobody else's business; a feeder is that of those whom it feeds.
func TestLayout_LeafLeaves(t *testing.T) {
	s := leafy(20, 40, "")
	for _, m := range members(s) {
		fed := 0
		for other := range s.Chain.All() {
			if s.Chain.Source(other.ID) == m.ID {
				fed++
			}
		}
		spliced := len(s.Decide(&messages.LeaveChain{Id: m.ID})) - 1
		if m.Leaf && spliced != 0 {
			t.Errorf("%s leaves, %d change their source", m.ID, spliced)
		}
		if near := len(s.Chain.sources(s.Chain.last())); !m.Leaf && spliced > fed+40/near*2 {
			t.Errorf("%s leaves and fed %d, %d change their source", m.ID, fed, spliced)
		}
	}
	// Of a row of those who cannot be reached the first is part of the line, and one takes its place.
	s = leafy(20, 60, "refused")
	for _, m := range members(s) {
		if spliced := len(s.Decide(&messages.LeaveChain{Id: m.ID})) - 1; m.Dials && spliced > 1 {
			t.Errorf("%s leaves, %d change their source", m.ID, spliced)
		}
	}
}

// Those who cannot feed are spread evenly over the sources near them.
func TestLayout_Spread(t *testing.T) {
	for _, closed := range []string{"", "refused"} {
		s := leafy(20, 240, closed)
		fed, row := map[string]int{}, 0
		var above Member
		for m := range s.Chain.All() {
			if m.Leaf || m.Dials && above.Dials {
				fed[s.Chain.Source(m.ID)]++
				row++
			}
			above = m
		}
		if row < 200 || len(fed) != maxSources {
			t.Errorf("closed %q: %d feed %d", closed, len(fed), row)
		}
		for id, n := range fed {
			if n < row/maxSources/2 || n > row/maxSources*3/2 {
				t.Errorf("closed %q: %s feeds %d of %d", closed, id, n, row)
			}
		}
	}
}

// A join into a long chain takes as much memory as one into a short chain, but for the lists' own length: nothing looks at
// all members.
func TestTellings_JoinCostsTheSame(t *testing.T) {
	costs := func(members int) (allocations float64, bytes uint64) {
		var s State
		for i := range members {
			s = s.Apply(&messages.ListenerJoined{Node: node(fmt.Sprint("n", i)), After: s.Chain.last().id(), Address: fmt.Sprint(i)})
		}
		var told Tellings
		told.Follow(s)
		join := &messages.JoinChain{Node: node("new"), Address: "new"}
		const runs = 50
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		allocations = testing.AllocsPerRun(runs, func() {
			now := s
			for _, event := range s.Decide(join) {
				now = now.Apply(event)
			}
			told.Follow(now)
			told.Follow(s) // and it leaves
		})
		runtime.ReadMemStats(&after)
		return allocations, (after.TotalAlloc - before.TotalAlloc) / runs
	}
	few, small := costs(500)
	many, large := costs(8000)
	if many > few*1.1 || large > 2*small {
		t.Errorf("in a chain of 8000 a join makes %v allocations of %d bytes, in one of 500 %v of %d", many, large, few, small)
	}
}

// A join into a chain of a thousand, decided, applied, and told to those whom it concerns.
func BenchmarkJoin1000(b *testing.B) {
	for _, c := range []struct {
		name string
		join func(i int) *messages.ListenerJoined
	}{
		{"", func(i int) *messages.ListenerJoined { return &messages.ListenerJoined{Address: fmt.Sprint(i)} }},
		{"one address", func(i int) *messages.ListenerJoined { return &messages.ListenerJoined{} }},
		{"leaves", func(i int) *messages.ListenerJoined {
			return &messages.ListenerJoined{Address: fmt.Sprint(i), Leaf: i >= 20}
		}},
	} {
		var s State
		for i := range 1000 {
			joined := c.join(i)
			joined.Node, joined.After = node(fmt.Sprint("n", i)), s.Chain.last().id()
			s = s.Apply(joined)
		}
		one := c.join(1000)
		join := &messages.JoinChain{Node: node("new"), Address: one.GetAddress(), Leaf: one.GetLeaf()}
		b.Run(c.name, func(b *testing.B) {
			var told Tellings
			told.Follow(s)
			for b.Loop() {
				after := s
				for _, event := range s.Decide(join) {
					after = after.Apply(event)
				}
				told.Follow(after)
				told.Follow(s) // and it leaves
			}
		})
	}
}
