package chain

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"conga/actors/internal/sorted"
	"conga/messages"
)

// maxSources is how far up a listener looks for sources: enough to spread those that cannot feed.
const maxSources = 8

// view is all that decides who can feed a member at some place. If it is the same as before, nothing changes
// for the members below, down to the next that comes, goes or changes.
type view struct {
	feeders, open [maxSources]*seat // the nearest above
	other         *seat             // the nearest open one with another address than the first open one
	native        *seat             // the nearest native
}

// view returns the view from that seat.
func (l Line) view(from *seat) (v view) {
	up := func(list sorted.List[*seat], into *[maxSources]*seat) {
		i := 0
		for s := range l.up(list, from) {
			if into[i], i = s, i+1; i == maxSources {
				break
			}
		}
	}
	up(l.feeders, &v.feeders)
	up(l.open, &v.open)
	v.other = l.other(v.open[0])
	for s := range l.up(l.all, from) {
		if !s.Seed {
			v.native = s
			break
		}
	}
	return v
}

// other returns the nearest open member above this one with another address; nil if there is none.
func (l Line) other(open *seat) *seat {
	if open == nil {
		return nil
	}
	address := open.Address
	for range l.heads.Len() + 1 { // one part of the line after the other
		low := ""
		head := l.head(open)
		if head != nil {
			low = head.rank
		}
		found := nearest(l.open, nearest(l.turns, open.behind()).rank)
		if found != nil && found.rank >= low {
			return found
		}
		if head == nil {
			return nil
		}
		on := l.seat(head.Branch)
		if on != nil && !on.Open() {
			on = l.nearestOpen(on)
		}
		if open = on; open == nil || open.Address != address {
			return open
		}
	}
	return nil
}

func (l Line) nearestOpen(from *seat) *seat {
	for s := range l.up(l.open, from) {
		return s
	}
	return nil
}

// sources returns the nodes that can feed the native with this view, best first: the one above it, then
// the one above that, and so on. Members that never feed anybody are not part of that line; they are spread
// over the nearest feeders, so that no uplink carries them all. The same goes for a member that cannot feed
// the next one and stands behind others that cannot feed it.
func (v *view) sources(me Member) []*seat {
	fit := &v.feeders
	if me.Dials { // two members that dial cannot be connected
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
	row := v.native != found[0] // others that cannot feed it stand between them
	if me.serves() && !row || me.feeds() && !me.Dials {
		return found
	}
	scatter(me.ID, found)
	return found
}

// scatter sorts the seats by a hash of their ids and the given id, so that each id has its own order
// (rendezvous hashing, Thaler and Ravishankar 1996). So when a seat comes or goes, nothing changes for
// members that it does not feed.
func scatter(id string, seats []*seat) {
	weights := make(map[*seat]uint64, len(seats))
	for _, s := range seats {
		weights[s] = xxhash.Sum64String(id + " " + s.ID)
	}
	slices.SortFunc(seats, func(a, b *seat) int { return cmp.Compare(weights[b], weights[a]) })
}

// source returns the id of the node that feeds the member with this view; "" for a client of 2016 that
// hears nothing.
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

// above returns the nodes that the native may ask for the music, best first. They are not all of one
// address if others stand above: somebody who joins many times must not be all that a listener knows.
func (v *view) above(me Member) []*seat {
	var found []*seat
	for i, above := range v.sources(me) {
		if i == 0 || !above.Dials { // a node that dials only dials the one that it feeds
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

// elsewhere returns the nearest open member with another address; nil if there is none.
func (v *view) elsewhere(address string) *seat {
	if v.open[0] != nil && v.open[0].Address == address {
		return v.other
	}
	return v.open[0]
}

// mixed reports whether the seats are of more than one address.
func mixed(seats []*seat) bool {
	return slices.ContainsFunc(seats, func(s *seat) bool { return s.Address != seats[0].Address })
}

// changed returns the members whose source or ancestors may differ between the two lines: those that came
// or changed, and those below them whose view changed.
func changed(before, now Line) (all []*seat) {
	looked := map[*seat]bool{}
	var down func(rank string)
	down = func(rank string) {
		for s := range now.all.From(rank) {
			if looked[s] || s.Branch != "" && s.rank != rank { // another part of the line begins
				break
			}
			old, is := before.all.Find(s.rank)
			if is && old == s && before.view(s) == now.view(s) {
				break
			}
			all, looked[s] = append(all, s), true
			for branch := range now.branches(s) {
				down(branch.rank)
			}
		}
	}
	for rank := range sorted.Differ(before.all, now.all) {
		down(rank)
	}
	if now.heads.Len() > 0 {
		slices.SortFunc(all, func(a, b *seat) int { return strings.Compare(a.rank, b.rank) })
	}
	return all
}
