package console

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/charmbracelet/x/term"
)

// lookAgain is how often a background process checks whether the terminal belongs to it.
const lookAgain = 300 * time.Millisecond

// Keyboard returns a reader of in. From a terminal it reads only while this process is in the foreground, because
// what is typed then is for the shell or another program. Endure must have been called, or reading in the
// background would stop the process. The reader ends with ctx.
func Keyboard(ctx context.Context, in io.Reader) io.Reader {
	if file, is := in.(term.File); is && term.IsTerminal(file.Fd()) {
		return &keyboard{ctx: ctx, file: file}
	}
	return in
}

// IsTerminal reports whether the stream is a terminal.
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

// Foreground reports whether this process (its process group) is in the foreground of the terminal.
func Foreground(terminal term.File) bool { return foreground(int(terminal.Fd())) }
