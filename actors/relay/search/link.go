package search

import "conga/messages"

// Node is an ancestor.
type Node struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Relay string `json:"relay"`
	Dials bool   `json:"dials,omitempty"` // it cannot be reached: it dials this node
}

// Link is a connection to an ancestor.
type Link struct {
	Number uint64 `json:"number"`
	Node   Node   `json:"node"`
	// Why is what the ancestor was asked for; Holes, whether it was asked for music with a hole, too.
	Why   messages.SearchOn_Why `json:"why,omitempty"`
	Holes bool                  `json:"holes,omitempty"`
}

// Late reports whether the ancestor is used only if it is ahead of the upstream.
func (l Link) Late() bool {
	return l.Why == messages.SearchOn_WHY_LATE || l.Why == messages.SearchOn_WHY_URGENT
}

var server = Node{ID: messages.ServerID, Name: messages.ServerID}

// NodeOf returns the ancestor that the server named.
func NodeOf(n *messages.Node) Node {
	return Node{ID: n.GetId(), Name: n.GetName(), Relay: n.GetRelay(), Dials: n.GetDials()}
}

func (n Node) message() *messages.Node {
	return &messages.Node{Id: n.ID, Name: n.Name, Relay: n.Relay, Dials: n.Dials}
}

func (n Node) same(other Node) bool {
	return n.ID == other.ID && n.Relay == other.Relay
}
