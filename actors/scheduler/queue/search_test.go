package queue

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"conga/messages"
)

func library(songs ...[3]string) State {
	var state State
	for _, s := range songs {
		state = state.Apply(&messages.SongAdded{Song: &messages.Song{Name: s[0], Title: s[1], Artist: s[2], DurationUs: 1}})
	}
	return state
}

func TestState_Mean(t *testing.T) {
	state := library(
		[3]string{"01.mp3", "Für Elise", "Ludwig van Beethoven"},
		[3]string{"02.mp3", "Für Elise (live)", "Ludwig van Beethoven"},
		[3]string{"Artist/Album/03 - Air.mp3", "Air", "J. S. Bach"},
		[3]string{"air guitar.mp3", "", ""},
		[3]string{"beethoven.mp3", "Ode to Joy", "Beethoven"},
		[3]string{"straße.mp3", "Straße", "Sigur Rós"},
		[3]string{"x.mp3", "Same", "One"},
		[3]string{"y.mp3", "Same", "Two"},
		[3]string{"Tune.flac", "", ""},
		[3]string{"z.mp3", "Don't Stop", "Queen"},
	)
	for wish, want := range map[string]any{
		"fur elise":                        "01.mp3",
		"FÜR ELISE":                        "01.mp3",
		"fu\u0308r elise":                  "01.mp3",
		"für elise live":                   "02.mp3",
		"elise":                            2,
		"ludwig van beethoven fur elise":   "01.mp3",
		"Für Elise – Ludwig van Beethoven": "01.mp3",
		"1. 01.mp3 (Für Elise – Ludwig van Beethoven)":    "01.mp3",
		"4. Artist/Album/03 - Air.mp3 (Air – J. S. Bach)": "Artist/Album/03 - Air.mp3",
		"beethoven":     "beethoven.mp3", // an exact name, though others have the word
		"ode":           "beethoven.mp3",
		"joy beethoven": "beethoven.mp3",
		"air":           "Artist/Album/03 - Air.mp3",
		"03 air":        "Artist/Album/03 - Air.mp3",
		"strasse":       "straße.mp3",
		"sigur ros":     "straße.mp3",
		"same":          2, "same one": "x.mp3", "two same": "y.mp3", "one": "x.mp3",
		"tune": "Tune.flac", "TUNE.FLAC": "Tune.flac", "tune.ogg": "Tune.flac",
		"dont stop": "z.mp3", "don’t stop": "z.mp3",
		"nosuch": 0, "!!!": 0, "": 0, "beethoven nosuch": 0,
	} {
		m := state.Mean(wish)
		switch want := want.(type) {
		case string:
			if m.Song != want || len(m.Choices) > 0 {
				t.Errorf("%q is %+v, want %s", wish, m, want)
			}
		case int:
			if m.Song != "" || len(m.Choices) != want {
				t.Errorf("%q is %+v, want %d choices", wish, m, want)
			}
		}
	}
}

// A choice is bounded, and PLAY takes each of its numbers for the song beside it.
func TestState_Mean_Choices(t *testing.T) {
	var songs [][3]string
	for n := range 41 {
		songs = append(songs, [3]string{fmt.Sprintf("song %02d.mp3", n), fmt.Sprintf("Ode %d", n), ""})
	}
	state := library(songs...)
	m := state.Mean("ode")
	if len(m.Choices) != maxChoices || m.More != 31 {
		t.Fatalf("%d choices and %d more", len(m.Choices), m.More)
	}
	for _, c := range m.Choices {
		if got := state.Mean(fmt.Sprint(c.Number)); got.Song != c.Song.GetName() {
			t.Errorf("%d is %s, it was offered for %s", c.Number, got.Song, c.Song.GetName())
		}
	}
}

