package chain

import (
	"fmt"
	"math/bits"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/messages"
)

// fed is how many feeders each node feeds.
func fed(s State) map[string]int {
	all := map[string]int{}
	for m := range s.Chain.All() {
		if m.feeds() {
			all[s.Chain.Source(m.ID)]++
		}
	}
	return all
}

// depth is how many hops the music takes to the member.
func depth(t interface{ Fatalf(string, ...any) }, s State, id string) (hops int) {
	for ; id != messages.ServerID; hops++ {
		if hops > s.Chain.Len() {
			t.Fatalf("%s is fed in a circle: %v", id, members(s))
		}
		id = s.Chain.Source(id)
	}
	return hops
}

// Whoever comes, goes, is lost or offers another number: there is one way from the server to each, and nobody feeds more
// than it offers.
func TestState_Property_Tree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := State{Chains: rapid.IntRange(0, 3).Draw(t, "chains")}
		do := func(cmd proto.Message) {
			for _, event := range s.Decide(cmd) {
				s = s.Apply(event)
			}
		}
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			who := fmt.Sprint("n", i)
			if s.Chain.Len() > 0 && rapid.IntRange(0, 2).Draw(t, "old") == 0 {
				who = rapid.SampledFrom(members(s)).Draw(t, "who").ID
			}
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			case 0:
				do(&messages.LeaveChain{Id: who})
			case 1:
				lost := &messages.PeersLost{}
				for _, m := range members(s) {
					if rapid.IntRange(0, 2).Draw(t, "lost") == 0 {
						lost.Lost = append(lost.Lost, &messages.PeerLost{Id: m.ID, SeenBy: messages.ServerID})
					}
				}
				do(lost)
			default:
				do(&messages.JoinChain{
					Node: node(who), Feed: rapid.Uint32Range(0, messages.MaxFeed+1).Draw(t, "feed"),
					Leaf: rapid.IntRange(0, 5).Draw(t, "leaf") == 0,
				})
			}
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				s = s.Apply(&messages.BroadcastOpened{Chains: rapid.Uint32Range(0, 3).Draw(t, "chains")})
				for m := range s.Chain.All() {
					do(&messages.JoinChain{Node: node(m.ID), Feed: uint32(m.Feed)})
				}
				do(&messages.ExpireAbsent{}) // all are back: the server may have to feed fewer
			}
			feeding, drawn, above := fed(s), []string{}, map[string]bool{messages.ServerID: true}
			for m, level := range s.Chain.Tree() {
				if drawn = append(drawn, m.ID); !above[s.Chain.Source(m.ID)] || level > 0 && !s.Chain.Branches() {
					t.Fatalf("%s is drawn above the one that feeds it: %v", m.ID, drawn)
				}
				above[m.ID] = true
			}
			if slices.Sort(drawn); !slices.Equal(drawn, slices.Sorted(slices.Values(ids(s)))) {
				t.Fatalf("drawn are %v of %v", drawn, ids(s))
			}
			for _, m := range members(s) {
				depth(t, s, m.ID)
				if feeding[m.ID] > m.most() {
					t.Fatalf("%s offers to feed %d, and feeds %d: %v", m.ID, m.most(), feeding[m.ID], members(s))
				}
			}
			if feeding[messages.ServerID] > max(1, s.Chains) {
				t.Fatalf("the server is to feed %d, and feeds %d: %v", s.Chains, feeding[messages.ServerID], members(s))
			}
		}
	})
}

// Where each offers to feed two, the last of n stands at most log2(n+1) below the server, rounded up; where all but a few
// feed one, and where the server feeds several, newcomers go to the place nearest the server, too.
func TestState_Depth(t *testing.T) {
	for _, c := range []struct {
		name   string
		chains int
		feed   func(i int) uint32
		want   func(n int) int
	}{
		{"one each", 1, func(int) uint32 { return 0 }, func(n int) int { return n }},
		{"two each", 1, func(int) uint32 { return 2 }, func(n int) int { return bits.Len(uint(n)) }},
		{"three chains", 3, func(int) uint32 { return 1 }, func(n int) int { return (n + 2) / 3 }},
		{"two of two", 2, func(int) uint32 { return 2 }, func(n int) int { return bits.Len(uint(n+1)) - 1 }},
		{"the first feeds two", 1, func(i int) uint32 { return uint32(2 - min(i, 1)) }, func(n int) int { return n/2 + 1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, deepest := State{Chains: c.chains}, 0
			for i := range 200 {
				for _, event := range s.Decide(&messages.JoinChain{Node: node(fmt.Sprint("n", i)), Feed: c.feed(i)}) {
					s = s.Apply(event)
				}
				deepest = max(deepest, depth(t, s, fmt.Sprint("n", i))) // nobody else stands deeper than before
				if want := c.want(i + 1); deepest > want {
					t.Fatalf("%d listeners are %d deep, want %d: %v", i+1, deepest, want, members(s))
				}
			}
		})
	}
}

// A node with two children dies: both knew, before, the node that feeds them afterwards or one above it, and that one knew
// them as guests.
func TestState_BranchHeals(t *testing.T) {
	var s State
	for i := range 40 {
		for _, event := range s.Decide(&messages.JoinChain{Node: node(fmt.Sprint("n", i)), Address: fmt.Sprint(i), Feed: 2}) {
			s = s.Apply(event)
		}
	}
	guests := map[string][]string{messages.ServerID: nil}
	ancestors := map[string][]string{}
	for _, n := range tellings(s) {
		guests[n.GetId()] = n.GetGuests()
		for _, a := range n.GetAncestors() {
			ancestors[n.GetId()] = append(ancestors[n.GetId()], a.GetId())
		}
	}
	for _, m := range members(s) {
		for i, above := range ancestors[m.ID] {
			if i < 3 && above != messages.ServerID && !slices.Contains(guests[above], m.ID) {
				t.Errorf("%s may ask %s, which expects %v", m.ID, above, guests[above])
			}
		}
		if len(ancestors[m.ID]) < 2 && ancestors[m.ID][0] != messages.ServerID {
			t.Errorf("%s knows only %v", m.ID, ancestors[m.ID])
		}
	}
}
