package actors

import (
	"sync/atomic"
	"time"

	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	// roomForReports and roomForQuestions are how many messages may wait for an actor before it
	// refuses more of a kind: first reports and joins, then songs and lists. Messages that must not
	// be lost are always taken: there is at most one for each connection.
	roomForReports   = 512
	roomForQuestions = 1024
	// askedInVain is how long a failed actor may be down before the mailbox answers questions for it.
	askedInVain = time.Second
)

// worth says whether a message may be refused or dropped.
type worth int

const (
	precious worth = iota // it is not sent again
	question              // the asker can be told that the server is busy
	costly                // a question that costs the server more work
	passing               // it is one of many, or is sent again
)

// worthOf returns the worth of a message to one of the server's deciders.
func worthOf(message any) worth {
	switch m := message.(type) {
	case *messages.JoinChain:
		return costly
	case *messages.RequestPlay, *messages.ListSongs, *messages.ListRequests, *messages.ListHistory, *messages.AskLibrary, *messages.ListListeners, *messages.CancelRequest, *messages.SkipSong,
		*messages.ChooseSong, *messages.FindSong:
		return question
	case *messages.PeerLost:
		if m.GetSeenBy() != messages.ServerID {
			return passing
		}
	case *messages.Reconnected:
		return passing
	case *messages.Look:
		return passing // the asker waits only for a moment
	}
	return precious
}

// mailbox is a bounded mailbox: questions do not pile up before an actor that cannot write its
// events, and the askers are told at once that it is busy.
type mailbox struct {
	actor.Mailbox
	system *actor.ActorSystem
	down   atomic.Int64 // since when the actor is down, unix microseconds; 0: it is not
}

// limited gives the actor a mailbox.
func limited(system *actor.ActorSystem) actor.PropsOption {
	unbounded := actor.Unbounded()
	return actor.WithMailbox(func() actor.Mailbox { return &mailbox{Mailbox: unbounded(), system: system} })
}

// PostSystemMessage notices when the actor goes down and comes back.
func (m *mailbox) PostSystemMessage(message any) {
	switch message.(type) {
	case *actor.SuspendMailbox:
		m.down.CompareAndSwap(0, time.Now().UnixMicro())
	case *actor.ResumeMailbox:
		m.down.Store(0)
	}
	m.Mailbox.PostSystemMessage(message)
}

// PostUserMessage takes the message, or answers that the actor is busy.
func (m *mailbox) PostUserMessage(message any) {
	_, said, sender := actor.UnwrapEnvelope(message)
	if m.takes(worthOf(said)) {
		m.Mailbox.PostUserMessage(message)
		return
	}
	if sender != nil {
		m.system.Root.Send(sender, &messages.Refused{Reason: "the server is busy, try again later"})
	}
}

func (m *mailbox) takes(w worth) bool {
	if w == precious {
		return true
	}
	if since := m.down.Load(); since > 0 && time.Since(time.UnixMicro(since)) > askedInVain {
		return false
	}
	room := roomForReports
	if w == question {
		room = roomForQuestions
	}
	return m.UserMessageCount() < room
}
