package storetest

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// Queue is a decider over real messages: it takes no song twice, and chooses the
// first.
type Queue struct {
	Songs  []string `json:"songs"`
	Played int      `json:"played"`
}

// Decide queues the song that is asked for, or chooses the first.
func (q Queue) Decide(cmd proto.Message) []proto.Message {
	switch cmd := cmd.(type) {
	case *messages.RequestPlay:
		if slices.Contains(q.Songs, cmd.GetWish()) {
			return nil
		}
		return []proto.Message{&messages.SongQueued{Song: cmd.GetWish(), ListenerName: cmd.GetListenerName()}}
	case *messages.ChooseSong:
		if len(q.Songs) == 0 {
			return nil
		}
		return []proto.Message{&messages.SongChosen{Song: q.Songs[0], Seed: cmd.GetSeed()}}
	}
	return nil
}

// Apply keeps the order.
func (q Queue) Apply(event proto.Message) Queue {
	switch event := event.(type) {
	case *messages.SongQueued:
		q.Songs = append(slices.Clip(q.Songs), event.GetSong())
	case *messages.SongChosen:
		q.Songs = slices.Clone(q.Songs[1:])
		q.Played++
	}
	return q
}

// Room is another decider over the same log: who has joined, and how many songs they heard.
type Room struct {
	Nodes []string `json:"nodes"`
	Heard int      `json:"heard"`
}

// Decide puts a newcomer behind the last.
func (r Room) Decide(cmd proto.Message) []proto.Message {
	switch cmd := cmd.(type) {
	case *messages.JoinChain:
		if slices.Contains(r.Nodes, cmd.GetNode().GetId()) {
			return nil
		}
		after := messages.ServerID
		if len(r.Nodes) > 0 {
			after = r.Nodes[len(r.Nodes)-1]
		}
		return []proto.Message{
			&messages.ListenerJoined{Node: cmd.GetNode(), After: after},
			&messages.ChainSpliced{From: after, To: cmd.GetNode().GetId()},
		}
	case *messages.LeaveChain:
		if slices.Contains(r.Nodes, cmd.GetId()) {
			return []proto.Message{&messages.ListenerLeft{Id: cmd.GetId()}}
		}
	}
	return nil
}

// Apply keeps the list of nodes.
func (r Room) Apply(event proto.Message) Room {
	switch event := event.(type) {
	case *messages.ListenerJoined:
		r.Nodes = append(slices.Clip(r.Nodes), event.GetNode().GetId())
	case *messages.ListenerLeft:
		r.Nodes = slices.DeleteFunc(slices.Clone(r.Nodes), func(id string) bool { return id == event.GetId() })
	case *messages.SongChosen:
		r.Heard++
	}
	return r
}
