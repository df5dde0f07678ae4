package messages

import "time"

// How long before its play-out time the server sends a chunk: the depth of the chain and every search for a new
// upstream take their time from it.
const (
	// Slack is the usual one.
	Slack = 2 * time.Second
	// MinSlack and MaxSlack are the least and the most that a host may choose. With less, a node that dies without a word
	// would be heard even in a short chain; with more, what was missed in a search would have left the Window.
	MinSlack, MaxSlack = time.Second, 6 * time.Second
	// slackTurns: while the slack changes, the server sends an eighth faster or slower than the music is heard. No play-out
	// time changes, so nobody hears it, and no listener waits for music so long that it looks elsewhere.
	slackTurns = 8

	// leastSilence is how long an upstream may say nothing, however short the slack is: a machine that is busy does not run
	// each process every 100 ms.
	leastSilence = 400 * time.Millisecond
	// repairs is what the loudspeaker and a search among three nodes take of the slack, beside SilenceIn.
	repairs = LoudspeakerAhead + 120*time.Millisecond
)

// SlackAt is the slack of what is heard so long after a song's beginning. It goes steadily from `before` to `to`.
func SlackAt(before, to, after time.Duration) time.Duration {
	turned := max(0, after) / slackTurns
	if before < to {
		return min(to, before+turned)
	}
	return max(to, before-turned)
}

// SlackNeeded is the least slack of a chain whose last listener gets the music so long after it was sent, if no node's
// death is to be heard, in tenths of a second, so that it does not change with each song. It is at most Slack: with that,
// too, a chain that takes longer cannot hide all of them, and a listener that lies about its own time changes no more.
func SlackNeeded(chainTakes time.Duration) time.Duration {
	const tenth = 100 * time.Millisecond
	if chainTakes > Slack-SilenceIsDeath-repairs {
		return Slack
	}
	return max(MinSlack, (chainTakes + leastSilence + repairs + tenth - 1).Truncate(tenth))
}

// MarginNeeded is how long before its play-out time music must come if a death without a word above is not to be heard.
func MarginNeeded(slack time.Duration) time.Duration { return SilenceIn(slack) + repairs }

// SilenceIn is SilenceIsDeath where the slack is short.
func SilenceIn(slack time.Duration) time.Duration {
	return min(SilenceIsDeath, max(leastSilence, slack-time.Second))
}

// HeartbeatIn is Heartbeat where the slack is short.
func HeartbeatIn(slack time.Duration) time.Duration {
	return SilenceIn(slack) * Heartbeat / SilenceIsDeath
}

// SlackOf is the slack that a field of a message says, in microseconds; 0 is the usual one.
func SlackOf(us int64) time.Duration {
	if us == 0 {
		return Slack
	}
	return time.Duration(us) * time.Microsecond
}

// SlackUs is what such a field says for this slack.
func SlackUs(slack time.Duration) int64 {
	if slack == Slack {
		return 0
	}
	return slack.Microseconds()
}

// Slacks are how long before it is heard the song's music is sent: at its beginning, and in the end.
func (c *SongChange) Slacks() (before, to time.Duration) {
	return SlackOf(c.GetSlackBeforeUs()), SlackOf(c.GetSlackUs())
}

// Slack is how long before it is heard the server sends the item. The item's Song must be set.
func (i *Item) Slack() time.Duration {
	before, to := i.Song.Slacks()
	return SlackAt(before, to, FrameOffset(i.FirstFrame, i.Song.GetSampleRate()))
}

// Due returns when the server sends the item, in microseconds on its clock. The item's Song must be set.
func (i *Item) Due() int64 { return i.PlayAt() - i.Slack().Microseconds() }
