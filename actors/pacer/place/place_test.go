package place

import (
	"encoding/json"
	"strconv"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/actors/eventlog"
	"conga/actors/internal/story"
	"conga/messages"
)

// In a story, "start bach 1508 at 1000000" starts a song of 1508 frames, not before the first
// second is over; "end 377 1508" ends it after 377 chunks; "open" is a server's start.
func TestState_Stories(t *testing.T) {
	story.Run(t, "testdata", State{}, func(t *testing.T, words []string) proto.Message {
		number := func(i int) int64 {
			n, err := strconv.ParseInt(words[i], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		switch words[0] {
		case "open":
			return &messages.OpenBroadcast{}
		case "start":
			return &messages.StartSong{
				Song:         &messages.Song{Name: words[1] + ".mp3", SampleRate: 44100, Frames: number(2)},
				PlayAtUnixUs: number(4),
			}
		case "end":
			return &messages.EndSong{Chunks: uint64(number(1)), Frames: number(2)}
		}
		return nil
	})
}

func text(t interface{ Fatal(...any) }, s State) string {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Whatever is played, broken off and restarted: numbers go on without a hole, no song
// begins before the last one is over (unless the clock was set back), and a replay, from
// the log or from JSON, gives the same.
func TestState_Property_Contiguous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var state State
		var events []proto.Message
		states, texts := []State{state}, []string{text(t, state)}
		apply := func(cmd proto.Message) []proto.Message {
			decided := state.Decide(cmd)
			for _, event := range decided {
				events = append(events, event)
				state = state.Apply(event)
				states, texts = append(states, state), append(texts, text(t, state))
			}
			return decided
		}
		now, next, end := int64(1e15), uint64(1), int64(0)
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			now += rapid.Int64Range(0, 60e6).Draw(t, "passes")
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				epoch := state.Epoch
				if apply(&messages.OpenBroadcast{}); state.Epoch != epoch+1 {
					t.Fatalf("epoch %d after %d", state.Epoch, epoch)
				}
			case 1:
				rate := rapid.SampledFrom([]int32{32000, 44100, 48000}).Draw(t, "rate")
				before := state.Song
				decided := apply(&messages.StartSong{
					Song:         &messages.Song{Name: "a.mp3", SampleRate: rate, Frames: rapid.Int64Range(1, 2000).Draw(t, "frames")},
					PlayAtUnixUs: now,
				})
				if before != nil {
					if len(decided) > 0 {
						t.Fatal("two songs at once")
					}
					continue
				}
				song := state.Song
				stepped := end > now+2*messages.Slack.Microseconds()
				if song.Number != next || song.PlayAt < now || song.PlayAt < end && !stepped || song.PlayAt != max(now, end) && !stepped {
					t.Fatalf("song %+v at %d, number %d was next, to be heard at %d", song, now, next, end)
				}
			case 2:
				song := state.Song
				if song == nil {
					continue
				}
				frames := rapid.Int64Range(0, song.Frames).Draw(t, "played")
				apply(&messages.EndSong{Chunks: song.Chunks(frames), Frames: frames})
				next, end = song.Number+1+song.Chunks(frames), song.Until(frames)
				if last := state.Recent[len(state.Recent)-1]; last.Played != frames {
					t.Fatalf("%d frames were played, the state says %d", frames, last.Played)
				}
			case 3:
				if state.Song == nil {
					apply(&messages.EndSong{Song: "broken.mp3", Reason: "gone"})
				}
			}
			if state.Song == nil && state.Next > 0 && state.Next != next {
				t.Fatalf("next is %d, want %d", state.Next, next)
			}
		}
		for i, s := range states {
			if got := text(t, s); got != texts[i] {
				t.Fatalf("the state at event %d became %s, it was %s", i, got, texts[i])
			}
		}
		if got := text(t, eventlog.Replay(State{}, events...)); got != text(t, state) {
			t.Fatalf("replayed %s, live %s", got, text(t, state))
		}
		var back State
		if err := json.Unmarshal([]byte(text(t, state)), &back); err != nil {
			t.Fatal(err)
		}
		if got := text(t, back); got != text(t, state) {
			t.Fatalf("through JSON %s, live %s", got, text(t, state))
		}
	})
}
