package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"syscall"
	"time"

	"conga/cmd/internal/console"
	"conga/messages/plain"
)

// Streams are the three ends of a command: its lines in, its answers, its log.
//
// What a command prints is made plain, because it contains what others wrote. A picture needs control
// sequences, so whoever draws on Screen must make others' words plain.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Screen   io.Writer // out, not made plain

	Locale     console.Locale
	people     bool            // look at err
	outs, errs *console.Outlet // behind out and err
	close      func()          // writes the rest of err
}

// newStreams is for a command that only prints: its writes wait for their readers, but not for ever once ctx
// has ended.
func newStreams(ctx context.Context, in io.Reader, out, err io.Writer) *Streams {
	late, over := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(console.LastWords, over) })
	s := &Streams{In: in, Screen: out, people: console.IsTerminal(err)}
	s.outs, s.errs = console.NewOutlet(out, console.Until(late.Done())), console.NewOutlet(err, console.Until(late.Done()))
	s.Locale = console.LocaleOf(runtime.GOOS, os.Getenv)
	s.Out, s.Err = plain.NewWriter(s.shown(out, s.outs)), plain.NewWriter(s.shown(err, s.errs))
	s.close = func() {
		_ = s.errs.Finish(console.LastWords) // there is nowhere to report an error
		stop()
		over()
	}
	return s
}

// shown turns what is written into what the terminal can show. What goes into a file or to a program
// stays as it is.
func (s *Streams) shown(to io.Writer, by *console.Outlet) io.Writer {
	if console.IsTerminal(to) && s.Locale != console.UTF8 {
		return console.NewASCIIWriter(by)
	}
	return by
}

// Play is for a command that plays: from now on none of its writes waits for a reader, and it does not end if
// a reader goes away. It returns the command's log.
func (s *Streams) Play(flags LogFlags) *slog.Logger {
	return s.PlayWith(flags.handler(s.Err, s.people))
}

// PlayWith is Play for a command that has its own place for its log.
func (s *Streams) PlayWith(log slog.Handler) *slog.Logger {
	console.Endure()
	s.outs.Hurry()
	s.errs.Hurry()
	logger := slog.New(log)
	slog.SetDefault(logger) // for libraries, and for code that was given no logger
	return logger
}

// Part makes room for the command's last words, however much waits already.
func (s *Streams) Part() {
	s.outs.Last()
	s.errs.Last()
}

// finish waits for a moment until all answers are read. It is an error if the last of them could not be written,
// unless its reader has gone.
func (s *Streams) finish() error {
	s.Part()
	err := s.outs.Finish(console.LastWords)
	for _, unwanted := range []error{console.ErrUnread, syscall.EPIPE, syscall.EIO} { // EIO: the terminal is closed
		if errors.Is(err, unwanted) {
			return nil
		}
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("the last lines could not be printed: %w", err)
}
