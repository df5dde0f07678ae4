package seed

import (
	"context"
	"errors"
	"time"
)

const (
	// headerSize is how much a client of 2016 reads at once, and must get whole.
	headerSize = 6
	// lineEvery is how often await looks whether the line is clear.
	lineEvery = 2 * time.Millisecond
)

var errStuck = errors.New("it does not read")

// line is what the system knows about a connection, in bytes.
type line struct {
	unsent  int // written, but not sent yet
	unacked int // written, but not acknowledged; includes unsent
	window  int // may be unacknowledged; 0: the other side has no room, or it is not known
}

// whole reports whether a header that is written now arrives in one piece. If it has to wait behind other
// bytes, it may not: the system splits what waits as it likes, and the last segment ends where the other
// side's window ends. The client then reads up to there, which may be a part of a header. A line without
// any room is no danger, because the message waits alone.
func (l line) whole() bool {
	room := l.window - l.unacked
	return l.unsent == 0 && (l.window == 0 || room <= 0 || room >= headerSize)
}

// await waits until look says that the line is clear for a message, or until hurry is closed. After
// stuckAfter it returns errStuck. A line that cannot be seen counts as clear.
func await(ctx context.Context, hurry <-chan struct{}, look func() (line, bool)) error {
	for deadline := time.Now().Add(stuckAfter); ; {
		if l, seen := look(); !seen || l.whole() {
			return nil
		}
		if time.Now().After(deadline) {
			return errStuck
		}
		select {
		case <-time.After(lineEvery):
		case <-hurry:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
