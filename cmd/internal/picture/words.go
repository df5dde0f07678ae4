package picture

import (
	"cmp"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
	"conga/messages/plain"
)

// Word is one event in words that anybody may read.
type Word struct {
	Event uint64 `json:"event"`
	AtUs  int64  `json:"atUs"`
	Text  string `json:"text"`
	Kind  Kind   `json:"kind"`
}

// Kind is what an event is about.
type Kind string

// The kinds of events.
const (
	Music   Kind = "music"
	Request Kind = "request"
	People  Kind = "people"
	Trouble Kind = "trouble"
	Folder  Kind = "folder"
)

// Words puts an event into words; false if it is not for everybody. name returns a listener's name by its id.
func Words(event uint64, at time.Time, e proto.Message, name func(id string) string) (Word, bool) {
	kind, text := told(e, name)
	return Word{Event: event, AtUs: at.UnixMicro(), Text: plain.Text(text, 400), Kind: kind}, text != ""
}

func who(name string) string { return cmp.Or(plain.Text(name, messages.MaxName), "somebody") }

// skipped says who decided to skip the song.
func skipped(song string, e *messages.SkipDecided) string {
	switch n := e.GetVotes(); n {
	case 0:
		return "the host skips " + song
	case 1:
		return "one vote skips " + song
	default:
		return fmt.Sprintf("%d votes skip %s", n, song)
	}
}

func told(e proto.Message, name func(id string) string) (Kind, string) {
	switch e := e.(type) {
	case *messages.SongStarted:
		return Music, "“" + cmp.Or(e.GetSong().GetTitle(), Title(e.GetSong().GetName())) + "” begins"
	case *messages.SongEnded:
		if e.GetHeard() == messages.Heard_HEARD_ENOUGH {
			return Music, "“" + Title(e.GetSong()) + "” ends: " + e.GetReason()
		}
		if e.GetReason() != "" {
			return Trouble, "“" + Title(e.GetSong()) + "” broke off: " + e.GetReason()
		}
		return Music, "“" + Title(e.GetSong()) + "” has been given out"
	case *messages.SongChosen:
		if e.GetPlaylistPlace() > 0 {
			return Music, "next in the playlist: “" + Title(e.GetSong()) + "”"
		}
		if e.GetRequestId() == "" {
			return Music, "picked at random: “" + Title(e.GetSong()) + "”"
		}
		return Music, "it is the turn of “" + Title(e.GetSong()) + "”, which " + who(e.GetListenerName()) + " asked for"
	case *messages.BroadcastOpened:
		return Music, "the server has started"
	}
	if kind, text := toldOfRequests(e); text != "" {
		return kind, text
	}
	if kind, text := toldOfFolder(e); text != "" {
		return kind, text
	}
	return toldOfChain(e, name)
}

func toldOfRequests(e proto.Message) (Kind, string) {
	switch e := e.(type) {
	case *messages.SongQueued:
		return Request, who(e.GetListenerName()) + " asked for “" + Title(e.GetSong()) + "”"
	case *messages.PlayRefused:
		return Request, who(e.GetListenerName()) + " asked in vain for “" + Title(e.GetWish()) + "”"
	case *messages.SongCancelled:
		if e.GetRole() == messages.Role_ROLE_HOST {
			return Request, "the host cancelled “" + Title(e.GetSong()) + "”, which " + who(e.GetListenerName()) + " asked for"
		}
		return Request, who(e.GetListenerName()) + " no longer wants “" + Title(e.GetSong()) + "”"
	case *messages.SkipVoted:
		return Request, who(e.GetListenerName()) + " wants to skip “" + Title(e.GetSong()) + "”"
	case *messages.SkipDecided:
		return Request, skipped("“"+Title(e.GetSong())+"”", e)
	case *messages.SongWaits:
		return Trouble, "“" + Title(e.GetSong()) + "” waits: " + e.GetReason()
	case *messages.SongSkipped:
		return Trouble, "“" + Title(e.GetSong()) + "” was given up: " + e.GetReason()
	}
	return "", ""
}

