package catalog

import (
	"context"
	"errors"
	"slices"
	"time"

	"conga/messages"
)

// checkTakes is how long the check of one file may take. Those behind it in the line wait for no more than that.
const checkTakes = time.Minute

// errSlow ends a check.
var errSlow = refuse(messages.UploadAway, "it took longer than a minute to check it: the radio is busy, try again later")

// turn is an upload that has come whole. The first in line is checked, the others wait: one at a time, so that two of one name
// or content see each other.
type turn struct {
	id  string
	now chan struct{} // closed: it is the first
}

// await waits until the uploads before it have been checked. The context that it returns ends when the check has taken too
// long; done gives the turn to the next.
func (u *Uploads) await(ctx context.Context, id string) (checking context.Context, done func(), err error) {
	own := &turn{id, make(chan struct{})}
	u.mu.Lock()
	u.line = append(u.line, own)
	u.first()
	u.mu.Unlock()
	select {
	case <-own.now:
	case <-ctx.Done():
		u.leave(own)
		return nil, nil, cut()
	}
	checking, over := context.WithTimeoutCause(ctx, checkTakes, errSlow)
	return checking, func() { over(); u.leave(own) }, nil
}

// leave takes the turn out of the line.
func (u *Uploads) leave(own *turn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.line = slices.DeleteFunc(u.line, func(t *turn) bool { return t == own })
	u.first()
}

// first tells the first in line. The caller holds mu.
func (u *Uploads) first() {
	if len(u.line) == 0 {
		return
	}
	select {
	case <-u.line[0].now:
	default:
		close(u.line[0].now)
	}
}

// Place is where the upload of that id is in the line: 1 is the one that is checked. 0: it is in no line, because it has not
// come whole, or is done.
func (u *Uploads) Place(id string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.IndexFunc(u.line, func(t *turn) bool { return id != "" && t.id == id }) + 1
}

// broken says why a check ended with an error: if it took too long, whatever it did meanwhile was cut off by that.
func broken(checking context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(checking), errSlow) {
		return errSlow
	}
	return err
}
