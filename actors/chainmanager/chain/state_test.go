package chain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/actors/eventlog"
	"conga/actors/internal/story"
	"conga/messages"
)

// TestState_Stories: "join amy" also serves those who "return"; "lost amy" is what the
// server sees, "accuse amy by bob" what bob does, "audit amy by bob finds slow" what the server
// finds when it has looked at amy because of bob. Behind each may stand "from home", the
// address, "at 5", in seconds, and "feed 2", how many it offers to feed. In testdata/chains the server feeds two, in
// testdata/auto it may.
func TestState_Stories(t *testing.T) {
	story.Run(t, "testdata", State{}, commandOf)
	story.Run(t, "testdata/chains", State{Chains: 2}, commandOf)
	story.Run(t, "testdata/auto", State{Chains: 1, ChainsAtMost: 2}, commandOf)
}

// commandOf is the command that a line of a story says.
func commandOf(_ *testing.T, words []string) proto.Message {
	at, from := option(words, "at"), option(words, "from")
	accuse := func(fault messages.Fault, reason string) proto.Message {
		return &messages.PeerLost{Id: words[1], SeenBy: words[3], Reason: reason, Fault: fault, AtUnixUs: micros(at)}
	}
	switch words[0] {
	case "join", "return":
		feed, _ := strconv.Atoi(option(words, "feed"))
		return &messages.JoinChain{Node: node(words[1]), Address: from, AtUnixUs: micros(at), Feed: uint32(feed)}
	case "joinseed":
		return &messages.JoinChain{Node: &messages.Node{Id: words[1], Name: words[1], Relay: words[2]}, Seed: true, FedBy: words[4]}
	case "joinclosed":
		return &messages.JoinChain{Node: node(words[1]), Unreachable: "refused", Address: from}
	case "joinmute": // it names no port
		return &messages.JoinChain{Node: &messages.Node{Id: words[1], Name: words[1]}}
	case "leave":
		return &messages.LeaveChain{Id: words[1], AtUnixUs: micros(at)}
	case "lost":
		return &messages.PeerLost{Id: words[1], SeenBy: messages.ServerID, Reason: "reset", AtUnixUs: micros(at)}
	case "accuse":
		return accuse(messages.Fault_FAULT_SILENT, "silent")
	case "skip":
		return accuse(messages.Fault_FAULT_SKIPPING, "items 7 to 7")
	case "lie":
		return accuse(messages.Fault_FAULT_LYING, "forged")
	case "slow":
		return accuse(messages.Fault_FAULT_SLOW, "ever later")
	case "refuse":
		return accuse(messages.Fault_FAULT_UNSPECIFIED, "it is full")
	case "silent": // silent sid by amy
		return &messages.ReportSilent{Id: words[1], SeenBy: words[3], Reason: "it does not read"}
	case "audit":
		fault := map[string]messages.Fault{
			"nothing": messages.Fault_FAULT_UNSPECIFIED, "silent": messages.Fault_FAULT_SILENT, "slow": messages.Fault_FAULT_SLOW,
			"skipping": messages.Fault_FAULT_SKIPPING, "lying": messages.Fault_FAULT_LYING,
		}[words[5]]
		return &messages.AuditEnded{Id: words[1], SeenBy: words[3], Address: from, Fault: fault, Reason: "looked", AtUnixUs: micros(at)}
	case "expire":
		return &messages.ExpireAbsent{}
	case "verdicts":
		return &messages.ExpireVerdicts{AtUnixUs: micros(at)}
	case "weigh": // weigh dora takes 700 slack 2000
		takes, _ := strconv.ParseInt(option(words, "takes"), 10, 64)
		slack, _ := strconv.ParseInt(option(words, "slack"), 10, 64)
		return &messages.WeighDepth{Id: words[1], TakesUs: takes * 1000, SlackUs: slack * 1000, AtUnixUs: micros(at)}
	case "joinleaf":
		return &messages.JoinChain{Node: node(words[1]), Leaf: true}
	}
	return nil
}

