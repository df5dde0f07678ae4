package chain

import (
	"slices"

	"conga/actors/internal/sorted"
	"conga/messages"
)

const (
	// deputies is how many nodes above a listener serve it: its ancestors, and those who will
	// be when some of these fail at once. So nobody has to be told anything in a hurry.
	deputies = 2 * messages.Ancestors
	// maxGuests is how many a node is told of. More than these no uplink could feed.
	maxGuests = 32
	// maxTold bounds them with those of the telling before: one line must hold it all.
	maxTold = 56
)

// chosen are those of whom a node is told, if more may ask it than it could feed: of each address as
// many, the nearest. Whoever joins many times does not keep others away.
func chosen(guests sorted.List[*seat]) []string {
	of := map[string]int{}                                  // of each address, so far
	turns := make([][]string, min(maxGuests, guests.Len())) // the first of each address, the second, ...
	for s := range guests.All() {
		if turn := of[s.Address]; turn < len(turns) && len(turns[turn]) < maxGuests {
			turns[turn] = append(turns[turn], s.ID)
		}
		if of[s.Address]++; len(turns[0]) == maxGuests {
			break
		}
	}
	all := slices.Concat(turns...)
	return all[:min(maxGuests, len(all))]
}

// AlsoBefore are the guests that a node is told of: those of now, and those of the telling
// before, who may not have heard yet that they are to ask elsewhere.
func AlsoBefore(now, before []string) []string {
	all := slices.Clone(now)
	for _, id := range before {
		if len(all) == maxTold {
			break
		}
		if !slices.Contains(now, id) {
			all = append(all, id)
		}
	}
	return all
}
