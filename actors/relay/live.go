package relay

import (
	"slices"

	"conga/messages"
)

// Live is the relay's part of the dump that the log does not know.
type Live struct {
	Upstream        string             `json:"upstream"`   // name of who feeds this node
	Downstream      []string           `json:"downstream"` // names of whom it feeds
	Next            uint64             `json:"next"`       // number needed next
	Received        int64              `json:"received"`   // items
	Lost            int64              `json:"lost"`       // items
	Twice           int64              `json:"twice"`      // items that came again on one link
	Unproved        int64              `json:"unproved"`   // items without a seal
	Lies            int64              `json:"lies"`       // links cut for what they sent
	Splices         int64              `json:"splices"`    // changes of the upstream
	LongestSearchMs float64            `json:"longestSearchMs"`
	LowestMarginMs  *float64           `json:"lowestMarginMs"` // the least that an item came before its time; null at first
	Songs           []messages.SongSum `json:"songs"`
}

// unfed forgets one connection of a listener of this node.
func (m *memory) unfed(id string) {
	for i, node := range m.fed {
		if node.GetId() == id {
			m.fed = slices.Delete(slices.Clone(m.fed), i, i+1)
			return
		}
	}
}

func (m *machine) live() Live {
	l := Live{
		Downstream: []string{},
		Next:       m.flow.next, Received: m.flow.received, Lost: m.flow.lost, Twice: m.flow.twice,
		Unproved: m.flow.unproved, Lies: m.lies, Splices: max(0, m.connected-1),
		LongestSearchMs: float64(m.longest.Microseconds()) / 1000, LowestMarginMs: m.margin.lowestMs(),
		Songs: append([]messages.SongSum{}, m.flow.songs...),
	}
	if up := m.state.Upstream; up != nil {
		l.Upstream = up.Node.Name
	}
	for _, node := range m.fed {
		l.Downstream = append(l.Downstream, node.GetName())
	}
	return l
}
