package chain

import (
	"slices"

	"conga/messages"
)

const (
	// deputies is how many nodes above a listener serve it: its ancestors, and those that will
	// become ancestors if some of these fail at once. So nobody has to be told in a hurry.
	deputies = 2 * messages.Ancestors
	// maxGuests is how many guests a node is told of. No uplink could feed more.
	maxGuests = 32
	// maxTold bounds them together with those of the previous telling: all must fit into one line.
	maxTold = 56
)

// chosen returns the guests of which a node is told, at most maxGuests: the same number of each address, the
// nearest first. So somebody who joins many times does not keep others away.
func chosen(guests []*seat) []string {
	of := map[string]int{}                                 // of each address, so far
	turns := make([][]string, min(maxGuests, len(guests))) // the first of each address, the second, ...
	for _, s := range guests {
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

// AlsoBefore returns the guests that a node is told of: those of now, and those of the previous
// telling, which may not have heard yet that they should ask elsewhere.
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
