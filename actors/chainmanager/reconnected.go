package chainmanager

import (
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// reconnected keeps what a listener says of its way back to the music, for those who
// ask why it stopped. It moves nobody. Strangers are not believed.
func (s State) reconnected(cmd *messages.Reconnected) []proto.Message {
	at := s.place(cmd.GetId())
	if at < 0 {
		return nil
	}
	return []proto.Message{&messages.ListenerReconnected{
		Id: cmd.GetId(), Name: s.Chain[at].Name,
		Upstream: cmd.GetUpstream(), Lost: cmd.GetLost(), Reason: cmd.GetReason(),
		SearchUs: cmd.GetSearchUs(), Missing: cmd.GetMissing(), BufferedUs: cmd.GetBufferedUs(),
		AtUnixUs: cmd.GetAtUnixUs(),
	}}
}
