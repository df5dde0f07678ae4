package library

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/messages"
)

// Songs that somebody waits for are converted first, in the order of asking. Songs that play as they are, were
// converted, or cannot be seen are never converted. A wish is dropped only when its song is converted or gone.
func TestState_Property_ToMake(t *testing.T) {
	names := []string{"a.mp3", "b.ogg", "c.ogg", "d/e.ogg"}
	rapid.Check(t, func(t *rapid.T) {
		var state State
		var asked []string
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			var event proto.Message
			switch rapid.IntRange(0, 6).Draw(t, "kind") {
			case 0, 1:
				form := messages.Song_FORM_OTHER
				if name == "a.mp3" {
					form = messages.Song_FORM_MP3
				}
				event = &messages.SongAdded{Song: &messages.Song{Name: name, Form: form}}
			case 2:
				if song, is := state.Songs.Find(name); !is || song.Form != messages.Song_FORM_OTHER {
					continue
				}
				event = &messages.SongAdded{Song: &messages.Song{Name: name, Form: messages.Song_FORM_CONVERTED, MadeOf: "x", MadeSum: "y"}}
				asked = slices.DeleteFunc(asked, func(n string) bool { return n == name })
			case 3:
				event = &messages.SongRemoved{Name: name}
				asked = slices.DeleteFunc(asked, func(n string) bool { return n == name })
			case 4:
				event = rapid.SampledFrom([]proto.Message{&messages.SongsAway{Folder: "d", Reason: "x"}, &messages.SongsBack{Folder: "d"}}).Draw(t, "folder")
			default:
				if song, is := state.Songs.Find(name); is && song.Form == messages.Song_FORM_OTHER && !slices.Contains(asked, name) {
					asked = append(asked, name)
				}
				event = &messages.SongQueued{Song: name}
			}
			state = state.Apply(event)
			if !slices.Equal(state.Wanted, asked) {
				t.Fatalf("wanted are %v, asked for were %v", state.Wanted, asked)
			}
			bad := rapid.SampledFrom(append([]string{""}, names...)).Draw(t, "cannot be read")
			for _, ahead := range []bool{false, true} {
				var want string
				first := true
				for _, n := range slices.Concat(asked, names) {
					song, is := state.Songs.Find(n)
					hidden := n == "d/e.ogg" && len(state.Folders) > 0
					if want == "" && is && n != bad && song.Form == messages.Song_FORM_OTHER && !hidden && (ahead || slices.Contains(asked, n)) {
						want, first = n, slices.Contains(asked, n)
					}
				}
				song, wanted := state.ToMake(ahead, func(name string) bool { return name == bad })
				if song == nil && want != "" || song != nil && (song.Name != want || wanted != first) {
					t.Fatalf("next is %v, %v; want %q", song, wanted, want)
				}
			}
		}
	})
}

// The result of a conversion counts only for the file as it was when the conversion began.
func TestState_Made(t *testing.T) {
	song := &messages.Song{Name: "a.ogg", FileBytes: 7, ModifiedUnixUs: 8, Form: messages.Song_FORM_OTHER}
	state := State{}.Apply(&messages.SongAdded{Song: song})
	done := proto.CloneOf(song)
	done.Form, done.MadeOf, done.MadeSum, done.Frames, done.SampleRate = messages.Song_FORM_CONVERTED, "x", "y", 3, 44100
	if events := state.Decide(&messages.MadeSong{Song: done}); len(events) != 1 {
		t.Fatalf("got %v", events)
	}
	changed := proto.CloneOf(song)
	changed.FileBytes++
	for _, other := range []State{{}, state.Apply(&messages.SongAdded{Song: changed}), state.Apply(&messages.SongAdded{Song: &messages.Song{Name: "a.ogg", FileBytes: 7, ModifiedUnixUs: 8}})} {
		for _, reason := range []string{"", "it is no music"} {
			if events := other.Decide(&messages.MadeSong{Song: done, Reason: reason}); len(events) > 0 {
				t.Errorf("of another file: %v", events)
			}
		}
	}
	made := state.Apply(state.Decide(&messages.MadeSong{Song: done})[0])
	if events := made.Decide(&messages.ReportSongs{Songs: []*messages.Song{song}}); len(events) > 0 {
		t.Errorf("the file is as it was, and %v", events)
	}
	if events := made.Decide(&messages.ReportSongs{Songs: []*messages.Song{changed}}); len(events) != 1 {
		t.Errorf("the file has changed: %v", events)
	}
	lost := made.Decide(&messages.LostSongs{Names: []string{"a.ogg", "a.ogg", "b.ogg"}})
	if len(lost) != 1 || made.Apply(lost[0]).Find("a.ogg").GetForm() != messages.Song_FORM_OTHER {
		t.Errorf("what was made is lost: %v", lost)
	}
	failed := state.Decide(&messages.MadeSong{Song: song, Reason: "it is no music"})
	if len(failed) != 2 || state.Apply(failed[0]).Apply(failed[1]).Rejected.Len() != 1 {
		t.Errorf("it cannot be converted: %v", failed)
	}
}
