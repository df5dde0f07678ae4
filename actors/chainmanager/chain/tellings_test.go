package chain

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/messages"
)

// Whatever happens: whoever was told only of what each change concerns knows the same as if everybody
// were told everything anew, and each change of a source is in the log.
func TestTellings_Property_Reference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := State{Chains: rapid.IntRange(0, 3).Draw(t, "chains")}
		offers := rapid.SampledFrom([]uint32{1, 1, 2, messages.MaxFeed}).Draw(t, "offers")
		var tellings Tellings
		told, standing := map[string]*messages.Neighbours{}, map[string]messages.Standing{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			for range rapid.IntRange(1, 2).Draw(t, "at once") {
				before := s
				events := s.Decide(anything(t, s, offers))
				for _, event := range events {
					s = s.Apply(event)
				}
				checkSplices(t, before, s, events)
			}
			change := tellings.Follow(s)
			for id, now := range change.Standing {
				if standing[id] = now; now == messages.StandingOutside {
					delete(standing, id)
					delete(told, id)
				}
			}
			for _, n := range change.Tell {
				told[n.GetId()] = n
			}
			r := reference(members(s))
			for place, want := range r.tellings() {
				got := proto.CloneOf(told[want.GetId()])
				slices.Sort(got.Guests)
				slices.Sort(want.Guests)
				if !proto.Equal(got, want) {
					t.Fatalf("it is told\n%v, want\n%v, in %v", got, want, ids(s))
				}
				fed := r.source(place) == messages.ServerID
				if now := standing[want.GetId()]; now == messages.StandingOutside || (now == messages.StandingFedByServer) != fed {
					t.Fatalf("%s stands %v, fed by the server: %v", want.GetId(), now, fed)
				}
			}
			if len(standing) != s.Chain.Len() || len(told) != s.Chain.Len() {
				t.Fatalf("%d stand, %d are told, %d are there", len(standing), len(told), s.Chain.Len())
			}
		}
	})
}

// anything is a command that may mean something to the chain.
func anything(t *rapid.T, s State, offers uint32) proto.Message {
	who := fmt.Sprint("n", rapid.IntRange(0, 29).Draw(t, "who"))
	address := fmt.Sprint("a", rapid.IntRange(0, 3).Draw(t, "address"))
	at := int64(rapid.IntRange(0, 1000).Draw(t, "at")) * second
	switch rapid.IntRange(0, 14).Draw(t, "what") {
	case 0:
		return &messages.LeaveChain{Id: who, AtUnixUs: at}
	case 1:
		return &messages.PeersLost{Lost: []*messages.PeerLost{
			{Id: who, SeenBy: messages.ServerID, AtUnixUs: at},
			{Id: fmt.Sprint("n", rapid.IntRange(0, 29).Draw(t, "too")), SeenBy: messages.ServerID, AtUnixUs: at},
		}}
	case 2, 3:
		fault := messages.Fault(rapid.Int32Range(1, 6).Draw(t, "fault"))
		return &messages.PeerLost{Id: s.Chain.Source(who), SeenBy: who, Fault: fault, AtUnixUs: at}
	case 4:
		fault := messages.Fault(rapid.Int32Range(0, 6).Draw(t, "found"))
		return &messages.AuditEnded{Id: who, SeenBy: messages.ServerID, Fault: fault, AtUnixUs: at}
	case 5:
		return &messages.ExpireVerdicts{AtUnixUs: at}
	case 6:
		return &messages.ReportSilent{Id: who, SeenBy: s.Chain.Source(who), AtUnixUs: at}
	case 7:
		return &messages.JoinChain{Node: node(who), Seed: true, FedBy: s.Feeder(at).GetId(), Address: address, AtUnixUs: at}
	}
	join := &messages.JoinChain{
		Node: node(who), Address: address, Leaf: rapid.IntRange(0, 4).Draw(t, "leaf") == 0, AtUnixUs: at,
		Feed: rapid.Uint32Range(0, offers).Draw(t, "feed"),
	}
	if rapid.IntRange(0, 3).Draw(t, "closed") == 0 {
		join.Unreachable = "refused"
	}
	return join
}

// checkSplices: who stays where it is and hears from somebody else is in exactly one splice.
func checkSplices(t *rapid.T, before, after State, events []proto.Message) {
	want, got := map[string]string{}, map[string]string{}
	was, is := reference(members(before)), reference(members(after))
	moved := map[string]bool{}
	for _, event := range events {
		switch event := event.(type) {
		case *messages.ListenerMoved:
			moved[event.GetId()] = true
		case *messages.ChainSpliced:
			got[event.GetTo()] = event.GetFrom()
		}
	}
	for place, m := range is {
		old := slices.IndexFunc(was, func(o Member) bool { return o.ID == m.ID })
		if old >= 0 && !moved[m.ID] && !m.Silent && was.source(old) != is.source(place) {
			want[m.ID] = is.source(place)
		}
	}
	if returned := len(events) > 0; returned {
		if _, is := events[0].(*messages.ListenerReturned); is { // as before, unless it cannot be reached any more
			return
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("spliced %v, want %v", got, want)
	}
}
