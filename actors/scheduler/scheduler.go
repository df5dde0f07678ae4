// Package scheduler decides what plays next: the songs that listeners asked for, else the playlist, else a random song.
// Requests are served in the order in which they came, or each person in turn (see Rules): then nobody waits behind
// more requests of another person than they have waiting themselves.
//
// A request is in the log BEFORE its listener is told, and a choice is in the log before the pacer opens the song. So
// no crash makes a promised song disappear or play twice.
//
// A request is used up when its song is heard. If the song's file cannot be seen or opened at
// its turn, the request keeps its place and others play first; REQUESTS says why it waits. It
// is next when the file is back.
package scheduler

import (
	"fmt"

	"conga/actors/eventlog"
	"conga/actors/scheduler/queue"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// Actor is the actor's name among its siblings, in the log and in the dump.
const Actor = "scheduler"

// Config is what a scheduler needs.
type Config struct {
	Log *eventlog.Log
	// Publish tells the rest of the server about an event, after it is in the log.
	Publish func(proto.Message)
	// Playlist is what plays when nobody has asked for anything; nil: the list in the log stays.
	Playlist *messages.SetPlaylist
}

// Props describes the scheduler's actor. It answers
//
//	*messages.RequestPlay   with *messages.PlayAnswer
//	*messages.CancelRequest with *messages.CancelAnswer
//	*messages.SkipSong      with *messages.SkipAnswer
//	*messages.ChooseSong    with *messages.SongChosen, or *messages.NoSong
//	*messages.ListRequests  with *messages.Requests
//	*messages.AskLibrary    with a messages.Library
//	*messages.ListHistory   with *messages.History
//	*messages.Look          with a messages.View
func Props(cfg Config) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor { return &scheduler{cfg: cfg} })
}

type scheduler struct {
	cfg  Config
	keep *eventlog.Keeper[queue.State]
}

// Receive is all the plumbing; what follows from a message is decided in room queue.
func (s *scheduler) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started: // also after a restart: a new scheduler remembers what the log does
		keep, err := eventlog.NewKeeper(s.cfg.Log, Actor, queue.State{})
		if err != nil {
			panic(fmt.Errorf("rebuild the scheduler: %w", err))
		}
		s.keep = keep
		if s.cfg.Playlist != nil {
			s.commit(s.cfg.Playlist)
		}
	case *messages.RequestPlay:
		events, state := s.decided(msg)
		ctx.Respond(state.Reply(msg, events...))
	case *messages.CancelRequest:
		_, state := s.decided(msg)
		ctx.Respond(state.Cancelled(msg))
	case *messages.SkipSong:
		_, state := s.decided(msg)
		ctx.Respond(state.Skipped(msg))
	case *messages.ChooseSong:
		ctx.Respond(s.choose(msg))
	case *messages.ListRequests:
		ctx.Respond(s.now().Requests(msg.AtUnixUs))
	case *messages.AskLibrary:
		ctx.Respond(s.now())
	case *messages.ListHistory:
		ctx.Respond(s.now().Heard(msg.AtUnixUs))
	case *messages.Look:
		msg.Reply <- messages.View{Actor: Actor, Seq: s.keep.Seq(), State: s.keep.State()}
	}
}

// now is the state after all events, including those of other actors: a song that has just been added can be found, and
// the song that is on is in the history.
func (s *scheduler) now() queue.State {
	if err := s.keep.CatchUp(); err != nil {
		panic(err) // an actor that cannot read the log must not answer
	}
	return s.keep.State()
}

func (s *scheduler) commit(cmd proto.Message) (events []proto.Message) {
	events, err := s.keep.Commit(cmd)
	if err != nil {
		panic(err) // an actor that cannot remember must not act: the supervisor restarts it
	}
	for _, event := range events {
		s.cfg.Publish(event)
	}
	return events
}

// decided is what followed from cmd, and the state after it.
func (s *scheduler) decided(cmd proto.Message) ([]proto.Message, queue.State) {
	events := s.commit(cmd)
	if len(events) == 0 {
		return nil, s.now() // the answer may depend on newer events than the state has
	}
	return events, s.keep.State()
}

func (s *scheduler) choose(cmd *messages.ChooseSong) any {
	s.commit(cmd)
	p := s.keep.State().Playing
	if p == nil || p.Taken {
		return &messages.NoSong{}
	}
	return &messages.SongChosen{
		Song: p.Song, RequestId: p.RequestID, ListenerName: p.Listener,
		Seed: cmd.GetSeed(), AtUnixUs: cmd.GetAtUnixUs(),
	}
}
