package console

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/charmbracelet/x/term"
)

// lookAgain is how often a process in the background looks whether the terminal is its own.
const lookAgain = 300 * time.Millisecond

// Keyboard reads from a stream as it is; from a terminal only while that belongs to this process:
// what is typed for the shell, or for another program, is not for a listener in the background.
// Endure must have been called, or such a read would stop the process. It ends with ctx.
func Keyboard(ctx context.Context, in io.Reader) io.Reader {
	if file, is := in.(term.File); is && term.IsTerminal(file.Fd()) {
		return &keyboard{ctx: ctx, file: file}
	}
	return in
}

// IsTerminal says whether people look at the stream, or type into it.
func IsTerminal(stream any) bool {
	file, ok := stream.(term.File)
	return ok && term.IsTerminal(file.Fd())
}

type keyboard struct {
	ctx  context.Context
	file term.File
}

func (k *keyboard) Read(p []byte) (int, error) {
	for {
		if !Foreground(k.file) {
			select {
			case <-time.After(lookAgain):
				continue
			case <-k.ctx.Done():
				return 0, io.EOF
			}
		}
		n, err := k.file.Read(p)
		switch {
		case n > 0 || err == nil:
			return n, err
		case !Foreground(k.file): // it went into the background while it waited
		case errors.Is(err, errHungUp):
			return 0, io.EOF
		default:
			return 0, err
		}
	}
}

// Foreground says whether the terminal belongs to this process: to its group, where groups share
// a terminal.
func Foreground(terminal term.File) bool { return foreground(int(terminal.Fd())) }
