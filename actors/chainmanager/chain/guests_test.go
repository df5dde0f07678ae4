package chain

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"pgregory.net/rapid"

	"conga/messages"
)

func TestState_Guests(t *testing.T) {
	for _, c := range []struct{ name, chain, of, want string }{
		{"those below who have it among their ancestors, and those who soon may", "a b c d e f g h i", "b", "c d e f g h"},
		{"nobody is fed from below", "a b c", "c", ""},
		{"a leaf feeds nobody", "a b_ c d", "b", ""},
		{"nor does a liar", "a b! c d", "b", ""},
		{"who must dial serves only the one that it dials", "a^ b^ c", "a", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(told(chain(c.chain), c.of).GetGuests(), " "); got != c.want {
				t.Errorf("%s may ask %s, want %s", got, c.of, c.want)
			}
		})
	}
}

// Whoever has a node among the ancestors that it was told of is among that node's guests; also
// while half of the chain has heard of the last change and half has not.
func TestState_Property_Guests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s State
		before := map[string][]string{}
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			join := &messages.JoinChain{Node: node(fmt.Sprint("n", i)), Leaf: rapid.IntRange(0, 5).Draw(t, "leaf") == 0}
			if rapid.IntRange(0, 4).Draw(t, "closed") == 0 {
				join.Unreachable = "refused"
			}
			old := s
			if s.Chain.Len() > 3 && rapid.Bool().Draw(t, "goes") {
				gone := rapid.SampledFrom(members(s)).Draw(t, "who").ID
				s = s.Apply(&messages.ListenerLeft{Id: gone})
			} else {
				for _, event := range s.Decide(join) {
					s = s.Apply(event)
				}
			}
			now := map[string][]string{}
			for _, n := range tellings(s) {
				now[n.Id] = n.Guests
			}
			for _, asks := range []State{old, s} {
				for _, m := range members(asks) {
					for _, above := range told(asks, m.ID).GetAncestors() {
						host := above.GetId()
						if host == messages.ServerID || s.Chain.seat(host) == nil {
							continue
						}
						if guests := AlsoBefore(now[host], before[host]); !slices.Contains(guests, m.ID) {
							t.Fatalf("%s may ask %s, which is told of %v: %v", m.ID, host, guests, ids(s))
						}
					}
				}
			}
			before = now
		}
	})
}

// Two hundred leaves of one address stand between a listener and those above it: these are told of
// the listener all the same, or only the server would feed it.
func TestState_Guests_Crowd(t *testing.T) {
	var s State
	join := func(name, address string, leaf bool) {
		for _, event := range s.Decide(&messages.JoinChain{Node: node(name), Leaf: leaf, Address: address}) {
			s = s.Apply(event)
		}
	}
	for i := range 8 {
		join(fmt.Sprint("honest", i), "192.0.2.1/32", false)
	}
	for i := range 200 {
		join(fmt.Sprint("crowd", i), "198.51.100.1/32", true)
	}
	join("amy", "192.0.2.2/32", false)
	guests := map[string][]string{}
	for _, n := range tellings(s) {
		guests[n.GetId()] = n.GetGuests()
	}
	for _, above := range told(s, "amy").GetAncestors() {
		if theirs := guests[above.GetId()]; !slices.Contains(theirs, "amy") || len(theirs) > maxGuests {
			t.Errorf("%s is told of %v", above.GetId(), theirs)
		}
	}
}

// A telling is one line of the request connection, however many may come.
func TestNeighbours_OneLine(t *testing.T) {
	long := &messages.Node{Id: strings.Repeat("i", 36), Name: strings.Repeat("n", messages.MaxName), Relay: strings.Repeat("r", 64)}
	n := &messages.Neighbours{Id: long.Id, Ancestors: []*messages.Node{long, long, long}, Downstream: long, Event: 1 << 40, Offer: true}
	for i := range maxTold {
		n.Guests = append(n.Guests, fmt.Sprintf("%036d", i))
	}
	line, err := protojson.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	if room := messages.MaxLine - len("NEIGHBOURS \n"); len(line) > room-200 {
		t.Errorf("it takes %d of %d bytes", len(line), room)
	}
}
