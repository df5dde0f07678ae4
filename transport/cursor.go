package transport

import (
	"context"
	"errors"
	"time"

	"conga/messages"
)

// Cursor is one listener's place in the music. It belongs to one goroutine.
type Cursor interface {
	// Next waits for the next item. If it returns ctx's error, it has taken none.
	Next(ctx context.Context) (*messages.Item, error)
	Close()
}

// follower is a Cursor that gives new items to direct at once, in the goroutine that brings them, while it waits: see
// window.Cursor.
type follower interface {
	Cursor
	Follow(ctx context.Context, wake <-chan time.Time, direct func(item *messages.Item, more bool) bool) (*messages.Item, error)
	// More reports whether the next item is there.
	More() bool
}

// ErrQuiet: no item came in time.
var ErrQuiet = errors.New("no item yet")

// Next waits at most patience for the cursor's next item, and then returns ErrQuiet. If ctx ends, it
// returns the cause.
func Next(ctx context.Context, cursor Cursor, patience time.Duration) (*messages.Item, error) {
	wait, cancel := context.WithTimeoutCause(ctx, patience, ErrQuiet)
	defer cancel()
	item, err := cursor.Next(wait)
	if err != nil && wait.Err() != nil && errors.Is(err, wait.Err()) {
		return nil, context.Cause(wait)
	}
	return item, err
}
