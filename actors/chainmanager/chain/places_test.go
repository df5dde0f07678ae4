package chain

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/messages"
	"conga/messages/raced"
)

// anew is what Line knows of its places, worked out from all members.
type anew struct {
	free  []string // the feeders that offer to feed more than they do, nearest the server first, with their depths
	ends  []string // the heads of the parts, with their crowds, the least first
	laden []string // the feeders that feed more than they offer
}

func placesAnew(members []Member) (a anew) {
	at := map[string]int{}
	for i, m := range members {
		at[m.ID] = i
	}
	// above is the place of the feeder above that place in the order; -1: the server.
	var above func(place int) int
	above = func(place int) int {
		if branch := members[place].Branch; branch != "" || place == 0 {
			on, is := at[branch]
			if !is {
				return -1
			}
			place = on
		} else {
			place--
		}
		if members[place].feeds() {
			return place
		}
		return above(place)
	}
	depth := func(place int) (n int) {
		for ; place >= 0; place = above(place) {
			n++
		}
		return n
	}
	feeding := map[int]int{}
	type counted struct{ id, n, order int }
	var free, ends []counted
	heads := []int{-1}
	for i, m := range members {
		if m.feeds() {
			feeding[above(i)]++
		}
		if m.Branch != "" {
			heads = append(heads, i)
		}
	}
	for i, m := range members {
		switch {
		case !m.feeds():
		case feeding[i] < m.most():
			free = append(free, counted{i, depth(i), i})
		case feeding[i] > m.most():
			a.laden = append(a.laden, m.ID)
		}
	}
	for i, head := range heads {
		next := len(members)
		if i+1 < len(heads) {
			next = heads[i+1]
		}
		crowd := 0
		if head >= 0 {
			crowd = maxSources * depth(above(head))
		}
		for _, m := range members[max(head, 0):next] {
			if crowd++; m.feeds() {
				crowd += maxSources - 1
			}
		}
		ends = append(ends, counted{head, crowd, i})
	}
	byNumber := func(x, y counted) int { return cmp.Or(cmp.Compare(x.n, y.n), cmp.Compare(x.order, y.order)) }
	for _, f := range slices.SortedFunc(slices.Values(free), byNumber) {
		a.free = append(a.free, fmt.Sprint(members[f.id].ID, " ", f.n))
	}
	for _, e := range slices.SortedFunc(slices.Values(ends), byNumber) {
		id := ""
		if e.id >= 0 {
			id = members[e.id].ID
		}
		a.ends = append(a.ends, fmt.Sprint(id, " ", e.n))
	}
	return a
}

func placesOf(l Line) (a anew) {
	for w := range l.places.free.byWeight.All() {
		f, _ := l.all.Find(w.rank)
		a.free = append(a.free, fmt.Sprint(f.ID, " ", w.n))
	}
	for w := range l.places.ends.byWeight.All() {
		head, id := nearest(l.all, w.rank+"\x00"), ""
		if head != nil && w.rank != "" {
			id = head.ID
		}
		a.ends = append(a.ends, fmt.Sprint(id, " ", w.n))
	}
	for f := range l.places.laden.All() {
		a.laden = append(a.laden, f.ID)
	}
	return a
}

// Whatever happens: the places that the line knows, changed by what has happened, are those that all its members show.
func TestLine_Property_Places(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := State{Chains: rapid.IntRange(0, 3).Draw(t, "chains"), ChainsAtMost: rapid.IntRange(0, 5).Draw(t, "at most")}
		offers := rapid.SampledFrom([]uint32{1, 2, 3, messages.MaxFeed}).Draw(t, "offers")
		for i := range rapid.IntRange(1, 150).Draw(t, "steps") {
			cmd := anything(t, s, offers)
			if rapid.IntRange(0, 5).Draw(t, "deep") == 0 && s.Chain.Len() > 0 {
				end := rapid.SampledFrom(members(s)).Draw(t, "end")
				takes := rapid.SampledFrom([]int64{1000, 1_900_000}).Draw(t, "takes")
				cmd = &messages.WeighDepth{Id: end.ID, TakesUs: takes, SlackUs: 2_000_000, AtUnixUs: int64(i+1) * 2 * restFor}
			}
			for _, event := range s.Decide(cmd) {
				s = s.Apply(event)
				want := fmt.Sprintf("%+v", placesAnew(members(s)))
				if got := fmt.Sprintf("%+v", placesOf(s.Chain)); got != want {
					t.Fatalf("after %v it has\n%s, want\n%s, in %v", event, got, want, members(s))
				}
			}
		}
		now := fmt.Sprintf("%+v", placesOf(s.Chain))
		if again := fmt.Sprintf("%+v", placesOf(Of(members(s)...))); again != now && s.Chain.Len() > 0 {
			t.Fatalf("made anew it has\n%s, not\n%s, in %v", again, now, members(s))
		}
	})
}

// In a chain that branches, who joins and who leaves costs as much in memory where there are many as where there are few, but
// for the lists' own length and a way that is some nodes longer: nothing looks at all members.
func TestState_BranchesCostWhatChanges(t *testing.T) {
	for _, c := range []struct {
		name   string
		chains int
		feed   uint32
	}{{"two each", 1, 2}, {"four each", 2, 4}, {"four lines", 4, 1}} {
		t.Run(c.name, func(t *testing.T) {
			few, small := costsOf(500, c.chains, c.feed)
			many, large := costsOf(raced.Size(4000, 1000), c.chains, c.feed)
			if many > few*3/2 || large > 5*small {
				t.Errorf("of many a change makes %d allocations of %d bytes, of 500 %d of %d", many, large, few, small)
			}
		})
	}
}

// costsOf returns what it costs on average if one joins, one that feeds nobody joins, or one of them all leaves.
func costsOf(n, chains int, feed uint32) (allocations, bytes uint64) {
	s := State{Chains: chains}
	join := func(id string, leaf bool) proto.Message {
		return &messages.JoinChain{Node: node(id), Address: id, Feed: feed, Leaf: leaf}
	}
	for i := range n {
		for _, event := range s.Decide(join(fmt.Sprint("n", i), false)) {
			s = s.Apply(event)
		}
	}
	commands := []proto.Message{join("new", false), join("leaf", true)}
	for _, i := range []int{50, 150, 250, 350, 450} { // of each five hundredth the same part, and of all depths
		commands = append(commands, &messages.LeaveChain{Id: fmt.Sprint("n", i*n/500)}, &messages.PeersLost{
			Lost: []*messages.PeerLost{{Id: fmt.Sprint("n", (i+20)*n/500), SeenBy: messages.ServerID}},
		})
	}
	var told Tellings
	told.Follow(s)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, cmd := range commands {
		now := s
		for _, event := range s.Decide(cmd) {
			now = now.Apply(event)
		}
		told.Follow(now)
		told.Follow(s) // and back
	}
	runtime.ReadMemStats(&after)
	changes := uint64(len(commands))
	return (after.Mallocs - before.Mallocs) / changes, (after.TotalAlloc - before.TotalAlloc) / changes
}
