package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/console"
	"conga/cmd/internal/screen"
)

// screenFlags are how a command speaks to whoever sits before it.
type screenFlags struct {
	Plain   bool `help:"Print lines, also on a terminal that could show more."`
	NoInput bool `help:"Read nothing from the keyboard, and print lines."`

	cli.LogFlags
}

// shown is how a command shows what it does.
type shown struct {
	pane   *screen.Pane // of the picture; nil: it prints lines
	logger *slog.Logger
	in     io.Reader
}

// shown decides between picture and lines. The command plays from now on. A log that would be written
// into the picture is shown in it; one that goes into a file goes there.
func (f screenFlags) shown(streams *cli.Streams) shown {
	s := shown{in: streams.In}
	if f.NoInput {
		s.in = strings.NewReader("")
	}
	if f.Plain || f.NoInput || !screen.Fits(streams.In, streams.Screen) {
		s.logger = streams.Play(f.LogFlags)
		return s
	}
	s.pane = screen.NewPane()
	if console.IsTerminal(os.Stderr) {
		s.logger = streams.PlayWith(s.pane.Handler())
	} else {
		s.logger = streams.Play(f.LogFlags)
	}
	return s
}

// rest says what the picture no longer could.
func (s shown) rest(w io.Writer) {
	if s.pane == nil {
		return
	}
	for _, line := range s.pane.Rest() {
		fmt.Fprintln(w, line.Text)
	}
}
