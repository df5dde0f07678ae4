package picture

import (
	"strings"

	"conga/actors"
	"conga/messages"
	"conga/messages/plain"
)

// pageOfSongs is how many songs one answer has.
const pageOfSongs = 60

// Found has some of the songs that a search found.
type Found struct {
	Songs []Song `json:"songs"`
	From  int    `json:"from"`
	Total int    `json:"total"`
}

// Search finds the songs that have all the words in title, artist or file name, and returns a page from number `from` on.
func Search(s actors.ServerState, words string, from int) Found {
	asked := wordsOf(words)
	waits := map[string]bool{}
	for _, r := range s.Scheduler.Queue {
		waits[r.Song] = true
	}
	found := Found{Songs: []Song{}, From: from}
	number := 0
	for song := range s.Catalog.Songs.All() {
		number++
		if !hasAll(song.Name+" "+song.Title+" "+song.Artist, asked) {
			continue
		}
		if found.Total >= from && len(found.Songs) < pageOfSongs {
			one := *madeOf(song)
			one.Waits, one.Number = waits[song.Name], number
			found.Songs = append(found.Songs, one)
		}
		found.Total++
	}
	return found
}

func alike(s string) string { return strings.ToLower(plain.Alike(s, messages.MaxLine)) }

func wordsOf(text string) []string { return strings.Fields(alike(text)) }

// Match says whether a text has all the words, in any case.
func Match(text, words string) bool { return hasAll(text, wordsOf(words)) }

func hasAll(text string, words []string) bool {
	if len(words) == 0 {
		return true
	}
	text = alike(text)
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
