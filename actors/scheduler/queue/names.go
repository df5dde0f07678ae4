package queue

import (
	"regexp"
	"strconv"
	"strings"

	"conga/messages"
	"conga/messages/plain"
)

// maxShown is how much of a name is looked at: SONGS shows no more, and no song's name is longer.
const maxShown = messages.MaxSongName

// Name is the name of a song.
type Name string

// Key is the name.
func (n Name) Key() string { return string(n) }

// spelling finds a song by what all spellings of its name have in common: that stem, and behind a zero the name, to tell
// apart the songs that share it. It is one string, because a list asks for keys all the time, and thousands of songs may
// come or go at once.
type spelling string

// Key is the whole.
func (s spelling) Key() string { return string(s) }

func (s spelling) parts() (stem, name string) {
	stem, name, _ = strings.Cut(string(s), "\x00")
	return stem, name
}

func spelled(name string) spelling { return spelling(folded(name) + "\x00" + name) }

// look is the name as SONGS shows it, with accents composed and without invisible characters: people type or paste
// what they see, and their programs do the same to it.
func look(name string) string { return plain.Alike(name, maxShown) }

// stem is the shown name without its extension, in capitals or not.
func stem(name string) string {
	name = look(name)
	if at := len(name) - len(messages.SongEnding(name)); at > 0 {
		return look(name[:at])
	}
	return name
}

func folded(name string) string { return strings.ToLower(stem(name)) }

// likeness says how well the wish names the song: a smaller number is better.
func likeness(wish, name string) int {
	switch look(wish) {
	case look(name):
		return 0
	case stem(name):
		return 1
	}
	return 2 // the capital letters differ
}

// fit says how well a song matches a wish. The song that looks most like the wish is best; of songs
// that look alike, one that does not wait in the queue; of these, the one with exactly that name.
type fit struct {
	likeness int
	waits    bool
	other    bool // it looks like the wish, but its name has other bytes
}

func (f fit) better(than fit) bool {
	switch {
	case f.likeness != than.likeness:
		return f.likeness < than.likeness
	case f.waits != than.waits:
		return !f.waits
	}
	return !f.other && than.other
}

// Find returns the song that a wish means, if there is one: its name as SONGS shows it, with or
// without the extension, or its number there. A name that is itself a number beats the number.
// Of several songs that look alike, it is the one that does not wait in the queue yet.
func (s State) Find(wish string) (song string, exists bool) {
	if song, exists = s.named(wish); exists {
		return song, true
	}
	if number, err := strconv.Atoi(wish); err == nil && number >= 1 && number <= s.Songs.Len() {
		return s.Songs.At(number - 1).Name, true
	}
	if line := songsLine.FindStringSubmatch(wish); line != nil {
		return s.named(line[1])
	}
	return "", false
}

// songsLine is a whole line of SONGS.
var songsLine = regexp.MustCompile(`^[0-9]+\. +(.+)$`)

func (s State) named(wish string) (song string, exists bool) {
	var best fit
	for _, meant := range []string{folded(wish), strings.ToLower(look(wish))} { // "a.mp3" may be short for "a.mp3.mp3"
		for candidate := range s.spellings.From(meant + "\x00") {
			stem, name := candidate.parts()
			if stem != meant {
				break
			}
			f := fit{likeness(wish, name), s.waits(name), wish != name && wish+".mp3" != name}
			if !exists || f.better(best) {
				song, exists, best = name, true, f
			}
		}
	}
	return song, exists
}
