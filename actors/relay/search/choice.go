package search

import "slices"

// above returns the nodes that may feed this one, nearest first: the ancestors that relay, and
// the server last. It is empty before the server has named the ancestors.
func (s State) above() []Node {
	if s.Event == 0 {
		return nil
	}
	var above []Node
	for _, node := range s.Ancestors {
		if node.ID != server.ID && (node.Relay != "" || node.Dials) {
			above = append(above, node)
		}
	}
	return append(above, server)
}

// candidate returns the nearest ancestor worth asking: it is not dead, has not been asked in
// this search, and stands before the present upstream. With race, it may be asked even while a
// nearer one has not answered yet.
func (s State) candidate(race bool) (Node, bool) {
	race = race && s.Upstream == nil // still fed: no need to race
	for _, node := range s.above() {
		switch {
		case s.feeds(node):
			return Node{}, false
		case s.asks(node.ID):
			if !race {
				return Node{}, false
			}
		case node.Dials, slices.Contains(s.Tried, node.ID), s.shuns(node.ID):
		default:
			return node, true
		}
	}
	return Node{}, false
}

// nearest returns the first choice, if another feeds. It may have failed before, but may work
// again by now.
func (s State) nearest() (Node, bool) {
	for _, node := range s.above() {
		switch {
		case s.feeds(node):
			return Node{}, false
		case !node.Dials && !slices.Contains(s.Liars, node.ID):
			return node, true
		}
	}
	return Node{}, false
}

// Prefers reports whether node stands before the present upstream.
func (s State) Prefers(node Node) bool {
	for _, n := range s.above() {
		switch {
		case s.feeds(n):
			return false
		case n.same(node):
			return true
		}
	}
	return false
}

// others returns the ancestors that have not been asked yet, without the present upstream, nearest first.
func (s State) others() (others []Node) {
	for _, node := range s.above() {
		if !s.feeds(node) && !node.Dials && !s.asks(node.ID) && !slices.Contains(s.Tried, node.ID) && !s.shuns(node.ID) {
			others = append(others, node)
		}
	}
	return others
}

// Listed reports whether the present upstream is among the nodes that may feed this one.
func (s State) Listed() bool { return slices.ContainsFunc(s.above(), s.feeds) }

func (s State) feeds(node Node) bool {
	return s.Upstream != nil && s.Upstream.Node.same(node)
}

// shuns reports whether the node has failed or lied; asks, whether it is being asked.
func (s State) shuns(id string) bool {
	return slices.Contains(s.Dead, id) || slices.Contains(s.Liars, id)
}

func (s State) asks(id string) bool {
	return slices.ContainsFunc(s.Seeking, func(l Link) bool { return l.Node.ID == id })
}

// holes reports whether all were asked in vain just now, so that a hole may be accepted.
func (s State) holes(at int64) bool { return s.Resigned > 0 && at-s.LeastAt <= sameSearch }

// accepts reports whether a hole up to first is accepted. It is not while an upstream sends music within
// Famine. After all were asked once, it is accepted from the ancestor that lacks least, and after
// another round from any. starved is how long no music has come, in microseconds.
func (s State) accepts(first uint64, starved int64) bool {
	if s.Upstream != nil && starved < Famine {
		return false
	}
	return s.Resigned > 1 || s.Resigned == 1 && first <= s.Least+sameHole
}

// Tolerates reports whether the upstream may leave out numbers: only just after a search that
// found that nobody has them. Otherwise others are asked.
func (s State) Tolerates(at int64) bool {
	return s.Resigned > 0 && s.unsteady(at)
}

// unsteady reports whether the upstream has fed for less than steady.
func (s State) unsteady(at int64) bool {
	return at-s.ConnectedAt < steady
}
