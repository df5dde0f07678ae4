package transport

import (
	"fmt"
	"strings"
	"time"

	"conga/messages"
	"conga/messages/plain"
)

// The sentences of the program of 2016, and some more.
const (
	knownWords  = "Say SONGS, REQUESTS, PLAY <name or number>, CANCEL, SKIP, HISTORY, WHO, HELP or QUIT."
	sayBusy     = "The server is busy, try again later"
	sayNoSongs  = "No songs at this time"
	sayNoWishes = "No requests at this time"
	sayNoHeard  = "Nothing has been heard yet"
	sayNobody   = "Nobody listens at this time"
	sayWhich    = "Say which song: PLAY <name or number>"
	sayQueued   = "Song %s has been requested!"
	sayUnsure   = " But it is not on the server's disk yet: if the server ends before that, the request is lost"
	sayAlready  = "Song has already been requested"
	sayNoSuch   = "Song does not exist"
	sayFull     = "The queue is full, try again later"
	saySeveral  = "Several songs match %q: play one by its number."
	sayMore     = "... and %d more: say more of the name"
	sayYourMany = "You have %d songs waiting. CANCEL one, or wait until one has played."
	sayYourOne  = "You have a song waiting. CANCEL it, or wait until it has played."
	sayHomeMany = "Those of your address have %d songs waiting. Cancel one, or wait until some have played."
	sayNoToken  = "No token is needed"
	sayTooFast  = "Too many requests: you may ask %g times a second"
	sayTooMany  = "Too many requests from you or your address: you may request %g songs a minute"
	sayTooLong  = "A song's name has at most %d bytes"
)

// TurnOf says when a request is to be heard; "" if it is not in the queue any more.
func TurnOf(turn messages.Turn) string {
	switch {
	case turn.Place == 0:
		return ""
	case turn.Reason != "":
		return fmt.Sprintf("It waits, %s in the queue: %s.", Ordinal(turn.Place), plain.Text(turn.Reason, maxReason))
	case turn.In < 0:
		return fmt.Sprintf("It is %s in the queue.", Ordinal(turn.Place))
	}
	return fmt.Sprintf("It plays %s, %s in the queue.", in(turn), Ordinal(turn.Place))
}

// in is "in 2:10" or "in about 2:10".
func in(turn messages.Turn) string {
	if turn.About {
		return "in about " + clock(turn.In)
	}
	return "in " + clock(turn.In)
}

// clock is a span as clocks show it, in whole seconds.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// ago is how long something is past, roughly.
func ago(d time.Duration) string {
	switch minutes := int(d.Minutes()); {
	case minutes < 1:
		return "less than a minute"
	case minutes < 60:
		return fmt.Sprintf("%d min", minutes)
	case minutes < 48*60:
		return fmt.Sprintf("%d h %d min", minutes/60, minutes%60)
	default:
		return fmt.Sprintf("%d days", minutes/60/24)
	}
}

// Ordinal is a number that says a place: third.
func Ordinal(n int) string {
	first := []string{"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"}
	if n >= 1 && n <= len(first) {
		return first[n-1]
	}
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, suffix)
}

// maxAbout is how much is shown of a title, and of an artist.
const maxAbout = 80

// about is a song's title and artist, "" if neither is known.
func about(song *messages.Song) string {
	title, artist := plain.Text(song.GetTitle(), maxAbout), plain.Text(song.GetArtist(), maxAbout)
	if title == "" || artist == "" {
		return title + artist
	}
	return title + " – " + artist
}

// choice is a line of a numbered choice.
func choice(c messages.Choice) string {
	name := oneLine(c.Song.GetName())
	if about := about(c.Song); about != "" {
		return fmt.Sprintf("%d  %s (%s)", c.Number, about, name)
	}
	return fmt.Sprintf("%d  %s", c.Number, name)
}

