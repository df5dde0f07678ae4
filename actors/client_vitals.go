package actors

import (
	"conga/actors/player"
	"conga/messages"
)

// lookAgain is after how many pings a player that has not answered is asked again: it was restarted.
const lookAgain = 10

// vitals returns a function that adds to each ping how this listener is. It never waits: the player's figures
// are those of an earlier ping.
func (c *Client) vitals() func(*messages.ClockPing) {
	reply := make(chan messages.View, 1)
	asked, late := 0, int64(0)
	return func(ping *messages.ClockPing) {
		if last := c.window.Last(); last != nil {
			ping.AheadUs = last.PlayAt() - c.clock.Now()
		}
		if c.cfg.Players != nil {
			now, most := c.cfg.Players()
			ping.Players, ping.PlayersAtMost = uint32(now), uint32(most)
		}
		select {
		case view := <-reply:
			if live, is := view.Live.(player.Live); is {
				late = live.ErrorUs
			}
			asked = 0
		default:
		}
		ping.LateUs, ping.LateErrorUs = late, int64(c.clock.Estimate().ErrorUs)
		if asked++; asked == lookAgain {
			reply, asked = make(chan messages.View, 1), 1
		}
		if asked == 1 {
			c.tell(player.Actor, &messages.Look{Reply: reply})
		}
	}
}
