package queue

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// found is the state after an event of the songs folder. Such an event changes what can be requested and played.
func (s State) found(event proto.Message) State {
	switch event := event.(type) {
	case *messages.SongAdded:
		name := event.GetSong().GetName()
		if s.Pending = s.Pending.Without(name); event.GetSong().GetForm() == messages.Song_FORM_OTHER {
			s.Pending = s.Pending.With(Name(name))
		}
		s.Songs, s.spellings = s.Songs.With(newSong(event.GetSong())), s.spellings.With(spelled(name))
		s.Queue = ready(s.Queue, func(r Request) bool { return r.Song == name })
	case *messages.SongRemoved:
		s.Pending = s.Pending.Without(event.GetName())
		s.Songs, s.spellings = s.Songs.Without(event.GetName()), s.spellings.Without(spelled(event.GetName()).Key())
	case *messages.SongsAway:
		if folder := event.GetFolder(); folder != "" {
			s.Folders = s.Folders.With(folder, event.GetReason())
		} else {
			s.Away = event.GetReason()
		}
	case *messages.SongsBack:
		folder := event.GetFolder()
		if folder != "" {
			s.Folders = s.Folders.Without(folder)
		} else {
			s.Away = ""
		}
		s.Queue = ready(s.Queue, func(r Request) bool { return folder == "" || strings.HasPrefix(r.Song, folder+"/") })
	}
	return s
}

// Wait says why the request cannot be played now; "" if it only waits for its turn.
func (s State) Wait(r Request) string {
	switch {
	case s.Away != "":
		return s.Away
	case r.Waits != 0:
		return r.Reason
	}
	return s.missing(r.Song)
}

// missing says why the song cannot be played now, as far as the catalog knows; "" if it can.
func (s State) missing(song string) string {
	if folder, reason := s.Folders.Of(song); folder != "" {
		return "the folder " + folder + " cannot be read: " + reason
	}
	if _, known := s.Songs.Find(song); !known {
		return "its file is not there"
	}
	if _, pending := s.Pending.Find(song); pending {
		return "it is being converted"
	}
	return ""
}
