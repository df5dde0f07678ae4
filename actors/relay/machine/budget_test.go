package machine

import (
	"testing"
	"time"

	"conga/actors/relay/search"
	"conga/messages"
)

// The budget of the slack, as in ARCHITECTURE.md: for each single failure, the parts of the repair take
// less than the slack, and the rest is for the depth of the chain.
func TestBudget(t *testing.T) {
	const depth = 400 * time.Millisecond // some hundred nodes, on machines that do other things, too
	for what, parts := range map[string][]time.Duration{
		"an upstream dies in silence, and all ancestors but the last with it": {
			messages.SilenceIsDeath, messages.Ancestors * Patience, messages.LoudspeakerAhead, depth,
		},
		"a living upstream sends no music any more": {
			messages.SilenceIsDeath + hungerAfter, Glance, messages.LoudspeakerAhead,
		},
		// Of each second of music half a second comes: half of the time is lost.
		"a line is slow": {
			tooLate + upstreamGlances*Glance/2 + trial/2, messages.LoudspeakerAhead,
		},
	} {
		var sum time.Duration
		for _, part := range parts {
			sum += part
		}
		if sum >= messages.Slack {
			t.Errorf("%s: it takes %v of %v", what, sum, messages.Slack)
		}
	}
	for what, holds := range map[string]bool{
		"a node that lives is not taken for dead for two lost words": 3*messages.Heartbeat < messages.SilenceIsDeath,
		"those below wait for the node that has lost its upstream":   hungerAfter > 0,
		"a newcomer has music enough in hand to begin at once":       messages.LoudspeakerAhead+messages.JoinReserve < messages.MinSlack,
		"what was missed in a search can still be had":               messages.Window > messages.MaxSlack+search.QuickRetries*search.QuickRetry,
		"a death is not heard with the least slack":                  messages.SilenceIn(messages.MinSlack)+messages.Ancestors*Patience+messages.LoudspeakerAhead < messages.MinSlack,
		"a newcomer has its first chunks with the least slack":       messages.JoinAhead < messages.MinSlack,
		"music is urgent before the loudspeaker wants it":            urgently > messages.LoudspeakerAhead,
	} {
		if !holds {
			t.Error("not so: " + what)
		}
	}
}
