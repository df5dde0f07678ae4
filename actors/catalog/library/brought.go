package library

import (
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// brought says what follows when somebody has brought a song. It can be requested at once, because it is whole.
func (s State) brought(cmd *messages.BringSong) []proto.Message {
	song := cmd.GetSong()
	if song.GetName() == "" {
		return nil
	}
	var events []proto.Message
	if known, found := s.Songs.Find(song.GetName()); !found || *known != *fromMessage(song) {
		events = append(events, &messages.SongAdded{Song: proto.CloneOf(song)})
	}
	return append(events, &messages.SongBrought{
		Song: song.GetName(), Bytes: song.GetFileBytes(), Sum: cmd.GetSum(),
		ListenerName: cmd.GetListenerName(), Person: cmd.GetPerson(), AtUnixUs: cmd.GetAtUnixUs(),
	})
}
