package sorted

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type pair struct {
	Name  string
	Value int
}

func (p pair) Key() string { return p.Name }

// After any changes a list equals a sorted slice, and older lists have not
// changed.
func TestList_IsASortedSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list List[pair]
		var want []pair
		var held []List[pair]
		var was [][]pair
		for n := range rapid.IntRange(0, 10).Draw(t, "rounds") {
			// Long stretches fill and empty whole chunks.
			from, length := rapid.IntRange(0, 999).Draw(t, "from"), rapid.IntRange(1, 400).Draw(t, "length")
			remove := rapid.Bool().Draw(t, "remove")
			for i := range length {
				p := pair{fmt.Sprintf("%04d", (from+i*7)%1000), n}
				at, found := slices.BinarySearchFunc(want, p, func(a, b pair) int { return strings.Compare(a.Name, b.Name) })
				want = slices.Clone(want)
				switch {
				case remove:
					list = list.Without(p.Name)
					if found {
						want = slices.Delete(want, at, at+1)
					}
				default:
					list = list.With(p)
					if found {
						want[at] = p
					} else {
						want = slices.Insert(want, at, p)
					}
				}
			}
			held, was = append(held, list), append(was, want)
		}
		for i, l := range held {
			check(t, l, was[i])
			checkDiffer(t, was[i], want, slices.Collect(Differ(l, list)))
		}
		check(t, Of(want), want)
		data, err := json.Marshal(list)
		var back List[pair]
		if err != nil || json.Unmarshal(data, &back) != nil {
			t.Fatal(err)
		}
		check(t, back, want)
	})
}

func check(t *rapid.T, list List[pair], want []pair) {
	if got := slices.Collect(list.All()); !slices.Equal(got, want) || list.Len() != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i, p := range want {
		if got, found := list.Find(p.Name); !found || got != p || list.At(i) != p {
			t.Fatalf("element %d is %v, found %v, %v; want %v", i, list.At(i), got, found, p)
		}
	}
	for i := 0; i < 1000; i += 13 {
		key := fmt.Sprintf("%04d", i)
		at, found := slices.BinarySearchFunc(want, key, func(a pair, key string) int { return strings.Compare(a.Name, key) })
		if is, has := list.Index(key); is != at || has != found {
			t.Fatalf("%s is at %d, %v; want %d, %v", key, is, has, at, found)
		}
		for p := range list.From(key) {
			if p != want[at] {
				t.Fatalf("from %s on the first is %v, want %v", key, p, want[at])
			}
			break
		}
		before := slices.Clone(want[:at])
		slices.Reverse(before)
		if got := slices.Collect(list.Before(key)); !slices.Equal(got, before) {
			t.Fatalf("before %s there are %v, want %v", key, got, before)
		}
	}
	if last, found := list.Last(); found != (len(want) > 0) || found && last != want[len(want)-1] {
		t.Fatalf("the last is %v, %v", last, found)
	}
}

// checkDiffer compares got with the keys of elements that are in one list only, or differ.
func checkDiffer(t *rapid.T, a, b []pair, got []string) {
	of := func(l []pair) map[pair]bool {
		set := map[pair]bool{}
		for _, p := range l {
			set[p] = true
		}
		return set
	}
	want := map[string]bool{}
	inA, inB := of(a), of(b)
	for _, p := range slices.Concat(a, b) {
		if inA[p] != inB[p] {
			want[p.Name] = true
		}
	}
	if !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Fatalf("%v differ, want %v", got, want)
	}
}

func TestOf_TheLastCounts(t *testing.T) {
	list := Of([]pair{{"b", 1}, {"a", 1}, {"b", 2}})
	if got := fmt.Sprint(slices.Collect(list.All())); got != "[{a 1} {b 2}]" {
		t.Errorf("got %s", got)
	}
}

// A change costs the same in a long list and in a very long one.
func TestList_CostOfAChange(t *testing.T) {
	cost := func(n int) int64 {
		var all []pair
		for i := range n {
			all = append(all, pair{strconv.Itoa(1_000_000 + i), i})
		}
		list, i := Of(all), 0
		return testing.Benchmark(func(b *testing.B) {
			for b.Loop() {
				list = list.With(pair{strconv.Itoa(1_000_000 + i%n), i})
				i += 7919
			}
		}).AllocedBytesPerOp()
	}
	if short, long := cost(1000), cost(50_000); long > short+24<<10 {
		t.Errorf("a change of 50,000 songs costs %d bytes, one of 1000 costs %d", long, short)
	}
}

// A list that is kept element by element is read as it was; one in which a key stands twice is refused.
func TestList_Read(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.String(), rapid.ID[string]).Draw(t, "names")
		var pairs []pair
		for i, name := range names {
			pairs = append(pairs, pair{name, i})
		}
		list := Of(pairs)
		elements := slices.Collect(list.Elements())
		copying := func(to any) error {
			*to.(*pair), elements = elements[0].(pair), elements[1:]
			return nil
		}
		var again List[pair]
		if err := again.Read(list.Len(), copying); err != nil || !slices.Equal(slices.Collect(again.All()), slices.Collect(list.All())) {
			t.Fatalf("%v: read %v, want %v", err, again, list)
		}
		if list.Len() > 0 {
			elements = append(slices.Collect(list.Elements()), slices.Collect(list.Elements())...)
			if err := again.Read(2*list.Len(), copying); err == nil || again.Len() != list.Len() {
				t.Fatalf("read each twice: %v, %d elements", err, again.Len())
			}
		}
		if again.Clear(); again.Len() != 0 {
			t.Fatal("a list that was cleared is not empty")
		}
	})
}
