package machine

import "conga/messages"

// Live is the part of the machine that is not in the log.
type Live struct {
	Upstream        string             `json:"upstream"` // name of the node that feeds this one
	Next            uint64             `json:"next"`     // number needed next
	Received        int64              `json:"received"` // items
	Lost            int64              `json:"lost"`     // items
	Twice           int64              `json:"twice"`    // items that came again on one link
	Unproved        int64              `json:"unproved"` // items without a seal
	Lies            int64              `json:"lies"`     // links cut because of a lie
	Splices         int64              `json:"splices"`  // changes of the upstream
	LongestSearchMs float64            `json:"longestSearchMs"`
	LowestMarginMs  *float64           `json:"lowestMarginMs"` // shortest time between an item's arrival and its play-out; null at first
	SlackMs         int64              `json:"slackMs"`        // how long before it was to be heard the server sent the last item; 0: none came
	Songs           []messages.SongSum `json:"songs"`
}

// Live returns the present values.
func (m *Machine) Live() Live {
	t := m.tally
	l := Live{
		Next: m.flow.next, Received: t.received, Lost: t.lost, Twice: t.twice,
		Unproved: t.unproved, Lies: t.lies, Splices: max(0, t.connected-1),
		LongestSearchMs: float64(t.longest.Microseconds()) / 1000, LowestMarginMs: t.margin.lowestMs(), SlackMs: m.arrival.slack.Milliseconds(),
		Songs: append([]messages.SongSum{}, t.songs...),
	}
	if up := m.state.Upstream; up != nil {
		l.Upstream = up.Node.Name
	}
	return l
}
