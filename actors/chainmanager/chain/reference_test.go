package chain

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"

	"conga/messages"
)

// reference says what all are to be told in the plain way, which looks at everybody each time.
type reference []Member

// path is the places of all that stand above this one, nearest first.
func (r reference) path(place int) (all []int) {
	for {
		if on := r[place].Branch; on == messages.ServerID {
			return all
		} else if on != "" {
			place = slices.IndexFunc(r, func(m Member) bool { return m.ID == on })
		} else if place--; place < 0 {
			return all
		}
		all = append(all, place)
	}
}

func (r reference) nearest(place, n int, is func(Member) bool) (found []int) {
	for _, above := range r.path(place) {
		if is(r[above]) && len(found) < n {
			found = append(found, above)
		}
	}
	return found
}

func (r reference) sources(place int) []int {
	me := r[place]
	found := r.nearest(place, maxSources, func(m Member) bool { return m.feeds() && !(m.Dials && me.Dials) })
	if len(found) == 0 {
		return nil
	}
	path := r.path(place)
	row := slices.ContainsFunc(path[:slices.Index(path, found[0])], func(above int) bool { return !r[above].Seed })
	if me.serves() && !row || me.feeds() && !me.Dials {
		return found
	}
	weight := func(place int) uint64 { return xxhash.Sum64String(me.ID + " " + r[place].ID) }
	slices.SortFunc(found, func(a, b int) int { return cmp.Compare(weight(b), weight(a)) })
	return found
}

func (r reference) source(place int) string {
	switch from := r.sources(place); {
	case r[place].Silent:
		return ""
	case r[place].Seed:
		return r[place].FedBy
	case len(from) > 0:
		return r[from[0]].ID
	}
	return messages.ServerID
}

func (r reference) above(place int) (found []int) {
	for i, above := range r.sources(place) {
		if i == 0 || !r[above].Dials {
			found = append(found, above)
		}
	}
	if len(found) > 0 {
		home := r[found[0]].Address
		asked := found[:min(messages.Ancestors, len(found))]
		elsewhere := r.nearest(place, 1, func(m Member) bool { return m.Open() && m.Address != home })
		if len(elsewhere) > 0 && !slices.ContainsFunc(asked, func(place int) bool { return r[place].Address != home }) {
			found = slices.DeleteFunc(found, func(place int) bool { return place == elsewhere[0] })
			found = slices.Insert(found, 1, elsewhere[0])
		}
	}
	return found[:min(deputies, len(found))]
}

func (r reference) node(id string) *messages.Node {
	for _, m := range r {
		if m.ID == id {
			return m.Node()
		}
	}
	return &messages.Node{Id: messages.ServerID, Name: messages.ServerID}
}

func (r reference) tellings() (all []*messages.Neighbours) {
	var source []string
	var above [][]int
	for place := range r {
		source, above = append(source, r.source(place)), append(above, r.above(place))
	}
	for place, m := range r {
		n := &messages.Neighbours{Id: m.ID}
		for below, other := range r {
			switch fed := source[below] == m.ID; {
			case fed && other.Seed:
				n.Seeds = append(n.Seeds, other.Node())
			case fed && n.Downstream == nil:
				n.Downstream, n.Offer = other.Node(), m.Dials
			}
			if !other.Seed && slices.Contains(above[below], place) {
				n.Guests = append(n.Guests, other.ID)
			}
		}
		if m.Seed {
			n.Ancestors = []*messages.Node{r.node(m.FedBy)}
		} else {
			for _, at := range above[place][:min(messages.Ancestors, len(above[place]))] {
				n.Ancestors = append(n.Ancestors, r[at].Node())
			}
			if len(n.Ancestors) < messages.Ancestors {
				n.Ancestors = append(n.Ancestors, r.node(messages.ServerID))
			}
		}
		all = append(all, n)
	}
	return all
}
