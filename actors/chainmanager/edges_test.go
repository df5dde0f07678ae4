package chainmanager

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"conga/messages"
)

// chain reads "amy bob^ cem! dora_": ^ cannot be reached, ! has lied, _ is a leaf.
func chain(words string) State {
	var s State
	for _, word := range strings.Fields(words) {
		name := strings.TrimRight(word, "^!_")
		s.Chain = append(s.Chain, Member{
			ID: name, Name: name, Dials: strings.Contains(word, "^"), Liar: strings.Contains(word, "!"), Leaf: strings.Contains(word, "_"),
		})
	}
	return s
}

func TestState_Neighbours(t *testing.T) {
	for _, c := range []struct {
		name, chain, of string
		ancestors       string // ^ is to dial
		downstream      string // ^ is to be dialled
	}{
		{"first", "amy bob", "amy", "server", "bob"},
		{"last", "amy bob cem dora", "dora", "cem bob amy", ""},
		{"nearest three only", "amy bob cem dora emil", "emil", "dora cem bob", ""},
		{"below one who cannot be reached", "amy bob^ cem", "cem", "bob^ amy server", ""},
		{"who cannot be reached dials", "amy bob^ cem", "bob", "amy server", "cem^"},
		{"only the one above dials", "amy^ bob cem", "cem", "bob server", ""},
		{"two behind closed ports part", "amy bob^ cem^", "cem", "amy server", ""},
		{"a row of closed ports is spread", "ann amy bob^ cem^", "cem", "ann amy server", ""},
		{"liars feed nobody", "amy bob! cem", "cem", "amy server", ""},
		{"a liar still hears", "amy bob cem!", "cem", "bob amy server", ""},
		{"leaves are spread", "ann amy bob_ cem_", "cem", "ann amy server", ""},
		{"all closed", "amy^ bob^", "bob", "server", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := chain(c.chain).Neighbours(c.of)
			var ancestors []string
			for _, a := range n.Ancestors {
				name := a.Id
				if a.Dials {
					name += "^"
				}
				ancestors = append(ancestors, name)
			}
			downstream := n.Downstream.GetId()
			if n.Offer {
				downstream += "^"
			}
			if got := strings.Join(ancestors, " "); got != c.ancestors || downstream != c.downstream {
				t.Errorf("%s of %s: ancestors %q, downstream %q; want %q, %q", c.of, c.chain, got, downstream, c.ancestors, c.downstream)
			}
		})
	}
}

// Whatever ports are closed and whoever lies: nobody is to receive from whom he cannot
// be connected to, from a liar, or from himself, and following the sources everybody
// comes to the server.
func TestState_Property_Sources(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s State
		for i := range rapid.IntRange(0, 30).Draw(t, "joins") {
			join := &messages.JoinChain{Node: node(fmt.Sprint("n", i)), Leaf: rapid.IntRange(0, 5).Draw(t, "leaf") == 0}
			if rapid.IntRange(0, 2).Draw(t, "closed") == 0 {
				join.Unreachable = "refused"
			}
			for _, event := range s.Decide(join) {
				s = s.Apply(event)
			}
			if len(s.Chain) > 0 && rapid.IntRange(0, 4).Draw(t, "lies") == 0 {
				below := rapid.SampledFrom(s.Chain).Draw(t, "accuser")
				accused := s.source(s.place(below.ID))
				for _, event := range s.Decide(&messages.PeerLost{Id: accused, SeenBy: below.ID, Fault: messages.Fault_FAULT_LYING}) {
					s = s.Apply(event)
				}
			}
		}
		for at, m := range s.Chain {
			seen := map[string]bool{}
			for from := m.ID; from != messages.ServerID; {
				if seen[from] {
					t.Fatalf("%s is fed in a circle: %v", m.ID, s.Chain)
				}
				seen[from] = true
				from = s.source(s.place(from))
			}
			from := s.source(at)
			if from == messages.ServerID {
				continue
			}
			above := s.Chain[s.place(from)]
			if above.Liar || above.Leaf || above.Dials && m.Dials || above.ID == m.ID {
				t.Fatalf("%v is to receive from %v", m, above)
			}
		}
	})
}
