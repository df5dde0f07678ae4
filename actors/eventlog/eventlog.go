package eventlog

import (
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
)

// Decider is the pure half of an actor. Both methods leave S unchanged and read
// no clock; an old S stays valid after Apply.
type Decider[S any] interface {
	// Decide returns the events that follow from cmd, none if nothing does.
	Decide(cmd proto.Message) []proto.Message
	// Apply returns the state after event. It never refuses: event has already happened.
	Apply(event proto.Message) S
}

// Replay returns the state that events lead to from s.
func Replay[S Decider[S]](s S, events ...proto.Message) S {
	for _, event := range events {
		s = s.Apply(event)
	}
	return s
}

// Record is one event as the log knows it. Records are shared: nobody may change
// one or its messages.
type Record struct {
	Seq     uint64    // from 1, without a gap
	Time    time.Time // UTC, whole microseconds; never earlier than the previous event's
	Actor   string    // the name of the actor that decided
	Type    string    // the message's full name without "conga."
	Version int       // of the type
	Event   proto.Message
	Cause   proto.Message // the command; only on the first event of its commit
	Of      int           // how many events the commit has; only on its first
	Hash    []byte        // SHA-256 over this event and the previous hash

	row Row
}

// Row returns the record as a store keeps it. Its Seq is 0 if the record is from no log.
func (r Record) Row() Row { return r.row }

// Errors that callers branch on; they come wrapped with the circumstances.
var (
	// ErrConflict: the log has moved on since the state that was decided on.
	ErrConflict = errors.New("the log has moved on")
	// ErrLocked: another process has the data folder open for writing.
	ErrLocked = errors.New("data folder in use")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("the log is closed")
	// ErrFull: the disk has no room.
	ErrFull = errors.New("no room on the disk")
	// ErrDamaged: what is kept is not what was written.
	ErrDamaged = errors.New("the log is damaged")
	// ErrNewer: the log was written by a newer conga.
	ErrNewer = errors.New("the log is newer than this conga")
	// ErrUnknownType: an event's type or version is not known to this program.
	ErrUnknownType = errors.New("unknown event type")
)