func toldOfFolder(e proto.Message) (Kind, string) {
	switch e := e.(type) {
	case *messages.SongAdded:
		title := "“" + cmp.Or(e.GetSong().GetTitle(), Title(e.GetSong().GetName())) + "”"
		switch e.GetSong().GetForm() {
		case messages.Song_FORM_OTHER:
			return Folder, title + " must be converted before it can play"
		case messages.Song_FORM_CONVERTED:
			return Folder, title + " is converted"
		}
		return Folder, title + " is there"
	case *messages.SongBrought:
		return Folder, who(e.GetListenerName()) + " has brought “" + Title(e.GetSong()) + "”"
	case *messages.SongRemoved:
		return Folder, "“" + Title(e.GetName()) + "” is gone"
	case *messages.SongsAway:
		if folder := e.GetFolder(); folder != "" {
			return Trouble, "the songs in " + folder + " cannot be seen: " + e.GetReason()
		}
		return Trouble, "no song can be seen: " + e.GetReason()
	case *messages.SongsBack:
		if folder := e.GetFolder(); folder != "" {
			return Folder, "the folder " + folder + " can be seen again, or is gone"
		}
		return Folder, "the songs can be seen again"
	}
	return "", ""
}

func toldOfChain(e proto.Message, name func(id string) string) (Kind, string) {
	switch e := e.(type) {
	case *messages.ListenerJoined:
		return People, who(e.GetNode().GetName()) + " came, behind " + name(e.GetAfter())
	case *messages.ListenerReturned:
		return People, who(e.GetNode().GetName()) + " is back"
	case *messages.ListenerLeft:
		switch e.GetCause() {
		case messages.ListenerLeft_CAUSE_SAID_SO:
			return People, who(e.GetName()) + " said goodbye"
		case messages.ListenerLeft_CAUSE_DID_NOT_RETURN:
			return People, who(e.GetName()) + " has not come back"
		}
		return Trouble, who(e.GetName()) + " was lost"
	case *messages.ListenerMoved:
		return Trouble, who(e.GetName()) + " stands behind " + name(e.GetAfter()) + " now"
	case *messages.BranchMoved:
		return People, "the branch that begins with " + who(e.GetName()) + " is to hear from " + name(e.GetFrom()) + ", because " + e.Why()
	case *messages.ChainSpliced:
		if n := len(e.GetAround()); n > 0 {
			return Trouble, fmt.Sprintf("spliced: %s hears from %s now, around %s", name(e.GetTo()), name(e.GetFrom()), around(e.GetAround(), name))
		}
		return People, name(e.GetTo()) + " hears from " + name(e.GetFrom())
	case *messages.ListenerReconnected:
		return Trouble, fmt.Sprintf("%s found %s by itself after %.1f s", who(e.GetName()), who(e.GetUpstream().GetName()), float64(e.GetSearchUs())/1e6)
	case *messages.ListenerFellSilent:
		return Trouble, who(e.GetName()) + ", a client of 2016, hears nothing any more"
	case *messages.ListenerAudited:
		if e.GetFault() == messages.Fault_FAULT_UNSPECIFIED {
			return Trouble, "the server looked at what " + who(e.GetName()) + " sends: it is sound"
		}
		return Trouble, "the server looked at what " + who(e.GetName()) + " sends, and found a fault"
	case *messages.VerdictEnded:
		return People, who(e.GetName()) + " may feed others again"
	}
	return "", ""
}

func around(ids []string, name func(id string) string) string {
	if len(ids) > 3 {
		return fmt.Sprintf("%d others", len(ids))
	}
	all := ""
	for i, id := range ids {
		if i > 0 {
			all += " and "
		}
		all += name(id)
	}
	return all
}
