package queue

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/actors/eventlog"
	"conga/messages"
)

// A playlist goes round and round, each song once a round, in order or shuffled. Requests in between do not change its
// place. Songs that are not there are passed over. A replay, or a server that starts again with the same list, goes on
// where it was.
func TestState_Property_Playlist(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var state State
		var events []proto.Message
		apply := func(all ...proto.Message) {
			for _, event := range all {
				events, state = append(events, event), state.Apply(event)
			}
		}
		n := rapid.IntRange(1, 6).Draw(t, "songs")
		var list, there []string
		for i := range n {
			name := fmt.Sprintf("%d.mp3", i)
			list = append(list, name)
			if i == 0 || rapid.IntRange(0, 3).Draw(t, "there") > 0 {
				apply(add(name))
				there = append(there, name)
			}
		}
		apply(add("other.mp3"))
		list = rapid.Permutation(list).Draw(t, "list")
		there = slices.DeleteFunc(slices.Clone(list), func(name string) bool { return !slices.Contains(there, name) })
		set := &messages.SetPlaylist{Songs: list, Shuffle: rapid.Bool().Draw(t, "shuffle"), Seed: rapid.Uint64().Draw(t, "seed")}
		apply(state.Decide(set)...)
		var played []string
		for round := range rapid.IntRange(0, 20).Draw(t, "steps") {
			if rapid.IntRange(0, 3).Draw(t, "asks") == 0 {
				apply(state.Decide(&messages.RequestPlay{RequestId: fmt.Sprint(round), ListenerId: "amy", Wish: "other"})...)
			}
			if rapid.IntRange(0, 3).Draw(t, "restarts") == 0 {
				again := proto.CloneOf(set)
				again.Seed++
				if changes := state.Decide(again); len(changes) > 0 {
					t.Fatalf("the same list again gives %v", changes)
				}
				state = eventlog.Replay(State{}, events...)
			}
			waits := len(state.Queue) > 0
			apply(state.Decide(&messages.ChooseSong{Seed: rapid.Uint64().Draw(t, "chance"), AtUnixUs: int64(round) * 1e6})...)
			song := state.Playing.Song
			if waits != (song == "other.mp3") {
				t.Fatalf("plays %s, somebody waits: %v", song, waits)
			}
			if !waits {
				played = append(played, song)
			}
			apply(&messages.SongStarted{Song: &messages.Song{Name: song}}, &messages.SongEnded{Song: song})
		}
		for i := range played {
			if !set.GetShuffle() && played[i] != there[i%len(there)] {
				t.Fatalf("played %v of %v", played, there)
			}
			round := slices.Sorted(slices.Values(played[i/len(there)*len(there) : i+1]))
			if len(slices.Compact(round)) != i%len(there)+1 {
				t.Fatalf("a song twice in a round of %v: %v", there, played)
			}
		}
		apply(state.Decide(&messages.SetPlaylist{})...)
		if state.Playlist != nil || len(state.Decide(&messages.SetPlaylist{Shuffle: true})) > 0 {
			t.Fatalf("without a list it is %v", state.Playlist)
		}
	})
}

// If no song of the playlist can be played, random songs play.
func TestState_Playlist_NothingThere(t *testing.T) {
	state := State{}.Apply(add("a.mp3")).Apply(&messages.PlaylistSet{Songs: []string{"gone.mp3", "b.mp3"}})
	events := state.Decide(&messages.ChooseSong{Seed: 7})
	if len(events) != 1 || events[0].(*messages.SongChosen).GetSong() != "a.mp3" || events[0].(*messages.SongChosen).GetPlaylistPlace() != 0 {
		t.Errorf("got %v", events)
	}
}
