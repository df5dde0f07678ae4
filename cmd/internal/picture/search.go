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

// Search finds the songs that PLAY finds by the words, all without words, and returns a page from number `from` on.
func Search(s actors.ServerState, words string, from int) Found {
	waits := map[string]bool{}
	for _, r := range s.Scheduler.Queue {
		waits[r.Song] = true
	}
	found := Found{Songs: []Song{}, From: from}
	here := func() bool { found.Total++; return found.Total > from && len(found.Songs) < pageOfSongs }
	add := func(number int, song *Song) {
		song.Waits, song.Number = waits[song.Name], number
		found.Songs = append(found.Songs, *song)
	}
	if strings.TrimSpace(words) != "" {
		for number, song := range s.Scheduler.Having(words) {
			if here() {
				add(number, made(song.Name, song.Title, song.Artist, song.DurationUs))
			}
		}
		return found
	}
	number := 0
	for song := range s.Catalog.Songs.All() {
		if number++; here() {
			add(number, madeOf(song))
		}
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
