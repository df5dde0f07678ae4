package scheduler

import (
	"regexp"
	"strconv"
	"strings"

	"conga/messages/plain"
)

// maxShown is how much of a name is looked at: SONGS shows no more, and no file's name is longer.
const maxShown = 255

// Name is the name of a song's file.
type Name string

// Key is the name.
func (n Name) Key() string { return string(n) }

// spelling is one way to find a song: by what all spellings of its name have in common.
type spelling struct {
	stem string
	name string
}

// Key is the spelling, and the name to tell apart those who share it.
func (s spelling) Key() string { return s.stem + "\x00" + s.name }

func spelled(name string) spelling { return spelling{folded(name), name} }

// shown is the name as SONGS shows it, its accents composed: what a screen shows is typed or pasted
// by other programs, which compose them.
func shown(name string) string { return plain.Composed(name, maxShown) }

// stem is the name as it is shown, without .mp3, however that is written.
func stem(name string) string {
	name = shown(name)
	if at := len(name) - len(".mp3"); at > 0 && strings.EqualFold(name[at:], ".mp3") {
		return shown(name[:at])
	}
	return name
}

func folded(name string) string { return strings.ToLower(stem(name)) }

// likeness says how well the wish names the song: the less the better.
func likeness(wish, name string) int {
	switch {
	case wish == name:
		return 0
	case wish+".mp3" == name:
		return 1
	case shown(wish) == shown(name):
		return 2
	case shown(wish) == stem(name):
		return 3
	}
	return 4 // but for capital letters
}

// Find returns the song that a wish means, if there is one: its name as SONGS shows it, with or
// without the extension, or its number there. A name that is itself a number beats the number.
// Of several songs that look alike, the one that does not wait in the queue yet is meant.
func (s State) Find(wish string) (song string, exists bool) {
	if song, exists = s.named(wish); exists {
		return song, true
	}
	if number, err := strconv.Atoi(wish); err == nil && number >= 1 && number <= s.Songs.Len() {
		return string(s.Songs.At(number - 1)), true
	}
	if line := songsLine.FindStringSubmatch(wish); line != nil {
		return s.named(line[1])
	}
	return "", false
}

// songsLine is a whole line of SONGS.
var songsLine = regexp.MustCompile(`^[0-9]+\. +(.+)$`)

func (s State) named(wish string) (song string, exists bool) {
	best, queued := 0, false
	for _, meant := range []string{folded(wish), strings.ToLower(shown(wish))} { // "a.mp3" may be short for "a.mp3.mp3"
		for candidate := range s.spellings.From(meant + "\x00") {
			if candidate.stem != meant {
				break
			}
			like, waits := likeness(wish, candidate.name), s.waits(candidate.name)
			if !exists || like < best || like == best && queued && !waits {
				song, exists, best, queued = candidate.name, true, like, waits
			}
		}
	}
	return song, exists
}
