package library

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// made says what follows when a song was converted, or could not be. What became of a file that has changed meanwhile
// concerns nobody.
func (s State) made(cmd *messages.MadeSong) []proto.Message {
	song := cmd.GetSong()
	known, found := s.Songs.Find(song.GetName())
	switch {
	case !found || known.Form == messages.Song_FORM_MP3 || !known.SameFile(song):
		return nil
	case cmd.GetReason() != "":
		rejected := &messages.SongRejected{Name: song.GetName(), Reason: cmd.GetReason()}
		if !cmd.GetPassing() {
			rejected.FileBytes, rejected.ModifiedUnixUs = song.GetFileBytes(), song.GetModifiedUnixUs()
		}
		return []proto.Message{&messages.SongRemoved{Name: song.GetName()}, rejected}
	case *known == *fromMessage(song):
		return nil
	}
	return []proto.Message{&messages.SongAdded{Song: proto.CloneOf(song)}}
}

// lost says what follows when converted files are not there any more.
func (s State) lost(cmd *messages.LostSongs) (events []proto.Message) {
	for _, name := range slices.Compact(slices.Sorted(slices.Values(cmd.GetNames()))) {
		if known, found := s.Songs.Find(name); found && known.Form == messages.Song_FORM_CONVERTED {
			song := known.Message()
			song.Form, song.MadeOf, song.MadeSum = messages.Song_FORM_OTHER, "", ""
			song.Frames, song.SampleRate, song.AudioBytes = 0, 0, 0
			events = append(events, &messages.SongAdded{Song: song})
		}
	}
	return events
}

// wanted notes that somebody waits for the song if it must be converted.
func (s State) wanted(name string) State {
	if song, found := s.Songs.Find(name); found && song.Form == messages.Song_FORM_OTHER && !slices.Contains(s.Wanted, name) {
		s.Wanted = append(slices.Clip(s.Wanted), name)
	}
	return s
}

func (s State) notWanted(name string) State {
	at := slices.Index(s.Wanted, name)
	if at < 0 {
		return s
	}
	if s.Wanted = slices.Concat(s.Wanted[:at], s.Wanted[at+1:]); len(s.Wanted) == 0 {
		s.Wanted = nil
	}
	return s
}

// ToMake is the song to convert next: the first that somebody waits for; else, if ahead, the first by name. It passes over
// songs that cannot be seen now, and those for which pass is true. nil: there is none.
func (s State) ToMake(ahead bool, pass func(name string) bool) (song *Song, wanted bool) {
	if s.Away != "" {
		return nil, false
	}
	for _, name := range s.Wanted {
		if song, found := s.Songs.Find(name); found && s.canMake(song) && !pass(name) {
			return song, true
		}
	}
	if ahead {
		for song := range s.Songs.All() {
			if s.canMake(song) && !pass(song.Name) {
				return song, false
			}
		}
	}
	return nil, false
}

func (s State) canMake(song *Song) bool {
	if song.Form != messages.Song_FORM_OTHER {
		return false
	}
	folder, _ := s.Folders.Of(song.Name)
	return folder == ""
}
