package screen

import (
	"fmt"
	"math"
	"time"

	"charm.land/lipgloss/v2"

	"conga/messages/plain"
)

// maxText is the longest text that the screen takes, in bytes. No terminal is
// so wide.
const maxText = 1024

// clean makes text from tags, peers and libraries safe for a terminal.
func clean(text string) string { return plain.Text(text, maxText) }

// clock is a duration as players show it: 3:07, 1:02:09.
func clock(d time.Duration) string {
	s := int(max(0, d).Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// called is a song's name for people.
func called(song, title, artist string) string {
	switch title, artist = clean(title), clean(artist); {
	case title == "":
		return clean(song)
	case artist == "":
		return title
	default:
		return title + " · " + artist
	}
}

// headline is the song that is heard.
func (s Snapshot) headline() string {
	switch {
	case s.Song == "" && s.Away != "":
		return "nothing is broadcast: " + clean(s.Away)
	case s.Song == "":
		return "nothing plays yet"
	}
	return called(s.Song, s.Title, s.Artist)
}

// asked says why the song is on.
func (s Snapshot) asked() string {
	switch {
	case s.Song == "":
		return ""
	case s.Asked == "":
		return "chosen at random"
	}
	return "asked for by " + clean(s.Asked)
}

// votes says how many want to skip the song; "" if nobody does.
func (s Snapshot) votes() string {
	if s.Song == "" || s.Votes == 0 || s.Needed == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d want to skip it", s.Votes, s.Needed)
}

// beside is what stands beside the song, as much as fits into so many cells; the votes are news, so they come first.
func (s Snapshot) beside(width int) string {
	asked, votes := s.asked(), s.votes()
	if votes == "" {
		return asked
	}
	if both := asked + ", " + votes; lipgloss.Width(both) <= width {
		return both
	}
	return votes
}

// quietest is where the meters begin, in decibels below the loudest.
const quietest = 40.0

// decibels is a level as ears take it, from 0 to 1.
func decibels(level float64) float64 {
	if level <= 0 {
		return 0
	}
	return min(1, max(0, 1+20*math.Log10(level)/quietest))
}
