package chainmanager

import (
	"slices"

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

// ids are all in the chain. The server serves each of them.
func (s State) ids() []string {
	ids := make([]string, len(s.Chain))
	for place, m := range s.Chain {
		ids[place] = m.ID
	}
	return ids
}

// alsoBefore are the guests that a node is told of: those of now, and those of the telling
// before, who may not have heard yet that they are to ask elsewhere.
func alsoBefore(now, before []string) []string {
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
