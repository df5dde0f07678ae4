package transport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"conga/messages"
	"conga/messages/plain"
)

// pageSize is how many lines a page of a list has: with the longest names it fits into an Answer.
const pageSize = 200

// maxAnswer is how much of a list goes into one Answer: with all its quoting it stays
// below maxReply.
const maxAnswer = 256 << 10

// maxListed is how long a name and what there is to say of it may be.
const maxListed = maxWish + maxReason + 16

// listing answers SONGS and REQUESTS (word) out of the names, which are numbered as PLAY takes them.
// asked is what was said behind the word: nothing, for all; a number, for that page; or else, and where
// there is no such page, words that a name must have. Of all of them no more than `most` bytes are
// shown, in whole pages; 0 means no end.
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

// all is the whole list, or so many of its first pages as fit.
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

// having are the lines of the names that have all the words; none if there is no such name.
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

// numbered are the lines of the names from first up to last.
func numbered(names []string, first, last int) []string {
	lines := make([]string, 0, last-first+1)
	for i := first; i < last; i++ {
		lines = append(lines, fmt.Sprintf("%d. %s", i+1, plain.Text(names[i], maxListed)))
	}
	return lines
}

// fitting is how many of the lines have room in `most` bytes; 0 is no limit.
func fitting(lines []string, most int) int {
	size := 0
	for i, line := range lines {
		if size += len(line) + 4; most > 0 && size > most {
			return i
		}
	}
	return len(lines)
}

// listed is listing of a room's answer.
func listed(word, asked string, answer any, none string, most int) []string {
	names, is := answer.(*messages.List)
	if !is {
		return []string{sayBusy}
	}
	shown := names.Names // others may hold it, too
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
