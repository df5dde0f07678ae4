package place

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"conga/messages"
)

// Whatever the host wants from one start to the next, and however much the chain needs: no play-out time changes, chunks
// leave in their order and steadily, and no song has less slack in the end than the chain needs.
func TestState_Property_Slack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state := State{}
		now := int64(1e15)
		lastDue, lastEnd := int64(0), int64(0)
		for range rapid.IntRange(1, 12).Draw(t, "songs") {
			if rapid.Bool().Draw(t, "restart") {
				wish := rapid.Int64Range(messages.MinSlack.Microseconds(), messages.MaxSlack.Microseconds()).Draw(t, "slack")
				for _, e := range state.Decide(&messages.OpenBroadcast{AtUnixUs: now, SlackUs: wish}) {
					state = state.Apply(e)
				}
			}
			takes := time.Duration(rapid.Int64Range(0, 3e6).Draw(t, "the chain takes")) * time.Microsecond
			rate := rapid.SampledFrom([]int32{32000, 44100, 48000}).Draw(t, "rate")
			for _, e := range state.Decide(&messages.StartSong{
				Song:         &messages.Song{Name: "a.mp3", SampleRate: rate, Frames: rapid.Int64Range(1, 3000).Draw(t, "frames")},
				PlayAtUnixUs: now, ChainTakesUs: takes.Microseconds(),
			}) {
				state = state.Apply(e)
			}
			song := *state.Song
			if to := messages.SlackOf(song.Slack); to < messages.SlackNeeded(takes) || to < messages.SlackOf(state.Wish) {
				t.Fatalf("the chain needs %v, the host wants %v, and it is %v", messages.SlackNeeded(takes), messages.SlackOf(state.Wish), to)
			}
			per := int64(song.PerChunk)
			for first := int64(0); first < song.Frames; first += per {
				due := song.Due(first)
				switch step := due - lastDue; {
				case song.PlayAt != lastEnd && first == 0: // the first, or after a pause
				case step < 0 || step > 2*messages.MaxChunkDuration.Microseconds():
					t.Fatalf("a chunk leaves %d µs after the one before it", step)
				}
				if given := song.Given(due); given < min(first+per, song.Frames) {
					t.Fatalf("at %d it has given %d frames, but frame %d is due", due, given, first)
				}
				if given := song.Given(due - 1); given > first {
					t.Fatalf("before %d it has given %d frames, but frame %d is not due", due, given, first)
				}
				lastDue = due
			}
			played := song.Frames
			if rapid.Bool().Draw(t, "ends early") {
				played = rapid.Int64Range(0, (song.Frames-1)/per).Draw(t, "chunks") * per
				lastDue = song.Due(max(0, played-per))
			}
			for _, e := range state.Decide(&messages.EndSong{Chunks: song.Chunks(played), Frames: played}) {
				state = state.Apply(e)
			}
			if state.NextPlayAt != song.Until(played) {
				t.Fatalf("the next is heard at %d, not %d", state.NextPlayAt, song.Until(played))
			}
			lastEnd = state.NextPlayAt
			now = lastDue + rapid.SampledFrom([]int64{0, 0, 1000, 10e6}).Draw(t, "pause") // when the next song is chosen
		}
	})
}