// option is the word behind name, empty without it.
func option(words []string, name string) string {
	if i := slices.Index(words, name); i > 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

// micros reads seconds; without any it is 0.
func micros(seconds string) int64 {
	n, _ := strconv.Atoi(seconds)
	return int64(n) * second
}

func text(t interface{ Fatal(...any) }, s State) string {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// edges follows ChainSpliced as the listeners would: who receives from whom.
type edges map[string]string

// Whatever joins, leaves, crashes, comes back, is accused and restarts: there is one
// path in which every living node stands once, survivors keep their order unless moved,
// and what the nodes are told fits together.
func TestState_Property_OnePath(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f", "g"}
	rapid.Check(t, func(t *rapid.T) {
		var state State
		var want []string           // the model: who lives, in order
		absent := map[string]bool{} // since the restart
		from := edges{}             // by the events
		var events []proto.Message  // all
		var now int64
		moved := map[string]bool{} // somebody complained of it
		states, texts := []State{state}, []string{text(t, state)}
		apply := func(event proto.Message) {
			events = append(events, event)
			state = state.Apply(event)
			states, texts = append(states, state), append(texts, text(t, state))
			switch event := event.(type) {
			case *messages.ListenerJoined:
				from[event.GetNode().GetId()] = event.GetAfter()
				place := slices.Index(want, event.GetAfter()) + 1
				for _, behind := range want[place:] {
					if !moved[behind] {
						t.Fatalf("%s comes to stand above %s, of whom nobody complained", event.GetNode().GetId(), behind)
					}
				}
				want = slices.Insert(want, place, event.GetNode().GetId())
			case *messages.ListenerMoved:
				from[event.GetId()] = event.GetAfter()
				want = append(slices.DeleteFunc(want, func(w string) bool { return w == event.GetId() }), event.GetId())
				moved[event.GetId()] = true
			case *messages.ListenerLeft:
				delete(from, event.GetId())
			case *messages.ChainSpliced:
				from[event.GetTo()] = event.GetFrom()
			}
		}
		gone := func(id string) {
			want = slices.DeleteFunc(want, func(w string) bool { return w == id })
			delete(absent, id)
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			id := rapid.SampledFrom(names).Draw(t, "id")
			at := slices.Index(want, id)
			var cmd proto.Message
			switch rapid.IntRange(0, 7).Draw(t, "kind") {
			case 0, 1, 2:
				cmd = &messages.JoinChain{Node: node(id), AtUnixUs: now}
				delete(absent, id)
			case 3:
				cmd = &messages.LeaveChain{Id: id}
				gone(id)
			case 4:
				cmd = &messages.PeerLost{Id: id, SeenBy: messages.ServerID}
				gone(id)
			case 5:
				by := rapid.SampledFrom(append(names, "nobody")).Draw(t, "by")
				fault := messages.Fault(rapid.Int32Range(0, 5).Draw(t, "fault"))
				now += rapid.SampledFrom([]int64{0, second, minute}).Draw(t, "later")
				cmd = &messages.PeerLost{Id: id, SeenBy: by, Fault: fault, AtUnixUs: now}
				if (at < 0 || at+1 >= len(want) || want[at+1] != by) && len(state.Decide(cmd)) > 0 {
					t.Fatalf("%s is moved because of %s, whom it does not feed", id, by)
				}
			case 6:
				apply(&messages.BroadcastOpened{Epoch: state.Epoch + 1})
				for _, w := range want {
					absent[w] = true
				}
			case 7:
				cmd = &messages.ExpireAbsent{}
				for _, w := range slices.Clone(want) {
					if absent[w] {
						gone(w)
					}
				}
			}
			if cmd != nil {
				for _, event := range state.Decide(cmd) {
					apply(event)
				}
			}
			if got := ids(state); !slices.Equal(got, want) {
				t.Fatalf("after %T the chain is %v, want %v", cmd, got, want)
			}
			checkNeighbours(t, state, from)
		}
		for i, s := range states {
			if got := text(t, s); got != texts[i] {
				t.Fatalf("the state at event %d became %s, it was %s", i, got, texts[i])
			}
		}
		if got := text(t, eventlog.Replay(State{}, events...)); got != text(t, state) {
			t.Fatalf("replayed %s, live %s", got, text(t, state))
		}
		var back State
		if err := json.Unmarshal([]byte(text(t, state)), &back); err != nil {
			t.Fatal(err)
		}
		if got := text(t, back); got != text(t, state) {
			t.Fatalf("through JSON %s, live %s", got, text(t, state))
		}
	})
}

// checkNeighbours: the upstream of each is the one whose downstream it is, and the one
// that the events told of; its ancestors are the nodes above, the server at the end.
func checkNeighbours(t *rapid.T, state State, from edges) {
	path := []string{messages.ServerID}
	all := members(state)
	for i, m := range all {
		n := told(state, m.ID)
		var above []string
		for _, a := range n.GetAncestors() {
			above = append(above, a.GetId())
		}
		slices.Reverse(above)
		if want := path[max(0, len(path)-messages.Ancestors):]; !slices.Equal(above, want) {
			t.Fatalf("%s is below %v, want %v", m.ID, above, want)
		}
		if got := from[m.ID]; got != path[len(path)-1] {
			t.Fatalf("the events feed %s from %s, the chain from %s", m.ID, got, path[len(path)-1])
		}
		below := ""
		if i+1 < state.Chain.Len() {
			below = all[i+1].ID
		}
		if n.GetDownstream().GetId() != below {
			t.Fatalf("%s feeds %q, want %q", m.ID, n.GetDownstream().GetId(), below)
		}
		path = append(path, m.ID)
	}
	if len(from) != state.Chain.Len() {
		t.Fatalf("the events feed %v, the chain is %v", from, ids(state))
	}
	if told(state, "stranger") != nil || told(state, messages.ServerID) != nil {
		t.Fatal(fmt.Sprint("strangers have neighbours in ", ids(state)))
	}
}
