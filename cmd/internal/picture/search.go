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
	asked := strings.Fields(alike(words))
	waits := map[string]bool{}
	for _, r := range s.Scheduler.Queue {
		waits[r.Song] = true
	}
	found := Found{Songs: []Song{}, From: from}
	for song := range s.Catalog.Songs.All() {
		if len(asked) > 0 && !hasAll(alike(song.Name+" "+song.Title+" "+song.Artist), asked) {
			continue
		}
		if found.Total >= from && len(found.Songs) < pageOfSongs {
			one := *madeOf(song)
			one.Waits = waits[song.Name]
			found.Songs = append(found.Songs, one)
		}
		found.Total++
	}
	return found
}

func alike(s string) string { return strings.ToLower(plain.Alike(s, messages.MaxLine)) }

func hasAll(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
