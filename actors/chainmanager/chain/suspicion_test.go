package chain

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"conga/messages"
)

// group are those who say what they want. Everybody else in the chain is honest, complains of
// nobody, and does its part whenever the server looks at it.
type group struct {
	names  int      // identities
	places []string // the addresses that they come from
	roams  bool     // any of them from any address; else the nth from the nth, if there are so many
}

// One identity, any words in any order and number, from any addresses: at most two others ever
// move, nobody is convicted, nobody loses all who are honest above it.
func TestState_Property_OneVoice(t *testing.T) {
	rapid.Check(t, group{names: 1, places: []string{"cafe", "airport", "h2", "library"}, roams: true}.speak)
}

// Nor do those who are one too few for a verdict, each from an address of its own.
func TestState_Property_TooFewVoices(t *testing.T) {
	places := []string{"cafe", "airport"}
	if len(places) != verdictVoices-1 {
		t.Fatal("these are not one too few")
	}
	rapid.Check(t, group{names: len(places), places: places}.speak)
}

// Nor do two hundred of one address.
func TestState_Property_Household(t *testing.T) {
	rapid.Check(t, group{names: 200, places: []string{"cafe"}}.speak)
}

// talk is one run.
type talk struct {
	t      *rapid.T
	state  State
	now    int64
	honest map[string]string // id to address
	audits []*messages.AuditEnded
	moved  map[string]bool // honest ones
}

func (g group) speak(t *rapid.T) {
	r := &talk{t: t, now: 1_000_000 * second, honest: map[string]string{}, moved: map[string]bool{}}
	for i := range rapid.IntRange(1, 6).Draw(t, "honest") {
		r.joinHonest(i)
	}
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		n := rapid.IntRange(0, g.names-1).Draw(t, "who")
		who := fmt.Sprint("m", n) // who comes; else one who is there
		switch rapid.IntRange(0, 11).Draw(t, "what") {
		case 0, 1:
			from := g.places[n%len(g.places)]
			if g.roams {
				from = rapid.SampledFrom(g.places).Draw(t, "from")
			}
			join := &messages.JoinChain{Node: node(who), Address: from, Leaf: rapid.IntRange(0, 3).Draw(t, "leaf") == 0}
			if rapid.IntRange(0, 3).Draw(t, "closed") == 0 {
				join.Unreachable = "refused"
			}
			r.decide(join)
		case 2:
			if one := r.member(); one == "" {
				r.joinHonest(0)
			} else if rapid.Bool().Draw(t, "politely") {
				r.decide(&messages.LeaveChain{Id: one})
			} else {
				r.decide(&messages.PeerLost{Id: one, SeenBy: messages.ServerID})
			}
		case 3:
			r.joinHonest(rapid.IntRange(0, 9).Draw(t, "newcomer"))
		case 4:
			r.wait()
		case 5:
			r.look()
		case 6:
			r.restart()
		case 7:
			r.decide(&messages.ExpireVerdicts{})
		case 8: // whoever is fed by one of the group finds it as bad as it is
			if by := rapid.IntRange(0, 9).Draw(t, "by"); r.honest[fmt.Sprint("h", by)] != "" {
				r.accuse(fmt.Sprint("h", by), true)
			}
		default:
			r.accuse(r.member(), false)
		}
	}
}

// member is one of the group who stands in the chain, empty if there is none.
func (r *talk) member() string {
	there := []string{""}
	for _, m := range members(r.state) {
		if r.honest[m.ID] == "" {
			there = append(there, m.ID)
		}
	}
	return there[rapid.IntRange(min(1, len(there)-1), len(there)-1).Draw(r.t, "member")]
}

// joinHonest lets one come, or come back.
func (r *talk) joinHonest(i int) {
	id := fmt.Sprint("h", i)
	r.honest[id] = id // an address of its own
	r.decide(&messages.JoinChain{Node: node(id), Address: id})
}

