package chainmanager

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"

	"conga/messages"
)

// layout is who can feed whom, for all places of a chain. To make one takes one pass over the
// chain, to ask it takes no more for a long chain than for a short one.
type layout struct {
	chain []Member
	index map[string]int // of each member

	feeders, open feeding // those who may feed natives; those of them who can be reached
	natives       []int   // how many stand above each place
}

// feeding are some of the members, from the top.
type feeding struct {
	places []int // their indices in the chain
	above  []int // how many of them stand above each place
	others []int // for each of them, the nearest above it with another address, as an index of places; -1
}

func (f *feeding) add(chain []Member, place int) {
	other := -1
	if last := len(f.places) - 1; last >= 0 {
		if other = last; chain[f.places[last]].Address == chain[place].Address {
			other = f.others[last]
		}
	}
	f.places, f.others = append(f.places, place), append(f.others, other)
}

// other is the nearest above the place whose address is not that; -1 if there is none.
func (f *feeding) other(chain []Member, place int, address string) int {
	last := f.above[place] - 1
	if last >= 0 && chain[f.places[last]].Address == address {
		last = f.others[last]
	}
	if last < 0 {
		return -1
	}
	return f.places[last]
}

func (s State) layout() *layout {
	l := &layout{chain: s.Chain, index: make(map[string]int, len(s.Chain))}
	natives := 0
	for place, m := range s.Chain {
		l.index[m.ID] = place
		l.feeders.above = append(l.feeders.above, len(l.feeders.places))
		l.open.above = append(l.open.above, len(l.open.places))
		l.natives = append(l.natives, natives)
		if !m.Seed {
			natives++
		}
		if m.feeds() {
			l.feeders.add(s.Chain, place)
			if !m.Dials {
				l.open.add(s.Chain, place)
			}
		}
	}
	return l
}

// maxSources is how far sources looks: enough to spread those who cannot feed.
const maxSources = 8

// sources are the indices of those who can feed the native at the place, best first. That is the
// one above it, then the one above that. Who never feeds anybody is not part of that line: such
// are spread over the nearest, and so is who stands in a row of others that cannot feed it, either,
// and cannot feed the next itself. Nobody's uplink is to carry them all.
func (l *layout) sources(place int) []int {
	me, fit := l.chain[place], &l.feeders
	if me.Dials { // two such cannot be connected
		fit = &l.open
	}
	n := fit.above[place]
	if n == 0 {
		return nil
	}
	found := slices.Clone(fit.places[max(0, n-maxSources):n])
	slices.Reverse(found)
	row := l.natives[place] > l.natives[found[0]]+1 // between them stand others who cannot feed it
	if me.serves() && !row || me.feeds() && !me.Dials {
		return found
	}
	l.scatter(me.ID, found)
	return found
}

// scatter sorts the places by what their ids are for the id: each id has an order of its own
// (rendezvous hashing). So whoever comes or goes changes nothing for those whom it does not feed.
func (l *layout) scatter(id string, places []int) {
	weights := make(map[int]uint64, len(places))
	for _, place := range places {
		weights[place] = xxhash.Sum64String(id + " " + l.chain[place].ID)
	}
	slices.SortFunc(places, func(a, b int) int { return cmp.Compare(weights[b], weights[a]) })
}

// source is the id of who feeds the place; empty for a client of 2016 that hears nothing.
func (l *layout) source(place int) string {
	if m := l.chain[place]; m.Silent {
		return ""
	} else if m.Seed {
		return m.FedBy
	}
	if from := l.sources(place); len(from) > 0 {
		return l.chain[from[0]].ID
	}
	return messages.ServerID
}

// fed are the ids of those whom the server feeds.
func (l *layout) fed() (ids []string) {
	for place, m := range l.chain {
		if l.source(place) == messages.ServerID {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// above are the indices of those whom the place may ask for the music, at most n, best first.
// They are not all of one address, if others stand above: whoever joins many times must not be
// all that a listener knows.
func (l *layout) above(place, n int) []int {
	var found []int
	for i, above := range l.sources(place) {
		if i == 0 || !l.chain[above].Dials { // those dial only the one that they feed
			found = append(found, above)
		}
	}
	if len(found) > 0 && !l.mixed(found[:min(len(found), messages.Ancestors)]) {
		if other := l.open.other(l.chain, place, l.chain[found[0]].Address); other >= 0 {
			found = slices.DeleteFunc(found, func(place int) bool { return place == other })
			found = slices.Insert(found, 1, other)
		}
	}
	return found[:min(n, len(found))]
}

// mixed says whether the places are not all of one address.
func (l *layout) mixed(places []int) bool {
	return slices.ContainsFunc(places, func(place int) bool { return l.chain[place].Address != l.chain[places[0]].Address })
}

// node is the member as others are told of it, or the server.
func (l *layout) node(id string) *messages.Node {
	if at, is := l.index[id]; is {
		return l.chain[at].node()
	}
	return &messages.Node{Id: messages.ServerID, Name: messages.ServerID}
}

// tellings say for each member whom it receives from and whom it feeds.
func (l *layout) tellings() []*messages.Neighbours {
	all := make([]*messages.Neighbours, len(l.chain))
	guests := make([][]Member, len(l.chain))
	for place, m := range l.chain {
		n := &messages.Neighbours{Id: m.ID}
		all[place] = n
		if m.Seed {
			n.Ancestors = []*messages.Node{l.node(m.FedBy)}
			continue
		}
		for _, above := range l.above(place, messages.Ancestors) {
			n.Ancestors = append(n.Ancestors, l.chain[above].node())
		}
		if len(n.Ancestors) < messages.Ancestors {
			n.Ancestors = append(n.Ancestors, l.node(messages.ServerID))
		}
		for _, above := range l.above(place, deputies) {
			guests[above] = append(guests[above], m)
		}
	}
	for place := range guests {
		for _, m := range chosen(guests[place]) {
			all[place].Guests = append(all[place].Guests, m.ID)
		}
	}
	for place, m := range l.chain {
		from, is := l.index[l.source(place)]
		switch {
		case !is:
		case m.Seed:
			all[from].Seeds = append(all[from].Seeds, m.node())
		case all[from].Downstream == nil:
			all[from].Downstream, all[from].Offer = m.node(), l.chain[from].Dials
		}
	}
	return all
}

// chosen are those of whom a node is told, if more may ask it than it could feed: of each address as
// many, the nearest. Whoever joins many times does not keep others away.
func chosen(guests []Member) []Member {
	if len(guests) <= maxGuests {
		return guests
	}
	of := map[string]int{}
	turns := make(map[string]int, len(guests)) // by id: how many of its address are nearer
	for _, m := range guests {
		turns[m.ID] = of[m.Address]
		of[m.Address]++
	}
	fair := slices.Clone(guests)
	slices.SortStableFunc(fair, func(a, b Member) int { return turns[a.ID] - turns[b.ID] })
	return fair[:maxGuests]
}
