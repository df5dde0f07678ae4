package actors

import (
	"sync/atomic"
	"time"

	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	// roomForReports and roomForQuestions are how many messages may wait for an actor before
	// it takes no more of a kind: reports and joins first, then songs and lists. What must
	// not be lost is taken all the same: there is one for each connection at most.
	roomForReports   = 512
	roomForQuestions = 1024
	// askedInVain is how long a broken actor may be down before questions are answered for it.
	askedInVain = time.Second
)

// worth is what may become of a message that waits for an actor.
type worth int

const (
	precious worth = iota // nobody says it again
	question              // who asks can be told that the server is busy
	costly                // a question that makes the server work for longer
	passing               // it was one of many, or will be said again
)

// worthOf says how much a message to one of the server's deciders matters.
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
		return passing // who looks waits for a moment only
	}
	return precious
}

// mailbox is an actor's mailbox with an end: an actor that cannot write its events does not
// gather questions for an hour, and whoever asks hears at once that it is busy.
type mailbox struct {
	actor.Mailbox
	system *actor.ActorSystem
	down   atomic.Int64 // since when the actor is down, unix microseconds; 0: it is not
}

// limited gives the actor such a mailbox.
func limited(system *actor.ActorSystem) actor.PropsOption {
	unbounded := actor.Unbounded()
	return actor.WithMailbox(func() actor.Mailbox { return &mailbox{Mailbox: unbounded(), system: system} })
}

// PostSystemMessage sees the actor go down and come back.
func (m *mailbox) PostSystemMessage(message any) {
	switch message.(type) {
	case *actor.SuspendMailbox:
		m.down.CompareAndSwap(0, time.Now().UnixMicro())
	case *actor.ResumeMailbox:
		m.down.Store(0)
	}
	m.Mailbox.PostSystemMessage(message)
}

// PostUserMessage takes the message, or answers for the actor that it is busy.
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
