package transport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"conga/messages"
	"conga/messages/plain"
)

// pageSize is how many lines a page of a list has: with the longest names it fits into an Answer.
const pageSize = 200

// maxAnswer is how much of a list goes into one Answer: with all its quoting it stays
// below maxReply.
const maxAnswer = 256 << 10

// maxListed is how long a line of a list may be, without its number.
const maxListed = maxWish + maxReason + 16

// longList is something that is shown by pages, numbered.
type longList struct {
	word  string // that asks for it
	lines []string
	none  string                        // there is nothing to show
	page  int                           // lines of a page
	about func(lines []string) []string // adds more to lines that are shown; nil: nothing
}

// told are lines with more about them.
func (l longList) told(lines []string) []string {
	if l.about == nil {
		return lines
	}
	return l.about(lines)
}

// listing answers the list's word. asked is what was said behind it: nothing, for all; a number, for
// that page; or else, and where there is no such page, words that a line must have. Of all of them no more than
// `most` bytes are shown, in whole pages; 0 means no end.
func (l longList) listing(asked string, most int) []string {
	switch lines, is := l.paged(asked); {
	case len(l.lines) == 0:
		return []string{l.none}
	case asked == "":
		return l.all(most)
	case is:
		return lines
	}
	if lines := l.having(asked, most); len(lines) > 0 {
		return lines
	}
	return []string{l.nothing(asked, len(l.lines))}
}

func (l longList) pages() int { return (len(l.lines) + l.page - 1) / l.page }

// paged is the page that was asked for; false if there is no such page.
func (l longList) paged(asked string) (lines []string, is bool) {
	page, err := strconv.Atoi(asked)
	if err != nil || page < 1 || page > l.pages() {
		return nil, false
	}
	first := (page - 1) * l.page
	last := min(first+l.page, len(l.lines))
	lines = numbered(l.told(l.lines[first:last]), first)
	if page < l.pages() {
		lines = append(lines, fmt.Sprintf("... and %d more: %s %d shows the next ones", len(l.lines)-last, l.word, page+1))
	}
	return lines, true
}

// nothing says that none of n fits what was asked for.
func (l longList) nothing(asked string, n int) string {
	if page, err := strconv.Atoi(asked); err == nil {
		upTo := ""
		if pages := (n + l.page - 1) / l.page; pages > 1 {
			upTo = fmt.Sprintf(" to %s %d", l.word, pages)
		}
		return fmt.Sprintf("There is no page %d: say %s 1%s", page, l.word, upTo)
	}
	return fmt.Sprintf("None of %d has %q in its name: %s shows all", n, asked, l.word)
}

// all is the whole list, or so many of its first pages as fit.
func (l longList) all(most int) []string {
	all := len(l.lines)
	lines := l.lines[:fitting(l.lines, most)] // with their numbers no more fit
	lines = numbered(l.told(lines), 0)
	fit := fitting(lines, most)
	if fit == all {
		return lines
	}
	pages := max(fit/l.page, 1)
	shown := min(pages*l.page, len(lines))
	return append(lines[:shown:shown], fmt.Sprintf("... and %d more: %s %d shows the next ones, %s <words> those that have the words in their names",
		all-shown, l.word, pages+1, l.word))
}

// having are the lines that have all the words; none if there is no such line.
func (l longList) having(asked string, most int) []string {
	words := strings.Fields(strings.ToLower(plain.Alike(asked, messages.MaxLine)))
	var lines []string
	for i, line := range l.lines {
		lower := strings.ToLower(plain.Alike(line, maxListed))
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(lower, w) }) {
			lines = append(lines, numbered(l.lines[i:i+1], i)...)
		}
	}
	return someOf(lines, len(lines), most)
}

// someOf are so many of the lines as fit; there are total of them.
func someOf(lines []string, total, most int) []string {
	fit := fitting(lines, most)
	if fit == total {
		return lines
	}
	return append(lines[:fit:fit], fmt.Sprintf("... and %d more: add another word of the name", total-fit))
}

