package chain

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"

	"conga/actors/internal/sorted"
	"conga/messages"
)

// maxSources is how far a listener looks up: enough to spread those who cannot feed.
const maxSources = 8

// view is all that decides who can feed the one that stands at some place. If it is the same
// as before, so is everything below, down to the next that comes, goes or changes.
type view struct {
	feeders, open [maxSources]*seat // the nearest above
	other         *seat             // the nearest open one whose address is not that of the first open one
	native        *seat             // the nearest native
}

// view is what can be seen from that rank.
func (l Line) view(rank string) (v view) {
	up := func(list sorted.List[*seat], into *[maxSources]*seat) {
		i := 0
		for s := range list.Before(rank) {
			if into[i], i = s, i+1; i == maxSources {
				break
			}
		}
	}
	up(l.feeders, &v.feeders)
	up(l.open, &v.open)
	if v.open[0] != nil {
		v.other = nearest(l.open, nearest(l.turns, v.open[0].behind()).rank)
	}
	for s := range l.all.Before(rank) {
		if !s.Seed {
			v.native = s
			break
		}
	}
	return v
}

// sources are those who can feed the native that sees this, best first. That is the one above it,
// then the one above that. Who never feeds anybody is not part of that line: such are spread over
// the nearest, and so is who stands in a row of others that cannot feed it, either, and cannot feed
// the next itself. Nobody's uplink is to carry them all.
func (v *view) sources(me Member) []*seat {
	fit := &v.feeders
	if me.Dials { // two such cannot be connected
		fit = &v.open
	}
	found := fit[:]
	if end := slices.Index(found, nil); end >= 0 {
		found = found[:end]
	}
	if len(found) == 0 {
		return nil
	}
	found = slices.Clone(found)
	row := v.native != found[0] // between them stand others who cannot feed it
	if me.serves() && !row || me.feeds() && !me.Dials {
		return found
	}
	scatter(me.ID, found)
	return found
}

// scatter sorts the seats by what their ids are for the id: each id has an order of its own
// (rendezvous hashing). So whoever comes or goes changes nothing for those whom it does not feed.
func scatter(id string, seats []*seat) {
	weights := make(map[*seat]uint64, len(seats))
	for _, s := range seats {
		weights[s] = xxhash.Sum64String(id + " " + s.ID)
	}
	slices.SortFunc(seats, func(a, b *seat) int { return cmp.Compare(weights[b], weights[a]) })
}

// source is the id of who feeds the one that sees this; empty for a client of 2016 that hears nothing.
func (v *view) source(me Member) string {
	if me.Silent {
		return ""
	} else if me.Seed {
		return me.FedBy
	}
	if from := v.sources(me); len(from) > 0 {
		return from[0].ID
	}
	return messages.ServerID
}

// above are those whom the native may ask for the music, best first. They are not all of one
// address, if others stand above: whoever joins many times must not be all that a listener knows.
func (v *view) above(me Member) []*seat {
	var found []*seat
	for i, above := range v.sources(me) {
		if i == 0 || !above.Dials { // those dial only the one that they feed
			found = append(found, above)
		}
	}
	if len(found) > 0 && !mixed(found[:min(len(found), messages.Ancestors)]) {
		if other := v.elsewhere(found[0].Address); other != nil {
			found = slices.DeleteFunc(found, func(s *seat) bool { return s == other })
			found = slices.Insert(found, 1, other)
		}
	}
	return found
}

// elsewhere is the nearest open one whose address is not that; nil if there is none.
func (v *view) elsewhere(address string) *seat {
	if v.open[0] != nil && v.open[0].Address == address {
		return v.other
	}
	return v.open[0]
}

// mixed says whether the seats are not all of one address.
func mixed(seats []*seat) bool {
	return slices.ContainsFunc(seats, func(s *seat) bool { return s.Address != seats[0].Address })
}

// changed are those who stand in the line and may be fed by somebody else than in the line before,
// or look for others: those who came or changed, and those below them, as far as they see it.
func changed(before, now Line) (all []*seat) {
	up := "" // all above that rank were looked at
	for rank := range sorted.Differ(before.all, now.all) {
		for s := range now.all.From(max(rank, up)) {
			old, is := before.all.Find(s.rank)
			if is && old == s && before.view(s.rank) == now.view(s.rank) {
				break
			}
			all, up = append(all, s), s.behind()
		}
	}
	return all
}
