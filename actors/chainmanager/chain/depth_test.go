package chain

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"conga/messages"
)

// Whoever offers what, and however long a hop takes: after some moves nothing more follows, nobody feeds more than it offers, and
// no end was made deeper than it was, unless it has time enough.
func TestDepth_Property_Settles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := State{Chains: rapid.IntRange(0, 2).Draw(t, "chains"), ChainsAtMost: rapid.IntRange(0, 4).Draw(t, "at most")}
		slack := time.Duration(rapid.IntRange(1000, 6000).Draw(t, "slack")) * time.Millisecond
		hop := time.Duration(rapid.IntRange(5, 100).Draw(t, "hop")) * time.Millisecond
		n := rapid.IntRange(1, 60).Draw(t, "listeners")
		for i := range n {
			for _, event := range s.Decide(&messages.JoinChain{Node: node(fmt.Sprint("n", i))}) {
				s = s.Apply(event)
			}
		}
		for i := range n { // in a line of those who feed one, some offer more
			s = s.Apply(&messages.ListenerReturned{Node: node(fmt.Sprint("n", i)), Feed: rapid.Uint32Range(0, 2).Draw(t, "feed")})
		}
		if rapid.Bool().Draw(t, "some leave") {
			for i := range n / 2 {
				for _, event := range s.Decide(&messages.LeaveChain{Id: fmt.Sprint("n", 2*i)}) {
					s = s.Apply(event)
				}
			}
		}
		last := func() (end string, hops int) {
			for m := range s.Chain.All() {
				if h := s.Chain.Hops(m.ID); h > hops {
					end, hops = m.ID, h
				}
			}
			return end, hops
		}
		room := slack - messages.MarginNeeded(slack)
		moves := 0
		for at := int64(0); ; at += 2 * restFor {
			end, hops := last()
			events := s.Decide(&messages.WeighDepth{
				Id: end, TakesUs: (hop * time.Duration(hops)).Microseconds(), SlackUs: slack.Microseconds(), AtUnixUs: at + 1,
			})
			if len(events) == 0 {
				break
			}
			for _, event := range events {
				s = s.Apply(event)
			}
			if moves++; moves > 3*n {
				t.Fatalf("%d moves, and no end: %v", moves, members(s))
			}
			if _, now := last(); now > hops && hop*time.Duration(now) > room {
				t.Fatalf("it was %d deep, and is %d: %v", hops, now, events)
			}
			for id, fed := range fed(s) {
				m, is := s.Chain.Find(id)
				if is && fed > m.most() || !is && fed > max(1, s.Chains, s.ChainsAtMost) {
					t.Fatalf("%s feeds %d: %v", id, fed, members(s))
				}
			}
		}
	})
}

// A command follows only when all looks have said the same for long, from two members at least, and not if the chain cannot branch.
func TestWatch(t *testing.T) {
	s := State{ChainsAtMost: 2}
	for i := range 6 {
		for _, event := range s.Decide(&messages.JoinChain{Node: node(fmt.Sprint("n", i))}) {
			s = s.Apply(event)
		}
	}
	all := func(ms int) func(string) (time.Duration, bool) {
		return func(string) (time.Duration, bool) { return time.Duration(ms) * time.Millisecond, true }
	}
	only := func(ids ...string) func(string) (time.Duration, bool) {
		return func(id string) (time.Duration, bool) {
			for _, one := range ids {
				if one == id {
					return 700 * time.Millisecond, true
				}
			}
			return 0, false
		}
	}
	liar := func(id string) (time.Duration, bool) {
		if id == "n5" {
			return 1900 * time.Millisecond, true
		}
		return 100 * time.Millisecond, true
	}
	for _, c := range []struct {
		name  string
		takes func(string) (time.Duration, bool)
		state State
		want  time.Duration // after which a command follows; 0: none does in ten minutes
		low   bool
	}{
		{"too deep", all(700), s, lowFor, true},
		{"time enough", all(100), s, ampleFor, false},
		{"one slow line", liar, s, ampleFor, false},
		{"two voices", only("n5", "n3"), s, lowFor, true},
		{"one voice", only("n5"), s, 0, false},
		{"no end says anything", only("n0", "n1", "n2"), s, 0, false},
		{"nobody may feed more", all(700), State{Chain: s.Chain}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w Watch
			began := time.UnixMicro(1e15)
			for past := time.Duration(0); past <= 10*time.Minute; past += 5 * time.Second {
				cmd := w.Look(c.state, messages.Slack, c.takes, began.Add(past))
				if want := c.want > 0 && past >= c.want; (cmd != nil) != want {
					t.Fatalf("after %v: %v", past, cmd)
				}
				if cmd != nil && (cmd.GetId() != "n5" || (cmd.GetTakesUs() > 480_000) != c.low) {
					t.Fatalf("it says %v", cmd)
				}
			}
		})
	}
}
