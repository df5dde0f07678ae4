package actors

import (
	"context"
	"fmt"

	"conga/actors/player"
	"conga/actors/relay"
	"conga/actors/relay/search"
	"conga/messages"
)

// Receipt says what music a listener got. Every item was checked against the server's seal
// before anyone could hear it, so if nothing is unproved, the listener heard what the server
// sent.
type Receipt struct {
	Name            string   `json:"name"`
	Heard           int64    `json:"heard"`           // items that arrived: chunks and song changes
	Lost            int64    `json:"lost"`            // items that nobody above could give
	Twice           int64    `json:"twice"`           // items that came again on one link
	Unproved        int64    `json:"unproved"`        // items without a seal
	Lies            int64    `json:"lies"`            // upstreams cut because of a lie
	Splices         int64    `json:"splices"`         // changes of the upstream
	LongestSearchMs float64  `json:"longestSearchMs"` // for another upstream
	LowestMarginMs  *float64 `json:"lowestMarginMs"`  // shortest time between an item's arrival and its play-out; null at first
	Underruns       int      `json:"underruns"`       // times that there was nothing to play
	SilentMs        int64    `json:"silentMs"`        // silence in the middle of music
	Silenced        string   `json:"silenced"`        // why there is no sound now; empty: there is
	NeverHeard      bool     `json:"neverHeard"`      // there was no sound at any time
	MutedMs         int64    `json:"mutedMs"`         // how long there was no sound, in total
	Recording       string   `json:"recording"`       // what the recording lacks; empty: nothing, or there is none
	Unfed           bool     `json:"unfed"`           // nobody feeds it now, and Lost does not count what it misses yet
	// Songs are those received whole; the server's dump has the same sums.
	Songs []messages.SongSum `json:"songs"`
}

// Receipt asks the actors for the receipt. The error says that one of them is being restarted and did not
// answer before ctx ended.
func (c *Client) Receipt(ctx context.Context) (Receipt, error) {
	views, err := c.look(ctx, relay.Actor, player.Actor)
	if err != nil {
		return Receipt{}, fmt.Errorf("the listener is restarting an actor, try again: %w", err)
	}
	return c.receipt(views), nil
}

func (c *Client) receipt(views map[string]messages.View) Receipt {
	in, _ := views[relay.Actor].Live.(relay.Live)
	out, _ := views[player.Actor].Live.(player.Live)
	state, _ := views[relay.Actor].State.(search.State)
	return Receipt{
		Name: c.Node().GetName(), Heard: in.Received, Lost: in.Lost, Twice: in.Twice, Unproved: in.Unproved,
		Lies: in.Lies, Splices: in.Splices, LongestSearchMs: in.LongestSearchMs, LowestMarginMs: in.LowestMarginMs,
		Underruns: out.Underruns, SilentMs: out.SilentMs, Silenced: out.Silenced,
		NeverHeard: out.NeverHeard, MutedMs: out.MutedMs, Recording: out.Recording, Unfed: state.Upstream == nil, Songs: in.Songs,
	}
}
