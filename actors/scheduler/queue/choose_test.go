package queue

import (
	"fmt"
	"math"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/messages"
)

// If one song can be played, chance finds it, whatever number it draws.
func TestState_Property_Random_FindsTheOnlyOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 100).Draw(t, "songs")
		only := rapid.IntRange(0, n-1).Draw(t, "only")
		seed := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(math.MaxUint64-200, math.MaxUint64)).Draw(t, "seed")
		var state State
		for i := range n {
			folder := "away"
			if i == only {
				folder = "here"
			}
			state = state.Apply(add(fmt.Sprintf("%s/%d.mp3", folder, i)))
		}
		state = state.Apply(&messages.SongsAway{Folder: "away", Reason: "unplugged"})
		want := []proto.Message{&messages.SongChosen{Song: fmt.Sprintf("here/%d.mp3", only), Seed: seed}}
		if got := state.Decide(&messages.ChooseSong{Seed: seed}); len(got) != 1 || !proto.Equal(got[0], want[0]) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}
