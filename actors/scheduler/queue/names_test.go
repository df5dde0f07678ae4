package queue

import (
	"fmt"
	"testing"

	"golang.org/x/text/unicode/norm"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/messages"
	"conga/messages/plain"
)

// odd lists odd names that people do give their files.
var odd = []string{
	"TRACK01.MP3", " leading space.mp3", "trailing space .mp3", "ideographic\u3000space.mp3", "no-break\u00a0space.mp3",
	"family\U0001F468\u200d\U0001F469\u200d\U0001F467.mp3", "persian می\u200cخواهم.mp3", "soft\u00adhyphen.mp3", "Artist/Album/a tone.FLAC", "a tone.ogg",
	"mac cafe\u0301.mp3", "windows café.mp3", "two  spaces.mp3", "tab\tin it.mp3", "a\u202etxt.mp3", "\u200bzero width.mp3",
	"3. numbered.mp3", "7.mp3", "07.mp3", "x.mp3.mp3", "İstanbul.mp3", "Straße.Mp3", "O\u2019Brien.mp3", "한국어.mp3", "\u1112\u1161\u11ab.mp3",
}

// Every song can be requested by what SONGS shows, with the extension or without, with accents composed or not. If
// several look alike, one after the other is requested.
func TestState_Find_WhatIsShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.OneOf(rapid.SampledFrom(odd), rapid.Map(rapid.StringN(1, 12, 60), func(s string) string {
			return s + ".mp3"
		})), 1, 12, rapid.ID).Draw(t, "names")
		var state State
		for _, name := range names {
			state = state.Apply(add(name))
		}
		form := rapid.SampledFrom([]norm.Form{norm.NFC, norm.NFD}).Draw(t, "form")
		for _, name := range names {
			typed := form.String(plain.Text(name, maxShown))
			song, exists := state.Find(typed)
			if !exists || look(song) != look(name) {
				t.Fatalf("%q is shown as %q; asked for so, it is %q, %v", name, plain.Text(name, maxShown), song, exists)
			}
			if song, exists = state.Find(name); !exists || song != name {
				t.Fatalf("%q is %q, %v", name, song, exists)
			}
		}
		for n := range names { // if its name is asked for again and again, each song is requested in the end
			typed := plain.Text(state.Songs.At(n).Name, maxShown)
			song, _ := state.Find(typed)
			state = state.Apply(&messages.SongQueued{RequestId: fmt.Sprint(n), Song: song})
		}
		if len(state.Queue) != len(names) {
			t.Fatalf("%d of %q are requested: %v", len(state.Queue), names, state.Queue)
		}
		for i, r := range state.Queue {
			for _, other := range state.Queue[:i] {
				if r.Song == other.Song {
					t.Fatalf("%q was found twice in %q", r.Song, names)
				}
			}
		}
	})
}

func TestState_Find(t *testing.T) {
	var state State
	for _, name := range odd {
		state = state.Apply(add(name))
	}
	for wish, want := range map[string]string{
		"track01": "TRACK01.MP3", "Track01.mp3": "TRACK01.MP3", "leading space": " leading space.mp3", "ideographic space": "ideographic\u3000space.mp3",
		"mac café": "mac cafe\u0301.mp3", "windows cafe\u0301": "windows café.mp3", "softhyphen": "soft\u00adhyphen.mp3",
		"3. numbered": "3. numbered.mp3", "7": "7.mp3", "x.mp3": "x.mp3.mp3", "STRASSE": "", "straße": "Straße.Mp3",
		"12. mac café.mp3": "mac cafe\u0301.mp3", "1": " leading space.mp3", "99": "", "": "", ".mp3": "",
		"한국어": "한국어.mp3", "persian میخواهم": "persian می\u200cخواهم.mp3", "한": "\u1112\u1161\u11ab.mp3",
	} {
		if got, exists := state.Find(wish); got != want || exists != (want != "") {
			t.Errorf("%q is %q, want %q", wish, got, want)
		}
	}
}

// BenchmarkState_AllVanish is a folder of 20,000 songs that is emptied: no other actor's work may wait long for that.
func BenchmarkState_AllVanish(b *testing.B) {
	var full State
	var events []proto.Message
	for n := range 20_000 {
		name := fmt.Sprintf("Artist %d/Album %d/%02d Some Song.mp3", n/100, n/10%10, n%10)
		full = full.Apply(&messages.SongAdded{Song: &messages.Song{Name: name, Title: fmt.Sprint("Song ", n), Artist: "Artist"}})
		events = append(events, &messages.SongRemoved{Name: name})
	}
	for b.Loop() {
		s := full
		for _, e := range events {
			s = s.Apply(e)
		}
	}
}

// A list asks an element for its key at each comparison, so that must not build one.
func TestSpelling_KeyCostsNothing(t *testing.T) {
	s := spelled("Artist/Album/A Song.mp3")
	if n := testing.AllocsPerRun(100, func() { _ = s.Key() }); n != 0 {
		t.Errorf("a key takes %v allocations", n)
	}
	if stem, name := s.parts(); stem != "artist/album/a song" || name != "Artist/Album/A Song.mp3" {
		t.Errorf("%q is %q and %q", s, stem, name)
	}
}
