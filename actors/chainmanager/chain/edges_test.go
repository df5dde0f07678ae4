package chain

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/messages"
)

// chain reads "amy bob^ cem! dora_ sid~amy": ^ cannot be reached, ! has lied, _ is a leaf, and sid
// is a client of 2016 that amy feeds; with ? behind, it hears nothing any more.
func chain(words string) State {
	var all []Member
	for _, word := range strings.Fields(words) {
		word, fedBy, seed := strings.Cut(word, "~")
		name := strings.TrimRight(word, "^!_")
		all = append(all, Member{
			ID: name, Name: name, Relay: name + ":1",
			Seed: seed, FedBy: strings.TrimRight(fedBy, "?"), Silent: strings.Contains(fedBy, "?"),
			Dials: strings.Contains(word, "^"), Liar: strings.Contains(word, "!"), Leaf: strings.Contains(word, "_"),
		})
	}
	return State{Chain: Of(all...)}
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
		{"a client of 2016 feeds no native", "amy sid~amy bob", "bob", "amy server", ""},
		{"nor is it anybody's downstream", "amy sid~amy bob", "amy", "server", "bob"},
		{"a row of those spreads nobody", "ann amy sid~amy sue~sid bob", "bob", "amy ann server", ""},
		{"it knows who feeds it", "amy sid~server bob", "sid", "server", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := told(chain(c.chain), c.of)
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
			if s.Chain.Len() > 0 && rapid.IntRange(0, 4).Draw(t, "lies") == 0 {
				below := rapid.SampledFrom(members(s)).Draw(t, "accuser")
				accused := s.Chain.Source(below.ID)
				for _, event := range s.Decide(&messages.PeerLost{Id: accused, SeenBy: below.ID, Fault: messages.Fault_FAULT_LYING}) {
					s = s.Apply(event)
				}
			}
		}
		for _, m := range members(s) {
			seen := map[string]bool{}
			for from := m.ID; from != messages.ServerID; {
				if seen[from] {
					t.Fatalf("%s is fed in a circle: %v", m.ID, ids(s))
				}
				seen[from] = true
				from = s.Chain.Source(from)
			}
			from := s.Chain.Source(m.ID)
			if from == messages.ServerID {
				continue
			}
			above, _ := s.Chain.Find(from)
			if above.Liar || above.Leaf || above.Dials && m.Dials || above.ID == m.ID {
				t.Fatalf("%v is to receive from %v", m, above)
			}
		}
	})
}

// Who would feed a client of 2016 that comes now.
func TestState_Feeder(t *testing.T) {
	for _, c := range []struct{ name, chain, want string }{
		{"nobody else", "", "server"},
		{"the native before it", "amy bob", "bob"},
		{"the client before it", "amy bob sid~bob", "sid"},
		{"one that feeds a client already", "amy sid~amy sue~sid?", "amy"},
		{"those who cannot be reached, lie, or will not", "amy bob^ cem! dora_", "amy"},
		{"clients that hear nothing", "amy sid~amy?", "amy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := chain(c.chain)
			if got := s.Feeder(0).GetId(); got != c.want {
				t.Errorf("it is %s, want %s", got, c.want)
			}
		})
	}
}

// Whatever clients of 2016 and natives do: a native's path to the server leads over natives
// only; a client that is not silent is fed, over living ones, and exactly one node is told so.
func TestState_Property_Seeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s State
		at := int64(0)
		do := func(cmd proto.Message) {
			for _, event := range s.Decide(cmd) {
				s = s.Apply(event)
			}
		}
		for i := range rapid.IntRange(0, 40).Draw(t, "steps") {
			at += 1_000_000
			someone := ""
			if s.Chain.Len() > 0 {
				someone = rapid.SampledFrom(members(s)).Draw(t, "who").ID
			}
			switch rapid.IntRange(0, 7).Draw(t, "what") {
			case 0, 1:
				join := &messages.JoinChain{Node: &messages.Node{Id: fmt.Sprint("n", i), Relay: ":1"}, AtUnixUs: at}
				if rapid.Bool().Draw(t, "closed") {
					join.Unreachable = "refused"
				}
				do(join)
			case 2, 3:
				do(&messages.JoinChain{
					Node: &messages.Node{Id: fmt.Sprint("s", i), Relay: ":1"}, Seed: true, FedBy: s.Feeder(at).GetId(), AtUnixUs: at,
				})
			case 4:
				do(&messages.LeaveChain{Id: someone, AtUnixUs: at})
			case 5:
				do(&messages.PeersLost{Lost: []*messages.PeerLost{{Id: someone, SeenBy: messages.ServerID, AtUnixUs: at}}})
			case 6:
				if s.Chain.seat(someone) != nil {
					do(&messages.PeerLost{Id: s.Chain.Source(someone), SeenBy: someone, AtUnixUs: at, Fault: rapid.SampledFrom([]messages.Fault{messages.Fault_FAULT_SILENT, messages.Fault_FAULT_LYING}).Draw(t, "fault")})
				}
			case 7:
				if s.Chain.seat(someone) != nil {
					do(&messages.ReportSilent{Id: someone, SeenBy: s.Chain.Source(someone), AtUnixUs: at})
				}
			}
			checkSeeds(t, s)
		}
	})
}

func checkSeeds(t *rapid.T, s State) {
	feeders := map[string]int{}
	for _, m := range members(s) {
		for _, seed := range told(s, m.ID).GetSeeds() {
			feeders[seed.GetId()]++
		}
		for _, a := range told(s, m.ID).GetAncestors() {
			if at := s.Chain.seat(a.GetId()); at != nil && at.Seed && !m.Seed {
				t.Fatalf("%s may turn to %s, a client of 2016: %v", m.ID, a.GetId(), ids(s))
			}
		}
	}
	for _, m := range members(s) {
		from := s.Chain.Source(m.ID)
		if m.Silent {
			if from != "" || feeders[m.ID] > 0 {
				t.Fatalf("%s hears nothing, and is fed by %q: %v", m.ID, from, ids(s))
			}
			continue
		}
		for hops := 0; from != messages.ServerID; hops++ {
			above := s.Chain.seat(from)
			if above == nil || hops > s.Chain.Len() || !m.Seed && above.Seed || above.Silent {
				t.Fatalf("%s is fed over %q: %v", m.ID, from, ids(s))
			}
			from = s.Chain.source(above)
		}
		if want := m.Seed && s.Chain.Source(m.ID) != messages.ServerID; m.Seed && (feeders[m.ID] == 1) != want {
			t.Fatalf("%d nodes are told that they feed %s: %v", feeders[m.ID], m.ID, ids(s))
		}
	}
}
