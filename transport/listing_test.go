package transport

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func listing(word, asked string, lines []string, none string, most int) []string {
	return longList{word: word, lines: lines, none: none, page: pageSize}.listing(asked, most)
}

func songNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("song %d %s.mp3", i+1, []string{"Für Elise", "Air"}[i%2])
	}
	return names
}

func TestListing(t *testing.T) {
	const none = "nothing"
	for _, test := range []struct {
		name  string
		songs int
		asked string
		most  int
		lines int
		first string
		last  string
	}{
		{"none", 0, "", 0, 1, none, none},
		{"none of a page", 0, "7", 0, 1, none, none},
		{"all", 3000, "", 0, 3000, "1. song 1 Für Elise.mp3", "3000. song 3000 Air.mp3"},
		{"all that fit", 3000, "", maxAnswer, 3000, "1. song 1 Für Elise.mp3", "3000. song 3000 Air.mp3"},
		{
			"too many", 3000, "", 20_000, 601, "1. song 1 Für Elise.mp3",
			"... and 2400 more: SONGS 4 shows the next ones, SONGS <words> those that have the words in their names",
		},
		{"first page", 3000, "1", maxAnswer, pageSize + 1, "1. song 1 Für Elise.mp3", "... and 2800 more: SONGS 2 shows the next ones"},
		{"a page", 3000, "4", maxAnswer, pageSize + 1, "601. song 601 Für Elise.mp3", "... and 2200 more: SONGS 5 shows the next ones"},
		{"last page", 2999, "15", 0, 199, "2801. song 2801 Für Elise.mp3", "2999. song 2999 Für Elise.mp3"},
		{"the only page", 3, "1", 0, 3, "1. song 1 Für Elise.mp3", "3. song 3 Für Elise.mp3"},
		{"no such page", 2999, "30000", 0, 1, "There is no page 30000: say SONGS 1 to SONGS 15", ""},
		{"a number in a name", 2999, "1984", 0, 1, "1984. song 1984 Air.mp3", ""},
		{"page 0", 3, "0", 0, 1, "There is no page 0: say SONGS 1", ""},
		{"words", 3000, "FÜR 2999", 0, 1, "2999. song 2999 Für Elise.mp3", ""},
		{"half a word", 30, "eli", 0, 15, "1. song 1 Für Elise.mp3", "29. song 29 Für Elise.mp3"},
		{"no such word", 30, "bach", 0, 1, `None of 30 has "bach" in its name: SONGS shows all`, ""},
		{"too many with the words", 3000, "air", 300, 14, "2. song 2 Air.mp3", "... and 1487 more: add another word of the name"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := listing("SONGS", test.asked, songNames(test.songs), none, test.most)
			if len(got) != test.lines || got[0] != test.first || test.last != "" && got[len(got)-1] != test.last {
				t.Errorf("%d lines, %q to %q; want %d, %q to %q", len(got), got[0], got[len(got)-1], test.lines, test.first, test.last)
			}
			if test.most > 0 && fitting(got[:len(got)-1], test.most) < len(got)-1 {
				t.Errorf("they are more than %d bytes", test.most)
			}
		})
	}
}

// A list that is cut off says what to type, and that continues where it was cut.
func TestListing_GoesOn(t *testing.T) {
	names := make([]string, 3000)
	for i := range names {
		names[i] = fmt.Sprintf("%d%s.mp3", i, strings.Repeat("x", maxWish-10))
	}
	want := listing("SONGS", "", names, "", 0)
	var got []string
	for asked := ""; ; {
		lines := listing("SONGS", asked, names, "", maxAnswer)
		if fitting(lines[:len(lines)-1], maxAnswer) < len(lines)-1 {
			t.Fatalf("SONGS %s is too long", asked)
		}
		last := lines[len(lines)-1]
		if !strings.HasPrefix(last, "... and ") {
			got = append(got, lines...)
			break
		}
		got = append(got, lines[:len(lines)-1]...)
		_, asked, _ = strings.Cut(last, ": SONGS ")
		asked, _, _ = strings.Cut(asked, " ")
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d lines, want %d", len(got), len(want))
	}
}
