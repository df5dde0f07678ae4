package live

import (
	"fmt"
	"time"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// Told is an event of a server's or a listener's log, in words for the screen.
type Told struct {
	Text    string // empty: not worth a line
	Trouble bool
}

// tell makes a sentence of an event. name returns the name of the node with an id.
func tell(event proto.Message, name func(id string) string) Told {
	switch e := event.(type) { // of a listener's own log
	case *messages.UpstreamLost:
		return trouble("%s feeds you no longer%s", e.GetNode().GetName(), because(e.GetReason()))
	case *messages.UpstreamConnected:
		return connected(e)
	case *messages.SearchExhausted:
		return trouble("nobody above can feed you now; asking all of them again")
	case *messages.PlayerUnderran:
		return trouble("silence%s: %s", lasting(e.GetMissingUs()), e.GetCause())
	case *messages.PlayerFellSilent:
		return trouble("%s", e.GetReason())
	case *messages.PlayerHeardAgain:
		return plainly("the music is heard again")
	}
	if told := tellOfChain(event, name); told.Text != "" {
		return told
	}
	return tellOfSongs(event)
}

func tellOfChain(event proto.Message, name func(id string) string) Told {
	switch e := event.(type) {
	case *messages.ListenerJoined:
		return plainly("%s joined behind %s%s", e.GetNode().GetName(), name(e.GetAfter()), because(e.GetUnreachable()))
	case *messages.ListenerReturned:
		return plainly("%s came back to its place", e.GetNode().GetName())
	case *messages.ListenerLeft:
		if e.GetCause() == messages.ListenerLeft_CAUSE_SAID_SO {
			return plainly("%s left", e.GetName())
		}
		return trouble("%s is gone%s", e.GetName(), because(e.GetReason()))
	case *messages.ListenerMoved:
		return plainly("%s moved behind %s%s", e.GetName(), name(e.GetAfter()), because(e.GetReason()))
	case *messages.BranchMoved:
		return plainly("%s is fed by %s from now on, because %s", e.GetName(), name(e.GetFrom()), e.Why())
	case *messages.ListenerReconnected:
		return plainly("%s lost %s; %s feeds it %s later%s", e.GetName(), e.GetLost().GetName(), e.GetUpstream().GetName(), ms(e.GetSearchUs()), missing(e.GetMissing(), e.GetBufferedUs()))
	case *messages.ListenerFellSilent:
		return trouble("%s hears nothing any more%s", e.GetName(), because(e.GetReason()))
	case *messages.ListenerAudited:
		if e.GetFault() != messages.Fault_FAULT_UNSPECIFIED {
			return trouble("%s was looked at, and feeds nobody for a while%s", e.GetName(), because(e.GetReason()))
		}
	}
	return Told{}
}

func tellOfSongs(event proto.Message) Told {
	switch e := event.(type) {
	case *messages.SongQueued:
		return plainly("%s asked for %s", somebody(e.GetListenerName()), e.GetSong())
	case *messages.PlayRefused:
		return plainly("%s asked for %s: %s", somebody(e.GetListenerName()), e.GetWish(), refusals[e.GetReason()])
	case *messages.SongCancelled:
		if e.GetRole() == messages.Role_ROLE_HOST {
			return plainly("the host cancelled %s, which %s asked for", e.GetSong(), somebody(e.GetListenerName()))
		}
		return plainly("%s no longer wants %s", somebody(e.GetListenerName()), e.GetSong())
	case *messages.SkipVoted:
		return plainly("%s wants to skip %s", somebody(e.GetListenerName()), e.GetSong())
	case *messages.SkipDecided:
		if e.GetVotes() == 0 {
			return plainly("the host skips %s", e.GetSong())
		}
		return plainly("%s is skipped by %d votes", e.GetSong(), e.GetVotes())
	case *messages.SongSkipped:
		return trouble("%s is not played%s", e.GetSong(), because(e.GetReason()))
	case *messages.SongsAway:
		if folder := e.GetFolder(); folder != "" {
			return trouble("the songs in %s cannot be read%s", folder, because(e.GetReason()))
		}
		return trouble("the songs cannot be read: %s", e.GetReason())
	case *messages.SongsBack:
		if folder := e.GetFolder(); folder != "" {
			return plainly("the folder %s can be read again, or is gone", folder)
		}
		return plainly("the songs are there again")
	}
	return Told{}
}

var refusals = map[messages.PlayRefused_Reason]string{
	messages.PlayRefused_REASON_ALREADY_REQUESTED:   "it is in the queue already",
	messages.PlayRefused_REASON_NO_SUCH_SONG:        "there is no such song",
	messages.PlayRefused_REASON_QUEUE_FULL:          "the queue is full",
	messages.PlayRefused_REASON_AMBIGUOUS:           "several songs match",
	messages.PlayRefused_REASON_TOO_MANY_OF_PERSON:  "they have as many songs waiting as one may have",
	messages.PlayRefused_REASON_TOO_MANY_OF_ADDRESS: "those of their address have as many songs waiting as one address may have",
	messages.PlayRefused_REASON_UNSPECIFIED:         "refused",
}

func connected(e *messages.UpstreamConnected) Told {
	if e.GetSearchUs() == 0 {
		return plainly("%s feeds you", e.GetNode().GetName())
	}
	t := plainly("%s feeds you, %s later%s", e.GetNode().GetName(), ms(e.GetSearchUs()), missing(e.GetMissing(), e.GetBufferedUs()))
	t.Trouble = e.GetMissing() > 0
	return t
}

// missing says what the search for another upstream cost.
func missing(items uint64, buffered int64) string {
	switch {
	case items > 0:
		return fmt.Sprintf("; %d pieces of music are lost", items)
	case buffered <= 0:
		return "; there was silence, and nothing is lost"
	}
	return fmt.Sprintf("; nothing is lost, %.1f s of music were left", micros(buffered).Seconds())
}

func plainly(text string, args ...any) Told { return Told{Text: fmt.Sprintf(text, args...)} }

func trouble(text string, args ...any) Told {
	return Told{Text: fmt.Sprintf(text, args...), Trouble: true}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func somebody(name string) string {
	if name == "" {
		return "somebody"
	}
	return name
}

func lasting(us int64) string {
	if us <= 0 {
		return ""
	}
	return " of " + ms(us)
}

func ms(us int64) string {
	return micros(us).Round(time.Millisecond).String()
}