// numbered are the lines with their numbers, the first of which comes after `before`.
func numbered(lines []string, before int) []string {
	all := make([]string, 0, len(lines)+1)
	for i, line := range lines {
		all = append(all, fmt.Sprintf("%d. %s", before+i+1, plain.Text(line, maxListed)))
	}
	return all
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

// pageOfHistory is how many songs a page of HISTORY has.
const pageOfHistory = 20

// names are those of all songs; nil: the catalog does not answer.
func (t *requestTalk) names() *messages.List {
	answer, _ := ask(t.life, t.root, t.cfg.Catalog, &messages.ListSongs{})
	names, _ := answer.(*messages.List)
	return names
}

// search looks into the library, in its turn; false: it cannot be had.
func (t *requestTalk) search(look func(messages.Library)) bool {
	answer, _ := ask(t.life, t.root, t.cfg.Scheduler, &messages.AskLibrary{})
	library, is := answer.(messages.Library)
	if !is {
		return false
	}
	select {
	case t.pace.searches <- struct{}{}:
		defer func() { <-t.pace.searches }()
		look(library)
		return true
	case <-t.life.Done():
		return false
	}
}

// songs are all songs, a page of them, or those that fit the words.
func (t *requestTalk) songs(asked string, most int) []string {
	names := t.names()
	if names == nil {
		return []string{sayBusy}
	}
	l := longList{word: "SONGS", lines: names.Names, none: sayNoSongs, page: pageSize}
	if t.node != nil && !t.terse() { // nc gets the list of the program of 2016: names alone
		l.about = t.titles
	}
	if page, is := l.paged(asked); is || asked == "" || len(l.lines) == 0 {
		if is {
			return page
		}
		return l.listing("", most)
	}
	var found messages.FoundSongs
	switch {
	case !t.search(func(l messages.Library) { found = l.Search(asked) }):
		return []string{sayBusy}
	case len(found.Songs) == 0:
		return []string{l.nothing(asked, len(l.lines))}
	}
	lines := make([]string, len(found.Songs))
	for i, c := range found.Songs {
		var notes []string
		if about := about(c.Song); about != "" {
			notes = []string{about}
		}
		lines[i] = fmt.Sprintf("%d. %s", c.Number, noted(c.Song.GetName(), notes))
	}
	return someOf(lines, len(lines)+found.More, most)
}

// titles adds title and artist to names of songs, where they are known.
func (t *requestTalk) titles(names []string) []string {
	lines := slices.Clone(names)
	t.search(func(l messages.Library) {
		for i, name := range names {
			if about := about(l.Song(name)); about != "" {
				lines[i] = noted(name, []string{about})
			}
		}
	})
	return lines
}

func (t *requestTalk) requests(asked string, most int) []string {
	answer, _ := ask(t.life, t.root, t.cfg.Scheduler, &messages.ListRequests{AtUnixUs: t.now()})
	queue, is := answer.(*messages.Requests)
	if !is {
		return []string{sayBusy}
	}
	l := longList{word: "REQUESTS", lines: make([]string, len(queue.Waiting)), none: sayNoWishes, page: pageSize}
	for i, w := range queue.Waiting {
		if l.lines[i] = w.Song.GetName(); !t.terse() {
			l.lines[i] = waiting(w)
		}
	}
	return l.listing(asked, most)
}

func (t *requestTalk) history(asked string, most int) []string {
	now := t.now()
	answer, _ := ask(t.life, t.root, t.cfg.Scheduler, &messages.ListHistory{AtUnixUs: now})
	history, is := answer.(*messages.History)
	if !is {
		return []string{sayBusy}
	}
	l := longList{word: "HISTORY", lines: make([]string, len(history.Heard)), none: sayNoHeard, page: pageOfHistory}
	for i, h := range history.Heard {
		l.lines[i] = heard(h, now)
	}
	if asked == "" {
		asked = "1"
	}
	return l.listing(asked, most)
}

// who are the listeners. Addresses are nobody's business.
func (t *requestTalk) who(asked string, most int) []string {
	answer, _ := ask(t.life, t.root, t.cfg.Chain, &messages.ListListeners{})
	chain, is := answer.(*messages.Listeners)
	if !is {
		return []string{sayBusy}
	}
	now := t.now()
	l := longList{word: "WHO", lines: make([]string, len(chain.Listeners)), none: sayNobody, page: pageSize}
	for i, n := range chain.Listeners {
		var notes []string
		if n.SinceUs > 0 {
			notes = []string{"for " + ago(time.Duration(now-n.SinceUs)*time.Microsecond)}
		}
		l.lines[i] = noted(n.Name, notes)
	}
	return l.listing(asked, most)
}
