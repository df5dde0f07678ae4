package chain

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"conga/actors/internal/sorted"
)

// A line is what a slice would be, whoever comes, changes and goes, however often at one place; and
// every line that anybody still holds stays what it was.
func TestLine_IsASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var line Line
		var want []string
		var held []Line
		var was [][]string
		for n := range rapid.IntRange(0, 20).Draw(t, "rounds") {
			place := rapid.IntRange(-1, len(want)-1).Draw(t, "place")
			want = slices.Clone(want)
			switch what := rapid.IntRange(0, 3).Draw(t, "what"); {
			case what == 0 || place < 0:
				for i := range rapid.IntRange(1, 80).Draw(t, "newcomers") {
					var above *seat
					if place >= 0 {
						above = line.seat(want[place])
					}
					m := Member{ID: fmt.Sprintf("%d.%d", n, i), Relay: "r:1", Address: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "from")}
					line, want = line.insert(m, above), slices.Insert(want, place+1, m.ID)
				}
			case what == 1:
				m, _ := line.Find(want[place])
				m.Liar, m.Seed = !m.Liar, rapid.Bool().Draw(t, "seed")
				m.Feed = rapid.IntRange(0, 2).Draw(t, "feed")
				line = line.with(m)
			case what == 2: // nothing that moves it to other lists
				m, _ := line.Find(want[place])
				m.Doubts++
				line = line.with(m)
			default:
				line, want = line.without(line.seat(want[place])), slices.Delete(want, place, place+1)
			}
			held, was = append(held, line), append(was, want)
		}
		for i, l := range held {
			if got := ids(State{Chain: l}); !slices.Equal(got, was[i]) || l.Len() != len(got) {
				t.Fatalf("line %d is %v, want %v", i, got, was[i])
			}
		}
		var back Line
		if data, err := json.Marshal(line); err != nil || json.Unmarshal(data, &back) != nil {
			t.Fatal(err)
		}
		checkLine(t, line, want)
		checkLine(t, back, want)
	})
}

// checkLine: the lists in a line have whoever they are to have.
func checkLine(t *rapid.T, l Line, want []string) {
	all := slices.Collect(l.All())
	var above *Member
	for place, m := range all {
		if m.ID != want[place] || l.Compare(m.ID, want[0]) != min(1, place) {
			t.Fatalf("%s stands at %d of %v", m.ID, place, want)
		}
		s := l.seat(m.ID)
		_, seed := l.seeds.Find(s.rank)
		_, feeds := l.feeders.Find(s.rank)
		_, open := l.open.Find(s.rank)
		_, turn := l.turns.Find(s.rank)
		for _, list := range []sorted.List[*seat]{l.all, l.seeds, l.feeders, l.open, l.turns, l.wide, l.heads, l.places.laden} {
			if in, is := list.Find(s.rank); is && in != s {
				t.Fatalf("%+v is still %+v in a list", m, in.Member)
			}
		}
		if seed != m.Seed || feeds != m.feeds() || open != m.Open() || turn != (open && (above == nil || above.Address != m.Address)) {
			t.Fatalf("%+v is a seed %v, feeds %v, is open %v, a turn %v", m, seed, feeds, open, turn)
		}
		if open {
			above = &m
		}
	}
}
