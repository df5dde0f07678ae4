package library

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/actors/internal/story"
	"conga/messages"
)

// TestState_Stories: "report a.mp3 b.mp3@2 c.mp3!empty -d.mp3" reports two songs, the
// second in its second version, a file left out with its reason, and one that is gone; "<x:why"
// a subfolder that cannot be seen, and ">x" one that can be seen again; "away x"
// reports that nothing of the folder can be seen; "bring x amy" that amy has brought a song.
func TestState_Stories(t *testing.T) {
	story.Run(t, "testdata", State{}, func(_ *testing.T, words []string) proto.Message {
		switch words[0] {
		case "away":
			return &messages.ReportSongs{Away: strings.Join(words[1:], " ")}
		case "bring":
			return &messages.BringSong{Song: &messages.Song{Name: words[1]}, Sum: "5e", ListenerName: words[2]}
		case "report":
		default:
			return nil
		}
		report := &messages.ReportSongs{}
		for _, word := range words[1:] {
			if folder, back := strings.CutPrefix(word, ">"); back {
				report.FoldersBack = append(report.FoldersBack, folder)
				continue
			}
			if folder, away := strings.CutPrefix(word, "<"); away {
				folder, reason, _ := strings.Cut(folder, ":")
				report.FoldersAway = append(report.FoldersAway, &messages.SongsAway{Folder: folder, Reason: reason})
				continue
			}
			if name, gone := strings.CutPrefix(word, "-"); gone {
				report.Gone = append(report.Gone, name)
				continue
			}
			if name, reason, ok := strings.Cut(word, "!"); ok {
				report.Rejected = append(report.Rejected, &messages.RejectedSong{Name: name, Reason: reason})
				continue
			}
			name, version, _ := strings.Cut(word, "@")
			report.Songs = append(report.Songs, &messages.Song{Name: name, ModifiedUnixUs: int64(len(version))})
		}
		return report
	})
}

func report(t *rapid.T) *messages.ReportSongs {
	r := &messages.ReportSongs{}
	name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
	for _, name := range rapid.SliceOfNDistinct(name, 0, 5, rapid.ID).Draw(t, "songs") {
		r.Songs = append(r.Songs, &messages.Song{
			Name: name, Frames: rapid.Int64Range(0, 2).Draw(t, "frames"), SampleRate: 44100,
			ModifiedUnixUs: rapid.Int64Range(0, 1).Draw(t, "modified"),
		})
	}
	for _, name := range rapid.SliceOfNDistinct(name, 0, 5, rapid.ID).Draw(t, "rejected") {
		if slices.ContainsFunc(r.Songs, func(s *messages.Song) bool { return s.GetName() == name }) {
			continue
		}
		r.Rejected = append(r.Rejected, &messages.RejectedSong{Name: name, Reason: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "reason")})
	}
	return r
}

// After any reports the state has what the last report of each name says. The same report again yields no events. Old
// states never change.
func TestState_IsWhatWasReported(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var state State
		songs, rejected, folders := map[string]Song{}, map[string]string{}, map[string]string{}
		history, texts := []State{state}, []string{text(t, state)}
		for range rapid.IntRange(1, 8).Draw(t, "reports") {
			r := report(t)
			r.Gone = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), 0, 5, rapid.ID).Draw(t, "gone")
			r.Gone = slices.DeleteFunc(r.Gone, func(name string) bool { // a look says one thing of a name
				return slices.ContainsFunc(r.Songs, func(s *messages.Song) bool { return s.GetName() == name }) ||
					slices.ContainsFunc(r.Rejected, func(s *messages.RejectedSong) bool { return s.GetName() == name })
			})
			for _, folder := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "x/y", "z"}), 0, 3, rapid.ID).Draw(t, "folders") {
				if rapid.Bool().Draw(t, "back") {
					r.FoldersBack = append(r.FoldersBack, folder)
				} else {
					r.FoldersAway = append(r.FoldersAway, &messages.SongsAway{Folder: folder, Reason: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "reason")})
				}
			}
			if rapid.IntRange(0, 4).Draw(t, "away") == 0 {
				r.Away = "unplugged"
			}
			for _, event := range state.Decide(r) {
				state = state.Apply(event)
				history, texts = append(history, state), append(texts, text(t, state))
			}
			if again := state.Decide(r); len(again) > 0 {
				t.Fatalf("the same report again yields %v", again)
			}
			if r.Away == "" {
				for _, folder := range r.GetFoldersBack() {
					delete(folders, folder)
				}
				for _, away := range r.GetFoldersAway() {
					folders[away.GetFolder()] = away.GetReason()
				}
			}
			if !maps.Equal(state.Folders, folders) {
				t.Fatalf("away are %v, reported were %v", state.Folders, folders)
			}
			if r.Away != "" {
				if (state.Away == "") != (len(songs) == 0) {
					t.Fatalf("away is %q with %d songs", state.Away, len(songs))
				}
				continue
			}
			for _, name := range r.GetGone() {
				delete(songs, name)
				delete(rejected, name)
			}
			for _, song := range r.GetSongs() {
				songs[song.GetName()] = *fromMessage(song)
				delete(rejected, song.GetName())
			}
			for _, refused := range r.GetRejected() {
				rejected[refused.GetName()] = refused.GetReason()
				delete(songs, refused.GetName())
			}
			is, isNot := map[string]Song{}, map[string]string{}
			for song := range state.Songs.All() {
				is[song.Name] = *song
			}
			for refused := range state.Rejected.All() {
				isNot[refused.Name] = refused.Reason
			}
			if state.Away != "" || !maps.Equal(is, songs) || !maps.Equal(isNot, rejected) {
				t.Fatalf("state is %s, reported were %v and %v", text(t, state), songs, rejected)
			}
		}
		for i, old := range history {
			if now := text(t, old); now != texts[i] {
				t.Fatalf("state %d was %s and is now %s", i, texts[i], now)
			}
		}
	})
}

func text(t interface{ Fatal(...any) }, s State) string {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back State
	err = json.Unmarshal(b, &back)
	if again, _ := json.Marshal(back); err != nil || string(again) != string(b) {
		t.Fatal(fmt.Sprintf("%s does not survive JSON: %v", b, err))
	}
	return string(b)
}

func TestState_NamesAreNumbered(t *testing.T) {
	var state State
	for _, name := range []string{"c.mp3", "a.mp3", "b.mp3"} {
		state = state.Apply(&messages.SongAdded{Song: &messages.Song{Name: name}})
	}
	if got := state.Names(); !slices.Equal(got, []string{"a.mp3", "b.mp3", "c.mp3"}) {
		t.Errorf("got %v", got)
	}
}

func TestState_Find(t *testing.T) {
	want := &messages.Song{Name: "b.mp3", Title: "B"}
	state := State{}.Apply(&messages.SongAdded{Song: &messages.Song{Name: "a.mp3"}}).Apply(&messages.SongAdded{Song: want})
	if got := state.Find("b.mp3"); !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := state.Find("b"); got != nil {
		t.Errorf("got %v, want none", got)
	}
}

func TestSong_Message(t *testing.T) {
	want := &messages.Song{
		Name: "a.mp3", Title: "A", Artist: "B", DurationUs: messages.FrameOffset(1510, 44100).Microseconds(), SampleRate: 44100,
		Frames: 1510, AudioBytes: 631118, FileBytes: 631851, ModifiedUnixUs: 7, Sum: []byte{0x5e},
	}
	if got := fromMessage(want).Message(); !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
