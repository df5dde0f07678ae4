package messages

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// While the slack changes, music is sent a little faster or slower than it is heard, never at once and never backwards.
func TestSlackAt_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slack := rapid.Int64Range(MinSlack.Microseconds(), MaxSlack.Microseconds())
		song := &SongChange{
			SampleRate: rapid.SampledFrom([]int32{32000, 44100, 48000}).Draw(t, "rate"), PlayAtUnixUs: 1e15,
			SlackBeforeUs: slack.Draw(t, "before"), SlackUs: slack.Draw(t, "to"),
		}
		per := FramesPerChunk(song.SampleRate)
		item := func(n int) *Item { return &Item{Song: song, FirstFrame: int64(n) * int64(per)} }
		if first := item(0); first.Slack().Microseconds() != song.SlackBeforeUs {
			t.Fatalf("the first chunk has %v", first.Slack())
		}
		for n := 1; n < 600; n++ { // a minute: the longest change takes 40 s
			heard := item(n).PlayAt() - item(n-1).PlayAt()
			sent := item(n).Due() - item(n-1).Due()
			if sent*slackTurns < heard*(slackTurns-1)-slackTurns || sent*slackTurns > heard*(slackTurns+1)+slackTurns {
				t.Fatalf("chunk %d is sent %d µs after the one before it, and heard %d µs after", n, sent, heard)
			}
		}
		if last := item(600); last.Slack().Microseconds() != song.SlackUs {
			t.Fatalf("after a minute it is %v", last.Slack())
		}
	})
}

// The least slack has time for the chain, the silence of a dead node, the search and the loudspeaker; and the silence for
// two lost heartbeats.
func TestSlackNeeded(t *testing.T) {
	for takes := time.Duration(0); takes < 3*time.Second; takes += time.Millisecond {
		slack := SlackNeeded(takes)
		if slack < MinSlack || slack > Slack {
			t.Fatalf("a chain that takes %v needs %v", takes, slack)
		}
		if sum := takes + SilenceIn(slack) + repairs; sum > slack && slack < Slack {
			t.Fatalf("a chain that takes %v has %v, but a repair takes %v", takes, slack, sum)
		}
	}
	for slack := MinSlack; slack <= MaxSlack; slack += time.Millisecond {
		if 3*HeartbeatIn(slack) >= SilenceIn(slack) {
			t.Fatalf("with %v, a heartbeat comes each %v, and silence is %v", slack, HeartbeatIn(slack), SilenceIn(slack))
		}
	}
	if SilenceIn(Slack) != SilenceIsDeath || HeartbeatIn(Slack) != Heartbeat {
		t.Errorf("with the usual slack: silence %v, heartbeat %v", SilenceIn(Slack), HeartbeatIn(Slack))
	}
}