// Each song is found by its title in any case and form, alone or among the choices. An exact name means that song. A
// state from JSON finds the same.
func TestState_Property_Mean(t *testing.T) {
	some := rapid.StringMatching(`[A-Za-zÀ-ž]{1,6}( [A-Za-z0-9]{1,4}){0,2}`)
	rapid.Check(t, func(t *rapid.T) {
		var songs [][3]string
		for n := range rapid.IntRange(1, 12).Draw(t, "songs") {
			songs = append(songs, [3]string{fmt.Sprintf("%d_%s.mp3", n, some.Draw(t, "name")), some.Draw(t, "title"), some.Draw(t, "artist")})
		}
		state := library(songs...)
		raw, err := json.Marshal(state)
		var back State
		if err == nil {
			err = json.Unmarshal(raw, &back)
		}
		if err != nil {
			t.Fatal(err)
		}
		form := rapid.SampledFrom([]norm.Form{norm.NFC, norm.NFD}).Draw(t, "form")
		for _, s := range songs {
			if m := state.Mean(s[0]); m.Song != s[0] {
				t.Fatalf("%q is %+v", s[0], m)
			}
			for _, wish := range []string{form.String(s[1]), s[2] + " " + s[1], s[1] + " " + s[2]} {
				m := state.Mean(wish)
				is := func(c messages.Choice) bool { return c.Song.GetName() == s[0] }
				if _, other := state.Find(wish); !other && m.Song != s[0] && !slices.ContainsFunc(m.Choices, is) && m.More == 0 {
					if w := wordsOf(wish); m.Song == "" || w.match(find(state, m.Song)) >= w.match(find(state, s[0])) {
						t.Fatalf("%q is not %v: %+v", wish, s, m)
					}
				}
				if other := back.Mean(wish); other.Song != m.Song || len(other.Choices) != len(m.Choices) {
					t.Fatalf("%q is %+v, through JSON %+v", wish, m, other)
				}
			}
		}
	})
}

func find(s State, name string) *Song {
	song, _ := s.Songs.Find(name)
	return song
}

// A search of 20,000 songs: go test -bench Mean ./actors/scheduler
func BenchmarkState_Mean(b *testing.B) {
	var songs []*Song
	for n := range 20_000 {
		songs = append(songs, newSong(&messages.Song{
			Name: fmt.Sprintf("Artist %d/Album %d/%02d - Song number %d.mp3", n/100, n/10, n%10, n), Title: fmt.Sprintf("Song number %d", n), Artist: fmt.Sprintf("Artist %d", n/100),
		}))
	}
	var state State
	for _, s := range songs {
		state.Songs = state.Songs.With(s)
	}
	for name, wish := range map[string]string{"none": "no such song anywhere", "all": "song number", "title": "song number 19999", "long": "a b c d e f g h i j k l m n o p r s t u"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				state.Mean(wish)
			}
		})
	}
}

// The state of an older program, with which a folded log begins, is read whole; it has only the names of its songs.
func TestState_OlderJSON(t *testing.T) {
	const old = `{"playing":null,"queue":[{"song":"bach.mp3","requestId":"bob#1","listener":"bob"}],"songs":["bach.mp3","later.mp3"],"answered":[]}`
	const want = `{"playing":null,"queue":[{"song":"bach.mp3","requestId":"bob#1","listener":"bob"}],"songs":["bach.mp3","later.mp3"],` +
		`"rules":{"queue":"fifo","requestsEach":0,"skipVotes":0},"answered":[]}`
	var state State
	if err := json.Unmarshal([]byte(old), &state); err != nil {
		t.Fatal(err)
	}
	if got := text(t, state); got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
	if m := state.Mean("LATER"); m.Song != "later.mp3" {
		t.Errorf("it finds %+v", m)
	}
	state = state.Apply(&messages.BroadcastOpened{Rules: &messages.QueueRules{Order: messages.QueueOrder_QUEUE_ORDER_FAIR}})
	if len(state.Queue) != 1 || state.Rules.Order != Fair {
		t.Errorf("under other rules it is %s", text(t, state))
	}
}