// words are all that can be said of a node, those that could convict more often, and one that nobody knows.
var words = []messages.Fault{0, 1, 2, 3, 4, 5, 5, 5, 6, 6, 6, 7}

// accuse says any word: mostly of whoever feeds the accuser, for others nobody hears.
func (r *talk) accuse(who string, honestly bool) {
	accuser, is := r.state.Chain.Find(who)
	if !is {
		return
	}
	accused := r.state.Chain.Source(who)
	if !honestly && r.state.Chain.Len() > 0 && rapid.IntRange(0, 5).Draw(r.t, "of somebody else") == 0 {
		accused = rapid.SampledFrom(members(r.state)).Draw(r.t, "whom").ID
	}
	if honestly && (r.honest[accused] != "" || accused == messages.ServerID) {
		return
	}
	word := &messages.PeerLost{Id: accused, SeenBy: who, Fault: rapid.SampledFrom(words).Draw(r.t, "fault"), AtUnixUs: r.now}
	if r.state.ToAudit(word) != nil {
		r.audits = append(r.audits, &messages.AuditEnded{Id: accused, SeenBy: who, Address: accuser.Address})
	}
	r.decide(word)
}

// look ends an audit: an honest node is found sound, whatever its accuser said.
func (r *talk) look() {
	if len(r.audits) == 0 {
		return
	}
	audit := r.audits[0]
	r.audits = r.audits[1:]
	if r.honest[audit.GetId()] == "" {
		audit.Fault = messages.Fault(rapid.Int32Range(0, 6).Draw(r.t, "found"))
	}
	r.decide(audit)
}

func (r *talk) wait() {
	r.now += rapid.SampledFrom([]int64{second, 6 * second, 11 * second, 31 * second, 31 * second, 11 * minute, 24 * 60 * minute}).Draw(r.t, "later")
}

// restart starts the server again, perhaps with another clock. All who are honest come back.
func (r *talk) restart() {
	r.now += rapid.SampledFrom([]int64{second, -60 * minute, 60 * minute}).Draw(r.t, "by the new clock")
	r.apply(&messages.BroadcastOpened{Epoch: r.state.Epoch + 1, AtUnixUs: r.now})
	for m := range r.state.Chain.All() {
		if r.honest[m.ID] != "" {
			r.decide(&messages.JoinChain{Node: node(m.ID), Address: m.Address})
		}
	}
	r.decide(&messages.ExpireAbsent{})
}

// decide does what follows from the command, said now.
func (r *talk) decide(cmd proto.Message) {
	at := cmd.ProtoReflect().Descriptor().Fields().ByName("at_unix_us")
	cmd.ProtoReflect().Set(at, protoreflect.ValueOfInt64(r.now))
	for _, event := range r.state.Decide(cmd) {
		r.apply(event)
	}
	r.check()
}

func (r *talk) apply(event proto.Message) {
	if moved, is := event.(*messages.ListenerMoved); is && r.honest[moved.GetId()] != "" && r.honest[moved.GetSeenBy()] == "" {
		r.moved[moved.GetId()] = true
	}
	r.state = r.state.Apply(event)
}

func (r *talk) check() {
	if len(r.moved) > 2 {
		r.t.Fatalf("%v have moved", r.moved)
	}
	honestAbove := false
	for _, n := range tellings(r.state) {
		m, _ := r.state.Chain.Find(n.GetId())
		if r.honest[m.ID] == "" {
			continue
		}
		if m.Liar {
			r.t.Fatalf("%s is convicted", m.ID)
		}
		heard := slices.ContainsFunc(n.Ancestors, func(a *messages.Node) bool { return r.honest[a.GetId()] != "" || a.GetId() == messages.ServerID })
		if honestAbove && !heard { // the server stands behind every list
			r.t.Fatalf("%s knows nobody who is honest, only %v", m.ID, n.Ancestors)
		}
		honestAbove = true
	}
}
