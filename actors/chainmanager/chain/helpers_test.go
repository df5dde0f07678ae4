package chain

import (
	"slices"

	"conga/messages"
)

func node(id string) *messages.Node { return &messages.Node{Id: id, Name: id, Relay: id + ":1"} }

func members(s State) []Member { return slices.Collect(s.Chain.All()) }

func ids(s State) (all []string) {
	for m := range s.Chain.All() {
		all = append(all, m.ID)
	}
	return all
}

// tellings are what all in the chain are to be told, from the top.
func tellings(s State) []*messages.Neighbours { return new(Tellings).Follow(s).Tell }

// told is what the listener is to be told, nil for a stranger.
func told(s State, id string) *messages.Neighbours {
	for _, n := range tellings(s) {
		if n.GetId() == id {
			return n
		}
	}
	return nil
}