// refusal says why a request was not taken. Who is terse knows only what the seed document says, and that words fail.
func (t *requestTalk) refusal(wish string, waiting int, refused *messages.PlayRefused, meant messages.Meaning) (lines []string, several bool) {
	switch refused.GetReason() {
	case messages.PlayRefused_REASON_ALREADY_REQUESTED:
		return []string{sayAlready}, false
	case messages.PlayRefused_REASON_NO_SUCH_SONG:
		return []string{sayNoSuch}, false
	case messages.PlayRefused_REASON_QUEUE_FULL:
		return []string{sayFull}, false
	case messages.PlayRefused_REASON_AMBIGUOUS:
		if t.terse() {
			return []string{sayNoSuch}, false
		}
		lines = []string{fmt.Sprintf(saySeveral, oneLine(wish))}
		for _, c := range meant.Choices {
			lines = append(lines, choice(c))
		}
		if meant.More > 0 {
			lines = append(lines, fmt.Sprintf(sayMore, meant.More))
		}
		return lines, true
	case messages.PlayRefused_REASON_TOO_MANY_OF_PERSON:
		if waiting == 1 {
			return []string{sayYourOne}, false
		}
		return []string{fmt.Sprintf(sayYourMany, waiting)}, false
	case messages.PlayRefused_REASON_TOO_MANY_OF_ADDRESS:
		return []string{fmt.Sprintf(sayHomeMany, waiting)}, false
	}
	return []string{sayBusy}, false
}

// cancelled says what became of a CANCEL.
func cancelled(answer *messages.CancelAnswer) string {
	switch answer.Refused {
	case messages.CancelDone:
		return fmt.Sprintf("Song %s has been cancelled", oneLine(answer.Song))
	case messages.CancelNone:
		return "You have no song waiting"
	case messages.CancelNotYours:
		return "Somebody else asked for that song: only they may cancel it"
	case messages.CancelSeveral:
		return "Several songs match: say CANCEL and a number of REQUESTS"
	}
	return "That song is not waiting: REQUESTS shows what is"
}

// skipped says what became of a SKIP.
func skipped(answer *messages.SkipAnswer) string {
	song := oneLine(answer.Song)
	switch answer.Result {
	case messages.SkipOff:
		return "Nobody can skip songs here: the host starts the radio with --skip-votes to allow it"
	case messages.SkipNothing:
		return "No song is on"
	case messages.SkipOver:
		return "The song is about to end"
	case messages.SkipAgain:
		return fmt.Sprintf("You have voted: %d of %d want to skip %s", answer.Votes, answer.Needed, song)
	case messages.SkipHousehold:
		return fmt.Sprintf("Those of your address have all the votes that one address has: %d of %d want to skip %s", answer.Votes, answer.Needed, song)
	case messages.SkipCounted:
		return fmt.Sprintf("%d of %d want to skip %s", answer.Votes, answer.Needed, song)
	}
	return fmt.Sprintf("%s is skipped", song)
}

// heard says of a song that was heard when that was and who wanted it.
func heard(h messages.HeardSong, now int64) string {
	var notes []string
	if about := about(h.Song); about != "" {
		notes = append(notes, about)
	}
	if h.By != "" {
		notes = append(notes, "for "+oneLine(h.By))
	}
	switch h.How {
	case messages.Heard_HEARD_ENOUGH:
		notes = append(notes, "skipped")
	case messages.Heard_HEARD_MOST, messages.Heard_HEARD_LITTLE:
		notes = append(notes, "broke off")
	}
	when := "now"
	if h.Over {
		when = ago(time.Duration(now-h.PlayAtUs)*time.Microsecond) + " ago"
	}
	return noted(h.Song.GetName(), append(notes, when))
}

// waiting says of a request whose it is and when it plays.
func waiting(w messages.Waiting) string {
	var notes []string
	if about := about(w.Song); about != "" {
		notes = append(notes, about)
	}
	if w.By != "" {
		notes = append(notes, "for "+oneLine(w.By))
	}
	switch {
	case w.Turn.Reason != "":
		notes = append(notes, "waits: "+plain.Text(w.Turn.Reason, maxReason))
	case w.Turn.In >= 0:
		notes = append(notes, in(w.Turn))
	}
	return noted(w.Song.GetName(), notes)
}

func noted(name string, notes []string) string {
	if len(notes) == 0 {
		return oneLine(name)
	}
	return oneLine(name) + " (" + strings.Join(notes, ", ") + ")"
}
