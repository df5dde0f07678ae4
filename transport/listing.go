package transport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"conga/messages"
	"conga/messages/plain"
)

// pageSize is how many lines a page of a list has. A page of the longest names fits into an Answer.
const pageSize = 200

// maxAnswer is how many bytes of a list go into one Answer. With all its quoting it stays
// below maxReply.
const maxAnswer = 256 << 10

// maxListed is the greatest length of a name with its note, in bytes.
const maxListed = maxWish + maxReason + 16

// listing answers SONGS or REQUESTS (word) with the names, numbered as PLAY takes them. asked is the text
// after the word: empty for all names, a number for that page; otherwise, or if there is no such page, words
// that the names must contain. The whole list is cut after `most` bytes, at the end of a page; 0 means no
// limit.
func listing(word, asked string, names []string, none string, most int) []string {
	pages := (len(names) + pageSize - 1) / pageSize
	page, err := strconv.Atoi(asked)
	switch {
	case len(names) == 0:
		return []string{none}
	case asked == "":
		return all(word, names, most)
	case err != nil || page < 1 || page > pages:
		if lines := having(asked, names, most); len(lines) > 0 {
			return lines
		}
		if err == nil {
			return []string{fmt.Sprintf("There is no page %d: say %s 1%s", page, word, upTo(word, pages))}
		}
		return []string{fmt.Sprintf("None of %d has %q in its name: %s shows all", len(names), asked, word)}
	}
	first := (page - 1) * pageSize
	last := min(first+pageSize, len(names))
	lines := numbered(names, first, last)
	if page < pages {
		lines = append(lines, fmt.Sprintf("... and %d more: %s %d shows the next ones", len(names)-last, word, page+1))
	}
	return lines
}

func upTo(word string, pages int) string {
	if pages == 1 {
		return ""
	}
	return fmt.Sprintf(" to %s %d", word, pages)
}

// all returns the whole list, or as many of its first pages as fit.
func all(word string, names []string, most int) []string {
	lines := numbered(names, 0, len(names))
	fit := fitting(lines, most)
	if fit == len(lines) {
		return lines
	}
	pages := max(fit/pageSize, 1)
	shown := min(pages*pageSize, len(lines))
	return append(lines[:shown:shown], fmt.Sprintf("... and %d more: %s %d shows the next ones, %s <words> those that have the words in their names",
		len(lines)-shown, word, pages+1, word))
}

// having returns the lines of the names that contain all the words; none if there is no such name.
func having(asked string, names []string, most int) []string {
	words := strings.Fields(strings.ToLower(plain.Alike(asked, messages.MaxLine)))
	var lines []string
	for i, name := range names {
		lower := strings.ToLower(plain.Alike(name, maxListed))
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(lower, w) }) {
			lines = append(lines, numbered(names, i, i+1)...)
		}
	}
	if fit := fitting(lines, most); fit < len(lines) {
		return append(lines[:fit:fit], fmt.Sprintf("... and %d more: add another word of the name", len(lines)-fit))
	}
	return lines
}

// numbered returns the lines of the names from index first up to, not including, last.
func numbered(names []string, first, last int) []string {
	lines := make([]string, 0, last-first+1)
	for i := first; i < last; i++ {
		lines = append(lines, fmt.Sprintf("%d. %s", i+1, plain.Text(names[i], maxListed)))
	}
	return lines
}

// fitting returns how many of the lines fit into `most` bytes; 0 means no limit.
func fitting(lines []string, most int) int {
	size := 0
	for i, line := range lines {
		if size += len(line) + 4; most > 0 && size > most {
			return i
		}
	}
	return len(lines)
}

// listed is listing for an actor's answer.
func listed(word, asked string, answer any, none string, most int) []string {
	names, is := answer.(*messages.List)
	if !is {
		return []string{sayBusy}
	}
	shown := names.Names // shared with others
	for i, note := range names.Notes {
		if i == 0 {
			shown = slices.Clone(shown)
		}
		if note != "" {
			shown[i] = fmt.Sprintf(sayWaits, oneLine(shown[i]), plain.Text(note, maxReason))
		}
	}
	return listing(word, asked, shown, none, most)
}
