package seed

import (
	"context"
	"errors"
	"time"
)

const (
	// headerSize is what a seed client reads at one go, and must get whole.
	headerSize = 6
	// lineEvery is how often to look whether the line is clear again.
	lineEvery = 2 * time.Millisecond
)

var errStuck = errors.New("it does not read")

// line is what the system knows of a connection, in bytes.
type line struct {
	unsent  int // written, and not sent yet
	unacked int // written, and not known to have come; unsent ones too
	window  int // that may be unacked; 0: the other side has no room, or it is not known
}

// whole says whether a header that is written now comes in one piece. It does not when it has
// to wait behind others: a system sends what waits in pieces of its own, the last up to
// where the other side's room ends. That side then reads on until nothing is left, which
// may be a part of a header. A line without room is no danger: the message waits alone.
func (l line) whole() bool {
	room := l.window - l.unacked
	return l.unsent == 0 && (l.window == 0 || room <= 0 || room >= headerSize)
}

// await waits until the line that look sees is clear for a message, or until hurry is closed; else
// it fails with errStuck. A line that cannot be seen is clear.
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
